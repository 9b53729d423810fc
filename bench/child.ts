/** A process that measures one engine, called in one way, whenever it is asked: other callers do not shape its compiled code. */
import type { Stream } from './limit-work.ts';
import type { NativeCounts } from './native.ts';
import { Rig, type Caller, type Engine } from './rig.ts';

/** What the parent asks: be a rig; measure a stream; count it. Each gets one answer. */
export type Question =
  | { readonly be: { readonly engine: Engine; readonly caller: Caller; readonly accesses: number; readonly alive: number } }
  | { readonly measure: Stream }
  | { readonly count: Stream; readonly native: NativeCounts };

let rigs: Rig[] = [], accesses = 0, prepared: Stream | undefined;

function answer(question: Question): unknown {
  if ('be' in question) {
    ({ accesses } = question.be);
    const { engine, caller, alive } = question.be;
    rigs = Array.from({ length: alive }, () => new Rig(engine, caller, accesses));
    return true;
  }
  if ('count' in question) {
    prepared = undefined;
    return rigs[0]!.counts(question.count, question.native);
  }
  if (prepared !== question.measure) for (const rig of rigs) rig.prepare(prepared = question.measure);
  return rigs.map(rig => rig.measure(accesses))[0];
}

process.on('message', (question: Question) => process.send!(answer(question)));
