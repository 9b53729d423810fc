/** Guests under a second stage: several on one vCPU, whose tables change with and without invalidations, in both engines. */
import { presets } from '../../src/cost/presets/all.ts';
import { GEOMETRIES, modelOf } from '../../test/mmu/tlb-geometries.ts';
import { History } from '../../test/virt/nested-history.ts';
import { Finding, type Target } from '../target.ts';
import { Tape, TapeNumbers } from '../tape.ts';

const MODELS = [presets.skylake, presets.zen3, modelOf(GEOMETRIES[1]!, 'lru'), modelOf(GEOMETRIES[5]!, 'random')];
const MODES = ['flat', '4-level', '5-level'] as const, FORMATS = ['ept', 'npt'] as const;
const tape = new Tape(), numbers = new TapeNumbers(tape);

export const guests: Target = {
  name: 'guests', about: 'guests under EPT and NPT: every answer is one that the manuals permit, and both engines leave the same bytes', headBytes: 12, recordBytes: 12, most: 400,
  run({ head, records }, notes, careful) {
    tape.load(head);
    const format = FORMATS[head[0]! & 1]!, mode = MODES[head[1]! % MODES.length]!, history = new History(numbers, format, mode, { cpu: MODELS[head[2]! % MODELS.length]! });
    for (const record of records) {
      tape.load(record);
      history.step();
      if (careful && !history.same) throw new Finding('the engines leave different bytes');
    }
    if (!history.same) throw new Finding('the engines leave different bytes');
    Object.values(history.tally).forEach((count, k) => notes.note((head[0]! & 1) * 64 + (head[1]! % MODES.length) * 16 + k, Math.ceil(Math.log2(count + 1))));
    return records.length;
  },
};
