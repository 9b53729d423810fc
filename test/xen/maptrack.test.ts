import { describe, expect, it } from 'vitest';
import type { Maptrack } from '../../src/xen/maptrack.ts';
import { Guest } from './guest.ts';

const PAGE = 256;
const handles = (maxMaptrackFrames: number): Maptrack => new Guest({ grants: { maxMaptrackFrames } }).domain.grants.maptrack;
const take = (m: Maptrack, vcpu: number, n: number): number[] => Array.from({ length: n }, () => m.take(vcpu));
const range = (from: number, n: number): number[] => Array.from({ length: n }, (_, k) => from + k);

describe('handles', () => {
  it('are handed out in order, and given back to the end', () => {
    const m = handles(1);
    expect(take(m, 0, 4)).toEqual([0, 1, 2, 3]);
    m.give(1);
    m.give(3);
    expect(take(m, 0, PAGE - 4)).toEqual([...range(4, PAGE - 4)]);
    expect(take(m, 0, 2)).toEqual([1, -1]); // the last one stays
  });

  it('of a new page come before what is left of the one before', () => {
    const m = handles(3);
    take(m, 0, PAGE - 1);
    m.give(9);
    expect(take(m, 0, 1)).toEqual([PAGE - 1]);
    expect(take(m, 0, 1)).toEqual([PAGE]); // 9 is the one that stays
    expect(take(m, 0, PAGE)).toEqual([...range(PAGE + 1, PAGE - 1), 2 * PAGE]);
    expect([...m.free()].length).toBe(PAGE); // 255 of the third page, and 9
  });

  it('are each vCPU\'s own, until there are no more pages; then the other\'s', () => {
    const m = handles(1);
    expect(take(m, 0, 2)).toEqual([0, 1]);
    expect(take(m, 1, 2)).toEqual([3, 4]); // 2 is now what stays in its list
    m.give(3);
    expect(take(m, 0, 1)).toEqual([5]);
    expect(take(m, 1, 1)).toEqual([2]); // its own list has 2, 3
    m.give(0);
    const all = take(m, 1, PAGE);
    expect(all.filter(handle => handle >= 0).length).toBe(PAGE - 4 - 2); // four in use, one stays with each
    expect(all.at(-1)).toBe(-1);
    expect([...m.free()].length).toBe(2);
  });

  it('there are none of in no pages', () => {
    expect(take(handles(0), 3, 1)).toEqual([-1]);
  });
});
