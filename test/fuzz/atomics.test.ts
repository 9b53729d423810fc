/** Who looks at atomic operations sees each of them, before and after, and leaves nothing behind. */
import { expect, it } from 'vitest';
import { observed, type Observer } from '../../fuzz/atomics.ts';

const words = new Int32Array(new SharedArrayBuffer(16)), entries = new BigInt64Array(words.buffer);
const plain = { ...Object.getOwnPropertyDescriptors(Atomics) };

function observer(point: () => void = () => {}): Observer & { readonly told: unknown[] } {
  const told: unknown[] = [];
  return { told, point, marked: (at, bits) => { told.push([at, bits]); }, wait: () => { told.push('wait'); } };
}

it('has a point before and after each operation, in which others see what was done', () => {
  const seen: number[] = [];
  words[0] = 1;
  const answer = observed(() => Atomics.add(words, 0, 2) + Atomics.exchange(words, 0, 7), observer(() => { seen.push(words[0]!); }));
  expect([answer, seen]).toEqual([4, [1, 3, 3, 7]]);
});

it('has none where a walk marks an entry, and tells which bits it set', () => {
  let points = 0;
  const by = observer(() => { points++; });
  entries[1] = 0x1003n;
  observed(() => {
    Atomics.compareExchange(entries, 1, 0x1003n, 0x1023n);
    Atomics.compareExchange(entries, 1, 0x1003n, 0x1063n); // it was changed meanwhile
  }, by);
  expect([points, by.told, entries[1]]).toEqual([0, [[1, 0x20n]], 0x1023n]);
  observed(() => Atomics.compareExchange(entries, 1, 0x1023n, 0x2023n), by);
  expect([points, entries[1]]).toEqual([2, 0x2023n]);
});

it('does not wait', () => {
  const by = observer();
  expect([observed(() => Atomics.wait(words, 0, words[0]!), by), by.told]).toEqual(['timed-out', ['wait']]);
});

it('is gone afterwards, whatever was thrown', () => {
  expect(() => observed(() => Atomics.load(words, 0), observer(() => { throw new Error('here'); }))).toThrow('here');
  expect(Object.getOwnPropertyDescriptors(Atomics)).toEqual(plain);
  for (const [name, { value }] of Object.entries(plain)) expect((Atomics as unknown as Record<string, unknown>)[name]).toBe(value);
});
