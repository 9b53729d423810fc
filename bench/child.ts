/** A process that measures one engine, called in one way, whenever it is asked: other callers do not shape its compiled code. */
import type { Stream, StreamCounts } from './limit-work.ts';
import { Rig, type Caller, type Engine } from './rig.ts';

/** What the parent asks, each with one answer: to be a rig, with others alive in the same process; to measure or to count a stream. */
export type Question =
  | { readonly be: { readonly engine: Engine; readonly caller: Caller; readonly accesses: number; readonly alive: number } }
  | { readonly measure: Stream }
  | { readonly count: Stream; readonly native: StreamCounts };

let rigs: Rig[] = [];

function answer(question: Question): unknown {
  if ('be' in question) {
    const { engine, caller, accesses, alive } = question.be;
    rigs = Array.from({ length: alive }, () => new Rig(engine, caller, accesses));
    return true;
  }
  if ('count' in question) return rigs[0]!.counts(question.count, question.native);
  return rigs.map(rig => rig.measure(question.measure)).at(-1);
}

process.on('message', (question: Question) => process.send!(answer(question)));
