/** Pages that are given away by GNTTABOP_transfer, as network drivers once did, while either end dies. */
import { beforeEach, expect, it } from 'vitest';
import { GNTTABOP_transfer, GTF_accept_transfer, GTF_transfer_committed, GTF_transfer_completed } from '../../../src/xen/grant-numbers.ts';
import { HYPERVISOR_grant_table_op } from '../../../src/xen/numbers.ts';
import { struct } from '../grant-struct.ts';
import { Host, Kernel } from './kernel.ts';

const POSTED = [20, 21, 22, 23], OKAY = 0, GENERAL_ERROR = -1, BAD_DOMAIN = -2, PAGES = 128;
const DONE = GTF_accept_transfer | GTF_transfer_committed | GTF_transfer_completed;
let host: Host, giver: Kernel, taker: Kernel;

const entry = (kernel: Kernel, ref: number) => host.word(kernel.domain.grants.frames[0]!) + ref * 2;

/** Give pages away, each for an entry that was posted. @returns the statuses, and the frames */
function flip(refs: readonly number[]): [statuses: number[], frames: number[]] {
  const frames = refs.map(() => giver.take());
  for (const mfn of frames) {
    giver.bytes(mfn).fill(0xa0);
    giver.update(giver.address(mfn), 0n);
  }
  const ops = refs.map((ref, k) => struct([[8, frames[k]!], [2, 1], [2, 0], [4, ref], [2, 0], [2, 0], [4, 0]]));
  const { rc, out } = giver.call(HYPERVISOR_grant_table_op, GNTTABOP_transfer, ...ops);
  expect(rc).toBe(0);
  return [out.map(view => view.getInt16(16, true)), frames];
}

beforeEach(() => {
  host = new Host(3);
  [giver, taker] = [new Kernel(host, 2, 0), new Kernel(host, 1, 1, { maxPages: PAGES + 3 })];
  const { w } = host.machine.views;
  for (const ref of POSTED) {
    w[entry(taker, ref) + 1] = 0x5000 + ref; // what the frame is to be called
    w[entry(taker, ref)] = GTF_accept_transfer | (2 << 16);
  }
});

it('the taker has them, up to its maximum; what finds no taker is no one\'s, and cleared', () => {
  const { w } = host.machine.views, { frames } = host.xen.host, [statuses, given] = flip(POSTED);
  expect(statuses).toEqual([OKAY, OKAY, OKAY, GENERAL_ERROR]);
  expect(POSTED.map((ref, k) => [w[entry(taker, ref)]! & 0xffff, w[entry(taker, ref) + 1] === given[k]])).toEqual([[DONE, true], [DONE, true], [DONE, true], [GTF_accept_transfer, false]]);
  expect([giver.domain.totalPages, taker.domain.totalPages]).toEqual([PAGES - 4, PAGES + 3]);
  expect([...given.map(mfn => frames.isFree(mfn))]).toEqual([false, false, false, true]);
  expect([taker.bytes(given[0]!)[9], giver.bytes(given[3]!)[9]]).toEqual([0xa0, 0]);
  expect(flip([POSTED[0]!])[0]).toEqual([GENERAL_ERROR]); // used up
});

it('the taker dies with entries posted: pages given to it while it lingers, and after, are no one\'s', () => {
  const page = taker.take(), mappings = giver.map(1, [taker.grants.grant(2, page)]), [, [kept]] = flip([POSTED[0]!]);
  host.destroy(taker);
  expect([host.xen.host.domain(1)?.totalPages, host.xen.host.frames.isFree(kept!)]).toEqual([1, true]);
  const [lingering, first] = flip([POSTED[1]!]);
  giver.unmap(mappings);
  expect(host.xen.host.domain(1)).toBeUndefined();
  const [gone, second] = flip([POSTED[2]!]);
  expect([lingering, gone]).toEqual([[GENERAL_ERROR], [BAD_DOMAIN]]);
  expect([...first, ...second].map(mfn => host.xen.host.frames.isFree(mfn))).toEqual([true, true]);
  expect(giver.domain.totalPages).toBe(PAGES - 3);
});

it('the giver dies: what it gave stays, what was posted for it may be withdrawn, or taken by its successor of the same number', () => {
  const { w } = host.machine.views, [, [given]] = flip([POSTED[0]!]);
  host.destroy(giver);
  expect([host.xen.host.domain(2), host.xen.host.frames.owner(given!), taker.bytes(given!)[0]]).toEqual([undefined, 1, 0xa0]);
  expect(w[entry(taker, POSTED[1]!)]).toBe(GTF_accept_transfer | (2 << 16));
  w[entry(taker, POSTED[1]!)] = 0;
  giver = new Kernel(host, 2, 2); // on other frames
  expect(flip([POSTED[1]!, POSTED[2]!])[0]).toEqual([GENERAL_ERROR, OKAY]);
  host.destroy(taker);
  expect(host.xen.host.domain(1)).toBeUndefined();
});
