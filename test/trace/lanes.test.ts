import { describe, expect, it } from 'vitest';
import { inLanes } from '../../src/trace/lanes.ts';

const later = (ms: number): Promise<void> => new Promise(done => setTimeout(done, ms));
const all = (n: number): number[] => Array.from({ length: n }, (_, k) => k);

describe('inLanes', () => {
  it.each([1, 2, 3, 20])('gives results in the order of the items with %i lanes, however long each takes', async lanes => {
    let running = 0, most = 0;
    const results = await inLanes(all(9), lanes, all(9).reverse(), async n => {
      most = Math.max(most, ++running);
      await later((n * 7) % 4);
      running--;
      return n * n;
    });
    expect(results).toEqual(all(9).map(n => n * n));
    expect(most).toBe(Math.min(lanes, 9));
  });

  it('starts the items in the order asked for', async () => {
    const started: number[] = [];
    await inLanes(['a', 'b', 'c'], 1, [2, 0, 1], async (_, place) => { started.push(place); });
    expect(started).toEqual([2, 0, 1]);
  });

  it.each([1, 2, 6])('throws the error of the first item that fails with %i lanes, though a later one fails sooner', async lanes => {
    const work = async (n: number): Promise<number> => {
      await later(n === 1 ? 20 : 1);
      if (n === 1 || n === 3) throw new Error(`item ${n}`);
      return n;
    };
    await expect(inLanes(all(6), lanes, all(6).reverse(), work)).rejects.toThrow('item 1');
    await expect(inLanes(all(6), lanes, all(6), work)).rejects.toThrow('item 1');
  });

  it('after a failure starts nothing behind it, tells what runs behind it to stop, and still does what is before', async () => {
    const started: number[] = [], stopped: number[] = [];
    const outcome = inLanes(all(8), 3, [5, 3, 4, 0, 1, 2, 6, 7], async (_, place, signal) => {
      started.push(place);
      signal.addEventListener('abort', () => stopped.push(place));
      await later(place === 3 ? 5 : 15);
      if (place === 3 || signal.aborted) throw new Error(`item ${place}`);
    });
    await expect(outcome).rejects.toThrow('item 3');
    expect(started).toEqual([5, 3, 4, 0, 1, 2]);
    expect(stopped).toEqual([5, 4]);
  });
});
