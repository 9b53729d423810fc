/** A process that measures one engine, called in one way, whenever it is asked: other callers do not shape its compiled code. */
import type { Stream, StreamCounts } from './limit-work.ts';

/** What the parent asks, each with one answer: to measure a stream, or to count it. */
export type Question =
  | { readonly measure: Stream }
  | { readonly count: Stream; readonly native: StreamCounts };

const alive = Number(process.argv[5]), machines: (typeof import('./call-loop.ts'))[] = [];
for (let k = 0; k < alive; k++) machines.push(await import(`./call-loop.js?${k}`));

/** Every machine works in its turn; the last is told of. */
const answer = (question: Question): unknown =>
  ('count' in question ? machines.at(-1)!.rig.counts(question.count, question.native) : machines.map(m => m.measure(question.measure)).at(-1));

process.on('message', (question: Question) => process.send!(answer(question)));
process.send!('ready');
