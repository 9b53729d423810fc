/** Cached translations: against an oracle that caches exactly as the engine does, and against all that the manual permits. */
import { faultVector } from '../../src/arch/fault.ts';
import { Duel } from '../../test/mmu/tlb-duel.ts';
import { GEOMETRIES, modelOf } from '../../test/mmu/tlb-geometries.ts';
import { POLICIES } from '../../test/mmu/tlb-oracle-array.ts';
import { History } from '../../test/mmu/stale-history.ts';
import { SMALL, TAME, WILD } from '../../test/mmu/tlb-world.ts';
import type { Target } from '../target.ts';
import { Tape, TapeNumbers } from '../tape.ts';

const COMPARE_EVERY = 128;
const MOODS = [{ mix: WILD, calm: false }, { mix: TAME, calm: true }, { mix: SMALL, calm: true }];
const tape = new Tape(), numbers = new TapeNumbers(tape);

export const tlb: Target = {
  name: 'tlb', about: 'TLBs and paging-structure caches, entry by entry, against an oracle of their own', headBytes: 8, recordBytes: 12, most: 2048,
  run({ head, records }, notes, careful) {
    const geometry = GEOMETRIES[head[0]! % GEOMETRIES.length]!, policy = POLICIES[head[1]! % POLICIES.length]!;
    tape.load(head);
    const duel = new Duel({ ...geometry, model: modelOf(geometry, policy), seed: 0 }, numbers), { totals } = duel.oracle;
    records.forEach((record, n) => {
      tape.load(record);
      duel.step();
      if (careful || (n + 1) % COMPARE_EVERY === 0) duel.compareAll();
    });
    duel.compareAll();
    [...totals.hits, totals.walks, totals.faults, ...totals.depth].forEach((count, k) => notes.note(head[0]! * 64 + k, Math.ceil(Math.log2(count + 1))));
    return records.length;
  },
};

export const stale: Target = {
  name: 'stale', about: 'every answer, timed and functional, is one that the manual permits after what was invalidated', headBytes: 8, recordBytes: 12, most: 512,
  run({ head, records }, notes) {
    const geometry = GEOMETRIES[head[0]! % GEOMETRIES.length]!, policy = POLICIES[head[1]! % POLICIES.length]!, mood = MOODS[head[2]! % MOODS.length]!;
    tape.load(head);
    const history = new History({ ...geometry, ...mood, mode: head[3]! & 1 ? 'functional' : 'timed', model: modelOf(geometry, policy), seed: 0 }, numbers);
    for (const record of records) {
      tape.load(record);
      history.step();
    }
    Object.values(history.tally).forEach((count, k) => notes.note((head[2]! % MOODS.length) * 16 + k, faultVector(count << 12)));
    return records.length;
  },
};
