/** Grants: what the recordings do not cover. */
import { describe, expect, it } from 'vitest';
import {
  GNTMAP_contains_pte, GNTMAP_device_map, GNTMAP_host_map, GNTMAP_readonly, GNTST_bad_copy_arg, GNTST_bad_dev_addr, GNTST_bad_domain, GNTST_bad_gntref,
  GNTST_bad_handle, GNTST_bad_page, GNTST_eagain, GNTST_general_error, GNTST_no_space, GNTST_okay, GNTST_permission_denied, GNTTABOP_cache_flush,
  GNTTABOP_copy, GNTTABOP_map_grant_ref, GNTTABOP_set_version, GNTTABOP_setup_table, GNTTABOP_transfer, GNTTABOP_unmap_and_replace,
  GNTTABOP_unmap_grant_ref, GTF_accept_transfer, GTF_permit_access, GTF_readonly, GTF_reading, GTF_sub_page, GTF_transitive, GTF_writing,
} from '../../src/xen/grant-numbers.ts';
import { DOMID_SELF } from '../../src/xen/numbers.ts';
import { ARGS, DATA, FIRST, entryOf } from './guest.ts';
import { struct } from './grant-struct.ts';
import { DOMAIN_PAGES, FIRST1, FIRST2, GrantWorld } from './grant-world.ts';

const EFAULT = -14, EINVAL = -22, EBUSY = -16, EOPNOTSUPP = -95;
const HOST = GNTMAP_host_map, READ_HOST = GNTMAP_host_map | GNTMAP_readonly, BOTH = GNTMAP_host_map | GNTMAP_device_map;
const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

