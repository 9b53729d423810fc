/** Cached translations: against an oracle that caches exactly as the engine does, and against all that the manual permits. */
import type { Input } from '../input.ts';
import { Duel } from '../../test/mmu/tlb-duel.ts';
import { GEOMETRIES, modelOf } from '../../test/mmu/tlb-geometries.ts';
import { POLICIES } from '../../test/mmu/tlb-oracle-array.ts';
import { History } from '../../test/mmu/stale-history.ts';
import { SMALL, TAME, WILD } from '../../test/mmu/tlb-world.ts';
import type { Notes, Target } from '../target.ts';
import { Tape, TapeNumbers } from '../tape.ts';

const COMPARE_EVERY = 128;
const MOODS = [{ mix: WILD, calm: false }, { mix: TAME, calm: true }, { mix: SMALL, calm: true }];
const ENGINES = ['ts', 'wasm'] as const;
type Engine = (typeof ENGINES)[number];
const tape = new Tape(), numbers = new TapeNumbers(tape);

/** One engine, by the head, or both. */
function inEngines(head: Uint8Array, both: boolean, play: (engine: Engine) => void): void {
  for (const engine of both ? ENGINES : [ENGINES[head[7]! & 1]!]) play(engine);
}

/** How much happened, by the power of two. */
function noteCounts(notes: Notes, where: number, counts: readonly number[]): void {
  counts.forEach((count, k) => notes.note(where * 64 + k, Math.ceil(Math.log2(count + 1))));
}

function playTlb({ head, records }: Input, engine: Engine, notes: Notes, every: number): void {
  const geometry = GEOMETRIES[head[0]! % GEOMETRIES.length]!, policy = POLICIES[head[1]! % POLICIES.length]!;
  tape.load(head);
  const duel = new Duel({ ...geometry, model: modelOf(geometry, policy), seed: 0, engine }, numbers), { totals } = duel.oracle;
  records.forEach((record, n) => {
    tape.load(record);
    duel.step();
    if ((n + 1) % every === 0) duel.compareAll();
  });
  duel.compareAll();
  noteCounts(notes, head[0]! % GEOMETRIES.length, [...totals.hits, totals.walks, totals.faults, ...totals.depth]);
}

export const tlb: Target = {
  name: 'tlb', about: 'TLBs and paging-structure caches, entry by entry, against an oracle of their own', headBytes: 12, recordBytes: 12, most: 2048,
  run(input, notes, careful) {
    inEngines(input.head, careful, engine => playTlb(input, engine, notes, careful ? 1 : COMPARE_EVERY));
    return input.records.length;
  },
};

function playStale({ head, records }: Input, engine: Engine, notes: Notes): void {
  const geometry = GEOMETRIES[head[0]! % GEOMETRIES.length]!, policy = POLICIES[head[1]! % POLICIES.length]!, mood = MOODS[head[2]! % MOODS.length]!;
  tape.load(head);
  const history = new History({ ...geometry, ...mood, mode: head[3]! & 1 ? 'functional' : 'timed', model: modelOf(geometry, policy), seed: 0, engine }, numbers);
  for (const record of records) {
    tape.load(record);
    history.step();
  }
  noteCounts(notes, head[2]! % MOODS.length, Object.values(history.tally));
}

export const stale: Target = {
  name: 'stale', about: 'every answer, timed and functional, is one that the manual permits after what was invalidated', headBytes: 12, recordBytes: 12, most: 512,
  run(input, notes, careful) {
    inEngines(input.head, careful, engine => playStale(input, engine, notes));
    return input.records.length;
  },
};
