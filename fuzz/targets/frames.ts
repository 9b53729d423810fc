/** Runs over the frame table, entry updates and whole pages: the TypeScript engine against the wasm engine. */
import { FrameDuel } from '../../test/frames/duel.ts';
import { Pristine } from '../pristine.ts';
import { Finding, type Target } from '../target.ts';
import { Tape, TapeChoices } from '../tape.ts';

const ODD = [0.0005, 0.03, 0.15];
const tape = new Tape(), choices = new TapeChoices(tape), known = new Map<number, { readonly duel: FrameDuel; readonly pristine: Pristine }>();

function duelOf(choice: number): FrameDuel {
  const kept = known.get(choice) ?? start(choice), { duel, pristine } = kept;
  known.set(choice, kept);
  for (const { s } of [duel.ts, duel.wasm]) pristine.restore(s.u8);
  return duel;
}

function start(choice: number): { readonly duel: FrameDuel; readonly pristine: Pristine } {
  const duel = new FrameDuel({ vcpus: 1 + (choice & 1), high: (choice & 2) !== 0, odd: ODD[choice >> 2]! }, choice + 1);
  duel.random = choices;
  return { duel, pristine: new Pristine(duel.ts.s.u8) };
}

export const frames: Target = {
  name: 'frames', about: 'validation, updates and page work of both engines, on all state bytes', headBytes: 1, recordBytes: 16, most: 512,
  run({ head, records }, notes, careful) {
    const duel = duelOf(head[0]! % 12);
    duel.done.clear();
    duel.owed = 0;
    const same = (): void => {
      if (duel.differences().length > 0) throw new Finding(`the engines leave different bytes, from ${duel.differences()[0]} on`);
    };
    for (const record of records) {
      tape.load(record);
      duel.step();
      if (careful) same();
    }
    same();
    [...duel.done.values(), duel.owed].forEach((count, k) => notes.note((head[0]! % 12) * 16 + k, Math.ceil(Math.log2(count + 1))));
    return records.length;
  },
};
