/** A process that measures one engine, called in one way, whenever it is asked: other callers do not shape its compiled code. */
import type { Stream, StreamCounts } from './limit-work.ts';
import type { Engine } from './rig.ts';
import { VALIDATIONS, ValidateRig, type Validation } from './validate.ts';

/** What can be measured: a stream of accesses, or tables. */
export type Work = Stream | Validation;

/** What the parent asks, each with one answer: to measure a stream, or to count it. */
export type Question =
  | { readonly measure: Work }
  | { readonly count: Stream; readonly native: StreamCounts };

const alive = Number(process.argv[5]), machines: (typeof import('./call-loop.ts'))[] = [];
for (let k = 0; k < alive; k++) machines.push(await import(`./call-loop.js?${k}`));

let tables: ValidateRig | undefined;

const isValidation = (work: Work): work is Validation => (VALIDATIONS as readonly Work[]).includes(work);

/** Every machine works in its turn; the last is told of. */
function answer(question: Question): unknown {
  if ('count' in question) return machines.at(-1)!.rig.counts(question.count, question.native);
  const { measure } = question;
  if (isValidation(measure)) return (tables ??= new ValidateRig(process.argv[2] as Engine)).measure(measure);
  return machines.map(m => m.measure(measure)).at(-1);
}

process.on('message', (question: Question) => process.send!(answer(question)));
process.send!('ready');
