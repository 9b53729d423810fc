/** A guest's balloon: memory is given back and taken again, beyond what the domain began with, as far as its maximum goes. */
import { expect, it } from 'vitest';
import { balloonFloor } from '../../../src/xen/balloon.ts';
import { HYPERVISOR_memory_op, XENMEM_decrease_reservation, XENMEM_populate_physmap } from '../../../src/xen/numbers.ts';
import { struct } from '../grant-struct.ts';
import { Host, Kernel } from './kernel.ts';

const MIB = 256; // pages

it('never below the floor of Linux 2.6.18', () => {
  const floors = [[128, 72], [512, 168], [2048, 360], [8192, 552], [32768, 1320], [131072, 4392]];
  expect(floors.map(([most]) => [most, balloonFloor(most! * MIB) / MIB])).toEqual(floors);
  expect([16, 32, 64].map(most => balloonFloor(most * MIB) / MIB)).toEqual([16, 24, 40]);
  expect(balloonFloor(8 * MIB)).toBe(8 * MIB); // it does not make a guest grow
  expect(balloonFloor(2048 * MIB, 100 * MIB)).toBe(100 * MIB);
  expect(balloonFloor(512 * MIB - 1)).toBe(168 * MIB - 1);
});

const START = 100, MOST = 120, SELF = 0x7ff0;

/** A balloon: pages that the kernel does not have, by its own numbers for them. */
class Balloon {
  readonly kernel: Kernel;
  inflated = 0;

  constructor(kernel: Kernel) {
    this.kernel = kernel;
  }

  get pages(): number { return this.kernel.domain.totalPages; }

  /** Give pages back: unmapped first, or they would stay. */
  inflate(count: number): void {
    for (let k = 0; k < count; k++) {
      const mfn = this.kernel.take();
      this.kernel.update(this.kernel.address(mfn), 0n);
      this.list(mfn);
      expect(this.kernel.call(HYPERVISOR_memory_op, XENMEM_decrease_reservation, this.reservation()).rc).toBe(1);
      this.inflated++;
    }
  }

  /** Take pages; as many as there are. @returns how many */
  deflate(count: number): number {
    for (let k = 0; k < count; k++) {
      this.list(START + k);
      if (this.kernel.call(HYPERVISOR_memory_op, XENMEM_populate_physmap, this.reservation()).rc !== 1) return k;
      const mfn = this.kernel.bytesAt(2048).getUint32(0, true);
      this.kernel.update(this.kernel.window(), (BigInt(mfn) << 12n) | 7n);
      this.kernel.pages.push(mfn);
    }
    return count;
  }

  private list(value: number): void { this.kernel.bytesAt(2048).setBigUint64(0, BigInt(value), true); }
  private reservation(): Uint8Array { return struct([[8, this.kernel.argument + 2048n], [8, 1], [4, 0], [4, 0], [2, SELF], [2, 0], [4, 0]]); }
}

it(`from ${START} pages to 60, back, and beyond to ${MOST}: no further`, () => {
  const host = new Host(1), kernel = new Kernel(host, 1, 0, { pages: START, maxPages: MOST }), balloon = new Balloon(kernel);
  const before = host.xen.counters().hypercalls['memory_op']?.calls ?? 0;
  balloon.inflate(40);
  expect([balloon.pages, kernel.domain.maxPages]).toEqual([60, MOST]);
  expect(balloon.deflate(40)).toBe(40);
  expect(balloon.pages).toBe(START);
  expect(balloon.deflate(30)).toBe(MOST - START);
  expect([balloon.pages, host.xen.counters().hypercalls['memory_op']!.calls - before]).toEqual([MOST, 40 + 40 + 21]);
  for (const mfn of kernel.pages) {
    expect(host.xen.host.frames.owner(mfn)).toBe(1);
    kernel.bytes(mfn).fill(7);
  }
  host.audit();
});

it('a page that another domain has mapped leaves the guest, and is no one\'s until it is unmapped', () => {
  const host = new Host(2), kernel = new Kernel(host, 1, 0, { pages: START, maxPages: MOST }), other = new Kernel(host, 2, 1), balloon = new Balloon(kernel);
  const mfn = kernel.pages.at(-1)!, mappings = other.map(1, [kernel.grants.grant(2, mfn)]);
  balloon.inflate(1);
  expect([balloon.pages, host.xen.host.frames.refs(mfn), host.xen.host.frames.isFree(mfn)]).toEqual([START, 1, false]); // it still counts
  other.unmap(mappings);
  expect([balloon.pages, host.xen.host.frames.isFree(mfn)]).toEqual([START - 1, true]);
  host.audit();
});
