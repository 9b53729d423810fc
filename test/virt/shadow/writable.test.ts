import { expect, it } from 'vitest';
import { WritableMappings } from '../../../src/virt/shadow/writable.ts';
import { Random } from '../../wasm/engine-duel.ts';

it('counts mappings of any frames, however many there have been, and knows the last of each', () => {
  const mappings = new WritableMappings(), random = new Random(3), slots = new Map<number, number[]>(), last = new Map<number, number>();
  let rows = 0;
  for (let step = 0, frames = 16; step < 60_000; step++) {
    if (step % 10_000 === 0) frames *= 4;
    const mfn = random.below(frames) * (random.below(2) ? 1 : 2 ** 25 + 1), had = slots.get(mfn) ?? [];
    expect(mappings.of(mfn)).toBe(had.length);
    if (random.below(5) < (step % 20_000 < 10_000 ? 3 : 2)) {
      had.push(step);
      last.set(mfn, step);
      mappings.add(mfn, step);
      expect(mappings.guess(mfn)).toBe(step);
    } else if (had.length > 0) {
      had.pop();
      mappings.remove(mfn);
    }
    slots.set(mfn, had);
    rows = Math.max(rows, slots.size);
  }
  let total = 0;
  for (const [mfn, had] of slots) {
    total += had.length;
    expect([mappings.of(mfn), mappings.guess(mfn)]).toEqual([had.length, had.length > 0 ? last.get(mfn) : -1]);
  }
  expect([mappings.total, rows > 8000]).toEqual([total, true]);
});