describe.each([['64-bit', true], ['32-bit', false]] as const)('grants to a %s guest', (_, wide) => {
  const world = (options = {}) => new GrantWorld({ wide, ...options });

  it('are in use 128 times by a kind of mapping, and no more often, so that no count runs into the next', () => {
    const g = world(), MOST = 128, READ_DEVICE = GNTMAP_device_map | GNTMAP_readonly, map = (flags: number) => g.mapOp(0n, flags, 9, 1);
    g.grant(1, 9, GTF_permit_access, 0, FIRST1 + 3);
    for (const flags of [GNTMAP_device_map, READ_DEVICE]) {
      for (let k = 0; k < MOST; k += 32) {
        for (const view of g.op(GNTTABOP_map_grant_ref, Array.from({ length: 32 }, () => map(flags))).out) expect(view.getInt16(18, true)).toBe(GNTST_okay);
      }
      expect(g.op(GNTTABOP_map_grant_ref, [map(flags)]).out[0].getInt16(18, true)).toBe(GNTST_general_error);
    }
    expect(g.pins(1, 9) >>> 0).toBe(0x80800000);
    const copies = Array.from({ length: 2 }, () => [['ref', 9, 1, 0], ['frame', g.free(0), DOMID_SELF, 0], 8] as const);
    expect(g.copy(...copies)).toEqual([GNTST_okay, GNTST_okay]); // another count
  });

  it('are mapped, written through and unmapped, with nothing left', () => {
    const g = world(), va = g.va(g.free(0));
    g.grant(1, 9, GTF_permit_access, 0, FIRST1 + 3);
    const before = g.xen.host.frames.refs(g.free(0));
    const { status, handle } = g.mapGrant(va, HOST, 9, 1);
    expect([status, handle, g.pins(1, 9), g.flags(1, 9)]).toEqual([0, 0, 1, GTF_permit_access | GTF_reading | GTF_writing]);
    expect(g.xen.host.frames.refs(g.free(0))).toBe(before - 1); // what was mapped there is not
    g.xen.write(g.cpu, va, bytes(1, 2, 3));
    expect(g.bytesAt(FIRST1 + 3, 0, 3)).toEqual(bytes(1, 2, 3));
    expect(g.xen.audit()).toEqual([]);
    expect([g.unmapGrant(va, 0, handle), g.pins(1, 9), g.flags(1, 9)]).toEqual([0, 0, GTF_permit_access]);
    expect(g.unmapGrant(va, 0, handle)).toBe(GNTST_bad_handle);
    expect([g.xen.host.frames.refs(FIRST1 + 3), g.xen.audit()]).toEqual([1, []]);
  });

  it('hold a reference for a device and one for the processor, given back one by one', () => {
    const g = world(), va = g.va(g.free(0)), { frames } = g.xen.host;
    g.grant(1, 9, GTF_permit_access, 0, FIRST1 + 3);
    const { handle } = g.mapGrant(va, BOTH, 9, 1), bus = (FIRST1 + 3) * 4096;
    expect([frames.refs(FIRST1 + 3), frames.typeCount(FIRST1 + 3), g.pins(1, 9), g.xen.audit()]).toEqual([3, 2, 0x10001, []]);
    expect(g.unmapGrant(0n, bus + 4096, handle)).toBe(GNTST_bad_dev_addr);
    expect(g.unmapGrant(0n, 0, handle)).toBe(GNTST_okay); // nothing was asked for
    expect(g.unmapGrant(0n, bus, handle)).toBe(GNTST_okay);
    expect([frames.refs(FIRST1 + 3), frames.typeCount(FIRST1 + 3), g.pins(1, 9), g.xen.audit()]).toEqual([2, 1, 1, []]);
    expect(g.unmapGrant(va, 0, handle)).toBe(GNTST_okay);
    expect([frames.refs(FIRST1 + 3), frames.typeCount(FIRST1 + 3), g.pins(1, 9), g.xen.audit()]).toEqual([1, 0, 0, []]);
  });

  it('are mapped by the entry itself, and refused where that is none', () => {
    const g = world(), va = g.va(g.free(0)), slot = BigInt(g.level1[0] * 4096 + (g.free(0) - FIRST) * 8);
    g.grant(1, 9, GTF_permit_access | GTF_readonly, 0, FIRST1 + 3);
    expect(g.mapGrant(slot, HOST | GNTMAP_contains_pte, 9, 1).status).toBe(GNTST_general_error); // read-only
    expect(g.mapGrant(slot + 4n, READ_HOST | GNTMAP_contains_pte, 9, 1).status).toBe(GNTST_general_error);
    expect(g.mapGrant(BigInt(g.free(1) * 4096), READ_HOST | GNTMAP_contains_pte, 9, 1).status).toBe(GNTST_general_error); // no table
    expect(g.mapGrant(0x2000n, READ_HOST, 9, 1).status).toBe(GNTST_general_error); // no table either
    expect([g.pins(1, 9), g.flags(1, 9), g.xen.audit()]).toEqual([0, GTF_permit_access | GTF_readonly, []]);
    const { status, handle } = g.mapGrant(slot, READ_HOST | GNTMAP_contains_pte, 9, 1);
    expect([status, g.entry(g.level1[0], g.free(0) - FIRST) & 3n, handle]).toEqual([0, 1n, 4]); // handles of failures come last again
    expect(g.xen.write(g.cpu, va, bytes(1))).not.toBe(0);
    expect(g.unmapGrant(slot, 0, handle)).toBe(GNTST_okay);
    expect(g.xen.audit()).toEqual([]);
  });

  it('of a table frame are mapped read-only alone', () => {
    const g = world(), va = g.va(g.free(0)), table = g.table(g.free(5));
    expect(g.pin(1, table)).toBe(0);
    g.grant(0, 9, GTF_permit_access, 0, table);
    expect([g.mapGrant(va, HOST, 9, 0).status, g.mapGrant(va, BOTH, 9, 0).status]).toEqual([GNTST_general_error, GNTST_general_error]);
    expect([g.pins(0, 9), g.flags(0, 9), g.xen.audit()]).toEqual([0, GTF_permit_access, []]);
    expect([g.mapGrant(va, READ_HOST, 9, 0).status, g.xen.audit()]).toEqual([0, []]);
  });

  it('take handles until the maptrack is full, and no byte is changed by one that finds none', () => {
    const g = world({ grants: { maxMaptrackFrames: 1 } }), va = g.va(g.free(0));
    for (let ref = 8; ref < 8 + 255; ref++) {
      g.grant(1, ref, GTF_permit_access, 0, FIRST1 + 3);
      expect(g.mapGrant(0n, GNTMAP_device_map, ref, 1).status).toBe(GNTST_okay);
    }
    g.grant(1, 300, GTF_permit_access, 0, FIRST1 + 3);
    expect([g.mapGrant(va, HOST, 300, 1).status, g.pins(1, 300), g.flags(1, 300)]).toEqual([GNTST_no_space, 0, GTF_permit_access]);
    expect(g.unmapGrant(0n, (FIRST1 + 3) * 4096, 17)).toBe(GNTST_okay);
    expect(g.mapGrant(va, HOST, 300, 1)).toEqual({ status: GNTST_okay, handle: 255 }); // the one that always stays was next
    expect(g.xen.audit()).toEqual([]);
  });

  it('fail alone in a batch, whose others are done; preempted or not', () => {
    const results = [Infinity, 1].map(budget => {
      const g = world({ budget });
      for (let ref = 8; ref < 80; ref++) g.grant(1, ref, GTF_permit_access, ref % 7 === 0 ? 2 : 0, FIRST1 + (ref % 5));
      const maps = Array.from({ length: 70 }, (_x, k) => g.mapOp(g.va(g.free(k)), k % 2 ? HOST : READ_HOST, k + 8, 1));
      const mapped = g.op(GNTTABOP_map_grant_ref, maps), middle = g.xen.audit();
      const statuses = mapped.out.map(view => view.getInt16(18, true)), handles = mapped.out.map(view => view.getUint32(20, true));
      const unmapped = g.op(GNTTABOP_unmap_grant_ref, handles.map((handle, k) => g.unmapOp(g.va(g.free(k)), 0, handle)));
      return { rc: [mapped.rc, unmapped.rc], statuses, handles, gone: unmapped.out.map(view => view.getInt16(20, true)), audits: [middle, g.xen.audit()] };
    });
    expect(results[1]).toEqual(results[0]);
    expect(results[0].rc).toEqual([0, 0]);
    expect(results[0].audits).toEqual([[], []]);
    results[0].statuses.forEach((status, k) => expect(status).toBe((k + 8) % 7 === 0 ? GNTST_general_error : GNTST_okay));
  });

  it('of a batch that runs out of memory to read end there, with what is done kept', () => {
    const g = world(), last = g.va(ARGS) + 4096n - 64n;
    g.grant(1, 9, GTF_permit_access, 0, FIRST1 + 3);
    g.fill(ARGS, 4096 - 64, g.mapOp(g.va(g.free(0)), HOST, 9, 1));
    g.fill(ARGS, 4096 - 32, g.mapOp(g.va(g.free(1)), HOST, 9, 1));
    expect(Number(g.xen.hypercall(g.cpu, 20, BigInt(GNTTABOP_map_grant_ref), last, 3n))).toBe(EFAULT);
    expect([g.pins(1, 9), g.xen.audit()]).toEqual([2, []]);
    g.fill(ARGS, 4096 - 48, g.unmapOp(g.va(g.free(0)), 0, 0));
    g.fill(ARGS, 4096 - 24, g.unmapOp(g.va(g.free(1)), 0, 1));
    expect(Number(g.xen.hypercall(g.cpu, 20, BigInt(GNTTABOP_unmap_grant_ref), last + 16n, 3n))).toBe(EFAULT);
    expect([g.pins(1, 9), g.xen.audit()]).toEqual([0, []]);
  });

  it('are replaced by another mapping, which is lost if they are not what they were said to be', () => {
    const g = world(), { frames } = g.xen.host, op = (address: bigint, from: bigint, handle: number) => struct([[8, address], [8, from], [4, handle], [2, 0], [2, 0]]);
    const va = g.va(g.free(0)), spare = g.va(g.free(1));
    g.grant(1, 9, GTF_permit_access, 0, FIRST1 + 3);
    const { handle } = g.mapGrant(va, HOST, 9, 1);
    expect(g.op(GNTTABOP_unmap_and_replace, [op(g.va(g.free(2)), spare, handle)]).out[0].getInt16(20, true)).toBe(GNTST_general_error);
    expect([frames.refs(g.free(1)), g.xen.audit()]).toEqual([1, []]);
    expect(g.map(spare, entryOf(g.free(1), DATA))).toBe(0);
    expect(g.op(GNTTABOP_unmap_and_replace, [op(va, spare, handle)]).out[0].getInt16(20, true)).toBe(GNTST_okay);
    g.xen.write(g.cpu, va, bytes(7));
    expect([g.bytesAt(g.free(1), 0, 1), g.pins(1, 9), g.xen.audit()]).toEqual([bytes(7), 0, []]);
  });

  it('are copied: part of a page, and no byte beyond it', () => {
    const g = world();
    g.version2(1);
    g.grant2(1, 9, GTF_permit_access | GTF_sub_page, 0, 0x100 | (0x40 << 16), FIRST1 + 3);
    g.fill(FIRST1 + 3, 0x100, bytes(5, 6, 7, 8));
    const from = (offset: number) => ['ref', 9, 1, offset] as const, to = ['frame', g.free(0), DOMID_SELF, 0x20] as const;
    expect(g.copy([from(0x100), to, 4], [from(0xff), to, 4], [from(0x13e), to, 3], [from(0x100), to, 0x40], [from(0x140), to, 0])).toEqual([0, -1, -1, 0, 0]);
    expect(g.copy([from(0xfff), to, 2], [from(0x100), ['frame', g.free(0), DOMID_SELF, 0xfff], 2])).toEqual([GNTST_bad_copy_arg, GNTST_bad_copy_arg]);
    expect(g.bytesAt(g.free(0), 0x20, 4)).toEqual(bytes(5, 6, 7, 8));
    expect(g.mapGrant(g.va(g.free(1)), HOST, 9, 1).status).toBe(GNTST_general_error); // not a whole page
    expect([g.pins(1, 9), g.flags(1, 9) & (GTF_reading | GTF_writing), g.xen.audit()]).toEqual([0, 0, []]);
  });

  it('are passed on: from domain 2 through 1, both pinned for as long as it takes', () => {
    const g = world();
    g.version2(1);
    g.grant(2, 11, GTF_permit_access | GTF_readonly, 1, FIRST2 + 4);
    g.grant2(1, 9, GTF_transitive, 0, 2, 11);
    g.fill(FIRST2 + 4, 0, bytes(9, 8, 7));
    const from = ['ref', 9, 1, 0] as const, to = ['frame', g.free(0), DOMID_SELF, 0] as const;
    expect(g.copy([from, to, 3], [to, ['ref', 9, 1, 0], 3], [from, to, 2])).toEqual([0, GNTST_general_error, 0]); // domain 2 lets it be read only
    expect(g.bytesAt(g.free(0), 0, 3)).toEqual(bytes(9, 8, 7));
    expect([g.pins(1, 9), g.pins(2, 11), g.flags(1, 9), g.flags(2, 11), g.xen.audit()]).toEqual([0, 0, GTF_transitive, GTF_permit_access | GTF_readonly, []]);
    expect(g.mapGrant(g.va(g.free(1)), READ_HOST, 9, 1).status).toBe(GNTST_general_error);
    for (const other of [1, 7]) { // to itself, and to no one
      g.grant2(1, 9, GTF_transitive, 0, other, 11);
      expect(g.copy([from, to, 3])).toEqual([GNTST_general_error]);
    }
    g.grant2(1, 9, GTF_transitive, 0, 2, 11);
    g.grant(2, 11, GTF_permit_access, 0, FIRST2 + 4); // not to domain 1
    expect(g.copy([from, to, 3])).toEqual([GNTST_general_error]);
    expect(g.xen.audit()).toEqual([]);
  });

  it('that turn into others while in use end the attempt, not the call', () => {
    const g = world();
    g.version2(1);
    g.grant2(1, 9, GTF_permit_access, 0, 0, FIRST1 + 3);
    g.grant(2, 11, GTF_permit_access, 1, FIRST2 + 4);
    const { handle } = g.mapGrant(g.va(g.free(0)), HOST, 9, 1);
    g.grant2(1, 9, GTF_transitive, 0, 2, 11);
    const to = ['frame', g.free(1), DOMID_SELF, 0] as const;
    expect(g.copy([to, ['frame', g.free(2), DOMID_SELF, 0], 8], [['ref', 9, 1, 0], to, 3])).toEqual([0, GNTST_eagain]);
    expect([g.pins(2, 11), g.xen.audit()]).toEqual([0, []]);
    expect(g.unmapGrant(g.va(g.free(0)), 0, handle)).toBe(GNTST_okay);
    expect(g.xen.audit()).toEqual([]);
  });

  it('are copied over themselves 8 bytes at a time, upwards', () => {
    const g = world(), frame = g.free(0), at = (offset: number) => ['frame', frame, DOMID_SELF, offset] as const;
    const data = Uint8Array.from({ length: 24 }, (_x, k) => k);
    g.fill(frame, 0, data);
    expect(g.copy([at(0), at(3), 20])).toEqual([0]);
    const expected = data.slice();
    for (const k of [0, 8]) expected.copyWithin(k + 3, k, k + 8);
    for (let k = 16; k < 20; k++) expected[k + 3] = expected[k];
    expect(g.bytesAt(frame, 0, 24)).toEqual(expected);
    g.fill(frame, 0, data);
    expect(g.copy([at(3), at(0), 20])).toEqual([0]);
    expect(g.bytesAt(frame, 0, 20)).toEqual(data.slice(3, 23));
  });

  it("never let a frame of another domain be named by its number; 4.17.7 as released did, after a grant of that domain's", () => {
    for (const checkEachCopy of [true, false]) {
      const g = world({ checkEachCopy }), to = ['frame', g.free(0), DOMID_SELF, 0] as const;
      g.grant(1, 9, GTF_permit_access, 0, FIRST1 + 3);
      const secret = ['frame', FIRST1 + 5, 1, 0] as const;
      expect(g.copy([secret, to, 4])).toEqual([GNTST_permission_denied]);
      expect(g.copy([['ref', 9, 1, 0], to, 4], [secret, to, 4])).toEqual([0, checkEachCopy ? GNTST_permission_denied : 0]);
      expect(g.copy([['frame', FIRST1 + 5, 7, 0], to, 4])).toEqual([checkEachCopy ? GNTST_bad_domain : GNTST_permission_denied]);
      expect(g.xen.audit()).toEqual([]);
    }
  });

  it('of a batch of copies that cannot be read to its end are done one by one for 64-bit guests, not at all for 32-bit ones', () => {
    const g = world(), one = g.copyOp(['frame', g.free(0), DOMID_SELF, 0], ['frame', g.free(1), DOMID_SELF, 0], 4);
    g.fill(g.free(0), 0, bytes(1, 2, 3, 4));
    g.fill(ARGS, 4096 - one.length, one);
    expect(Number(g.xen.hypercall(g.cpu, 20, BigInt(GNTTABOP_copy), g.va(ARGS) + 4096n - BigInt(one.length), 2n))).toBe(EFAULT);
    expect(g.bytesAt(g.free(1), 0, 4)).toEqual(wide ? bytes(1, 2, 3, 4) : bytes(0, 0, 0, 0));
    expect(g.xen.audit()).toEqual([]);
  });

  it('of frames to be given away: the taker has the frame, or no one', () => {
    const g = world(), { frames, m2p } = g.xen.host, status = (frame: number, to: number, ref: number) => g.op(GNTTABOP_transfer, [g.transferOp(frame, to, ref)]).out[0].getInt16(wide ? 16 : 12, true);
    const give = (frame: number) => g.map(g.va(frame), 0n);
    expect(status(g.free(0), 1, 9)).toBe(GNTST_bad_page); // it is mapped
    [0, 1, 2, 3].forEach(k => expect(give(g.free(k))).toBe(0));
    g.grant(1, 9, GTF_accept_transfer, 0, 0x77);
    expect([status(g.free(0), 1, 9), frames.owner(g.free(0)), m2p.lo(g.free(0))]).toEqual([0, 1, 0x77]);
    expect([g.flags(1, 9), g.bytesAt(0x320, 9 * 8 + 4, 4)]).toEqual([GTF_accept_transfer | 4 | 8, struct([[4, g.free(0)]])]);
    expect(status(g.free(1), 1, 9)).toBe(GNTST_general_error); // it has one; and it may own no more
    expect(status(g.free(2), 7, 9)).toBe(GNTST_bad_domain);
    expect(status(g.free(3), 2, 9)).toBe(GNTST_general_error);
    expect([g.freed, g.others[0].totalPages, frames.isFree(g.free(1))]).toEqual([[g.free(1), g.free(2), g.free(3)], DOMAIN_PAGES + 1, true]);
    expect(g.xen.audit()).toEqual([]);
  });

  it('keep their table where the version cannot change', () => {
    const g = world(), set = (version: number) => { const { rc, out } = g.op(GNTTABOP_set_version, [struct([[4, version]])]); return [rc, out[0].getUint32(0, true)]; };
    g.grant(0, 3, GTF_permit_access, 0, g.free(0));
    g.grant(0, 9, GTF_permit_access, 0, g.free(0));
    const low = g.mapGrant(0n, GNTMAP_device_map, 3, 0), high = g.mapGrant(0n, GNTMAP_device_map, 9, 0);
    expect([set(3), set(2)]).toEqual([[EINVAL, 1], [EBUSY, 1]]); // entry 9 is in use
    expect(g.unmapGrant(0n, g.free(0) * 4096, high.handle)).toBe(GNTST_okay);
    expect([set(2), g.flags(0, 3), g.flags(0, 9)]).toEqual([[0, 2], GTF_permit_access | GTF_reading | GTF_writing, 0]);
    expect(g.unmapGrant(0n, g.free(0) * 4096, low.handle)).toBe(GNTST_okay);
    const [status] = g.domain.grants.statusFrames;
    expect(g.map(g.va(g.free(7)), entryOf(status, DATA))).toBe(0);
    expect([set(1), g.xen.audit()]).toEqual([[EBUSY, 2], []]); // its status is mapped
    expect(g.map(g.va(g.free(7)), 0n)).toBe(0);
    g.grant2(0, 2, GTF_transitive, 0, 1, 9);
    expect(set(1)).toEqual([-34, 2]);
    g.grant2(0, 2, 0, 0, 0, 0);
    expect([set(1), g.flags(0, 3), g.freed, g.xen.audit()]).toEqual([[0, 1], GTF_permit_access, [status], []]);
  });

  it('have tables that grow while there are frames, whole or not at all', () => {
    const spare = [0x350, 0x351, -1];
    const g = world({ source: { allocate: () => -1, allocateShared: () => spare.shift()!, release: () => {} } });
    const setup = (frames: number) => {
      const list = g.va(ARGS) + 512n, fields: [number, number | bigint][] = [[2, DOMID_SELF], [2, 0], [4, frames], [2, 99], [2, 0], ...(wide ? [[4, 0]] as [number, number][] : []), [wide ? 8 : 4, list]];
      return g.op(GNTTABOP_setup_table, [struct(fields)]).out[0].getInt16(8, true);
    };
    expect([setup(65), g.domain.grants.entries]).toEqual([GNTST_general_error, 1024]);
    expect([setup(5), g.domain.grants.entries]).toEqual([GNTST_general_error, 1024]); // the third frame is not there
    spare.push(0x350);
    expect([setup(3), g.domain.grants.entries, g.bytesAt(ARGS, 512 + (wide ? 16 : 8), 2)]).toEqual([GNTST_okay, 1536, bytes(0x50, 3)]);
    expect(g.xen.audit()).toEqual([]);
  });

  it("let caches of another's frame be written back by who uses it", () => {
    const g = world({ budget: 1 }), flush = (mfn: number, command: number, length = 16) => g.op(GNTTABOP_cache_flush, [struct([[8, mfn * 4096], [2, 0], [2, length], [4, command]])]).rc;
    g.grant(1, 9, GTF_permit_access, 0, FIRST1 + 3);
    expect([flush(FIRST1 + 3, 1), flush(g.free(0), 3), flush(g.free(0), 2), flush(0x50, 1), flush(FIRST1 + 3, 1, 0), flush(1 << 30, 1)])
      .toEqual([EINVAL, 0, EOPNOTSUPP, -1, 0, EINVAL]);
    g.mapGrant(0n, GNTMAP_device_map, 9, 1);
    expect([flush(FIRST1 + 3, 1), flush(FIRST1 + 4, 1)]).toEqual([0, EINVAL]);
    // A grant so far up that the search for it is preempted.
    g.others[0].grants.add(g.xen.host, g.others[0], [0x360, 0x361, 0x362, 0x363, 0x364, 0x365, 0x366, 0x367]);
    g.fill(0x367, 100 * 8, struct([[2, GTF_permit_access], [2, 0], [4, FIRST1 + 4]]));
    expect(g.mapGrant(0n, GNTMAP_device_map, 8 * 512 + 100, 1).status).toBe(GNTST_okay);
    expect([flush(FIRST1 + 4, 1), flush(FIRST1 + 5, 1)]).toEqual([0, EINVAL]);
  });

  it('whose domain is gone stop who unmaps them', () => {
    const g = world(), va = g.va(g.free(0));
    g.grant(1, 9, GTF_permit_access, 0, FIRST1 + 3);
    const { handle } = g.mapGrant(va, HOST, 9, 1);
    g.xen.destroyDomain(1);
    expect([g.xen.host.domain(1)?.totalPages, g.xen.audit()]).toEqual([1, []]); // one frame is still mapped
    expect(g.map(va, 0n)).toBe(0); // not as it should be done: now it is gone, the handle is not
    expect([g.xen.host.domain(1), g.xen.audit()]).toEqual([undefined, []]);
    g.unmapGrant(va, 0, handle);
    expect(g.domain.crashed).toContain('domain 1');
  });

  it('are refused with the status that tells why, and nothing is in use', () => {
    const g = world(), va = g.va(g.free(0));
    g.grant(1, 9, GTF_permit_access, 0, FIRST1 + 3);
    g.grant(1, 10, GTF_permit_access, 0, 0x7fffffff);
    g.grant(1, 11, GTF_permit_access, 2, FIRST1 + 3);
    const wrong: [flags: number, ref: number, domid: number, status: number][] = [
      [0, 9, 1, GNTST_bad_gntref], [HOST, 9, 7, GNTST_bad_domain], [HOST, 9, DOMID_SELF, GNTST_bad_domain], [HOST, 512, 1, GNTST_bad_gntref],
      [HOST, 0xffffffff, 1, GNTST_bad_gntref], [HOST, 10, 1, GNTST_bad_page], [HOST, 11, 1, GNTST_general_error], [HOST, 12, 1, GNTST_general_error],
    ];
    for (const [flags, ref, domid, status] of wrong) {
      expect(g.mapGrant(va, flags, ref, domid).status).toBe(status);
      const words = g.others.map(({ grants }) => g.bytesAt(grants.frames[0], 0, 4096));
      expect([g.flags(1, 9), g.pins(1, 9), words[1].some(byte => byte !== 0), g.xen.audit()]).toEqual([GTF_permit_access, 0, false, []]);
    }
  });
});
