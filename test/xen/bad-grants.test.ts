/**
 * grant_table_op with each field out of range, one at a time, the others as they should be. Each case names the function of Xen 4.17 that decides
 * (xen/common/grant_table.c if not said otherwise). It is made twice: the first time leaves the status; the second must leave every byte as it was.
 */
import { describe, expect, it } from 'vitest';
import {
  GNTMAP_contains_pte, GNTMAP_device_map, GNTMAP_host_map, GNTMAP_readonly, GNTST_bad_copy_arg, GNTST_bad_dev_addr, GNTST_bad_domain, GNTST_bad_gntref,
  GNTST_bad_handle, GNTST_bad_page, GNTST_bad_virt_addr, GNTST_eagain, GNTST_general_error, GNTST_okay, GNTST_permission_denied, GNTTABOP_cache_flush, GNTTABOP_copy,
  GNTTABOP_get_status_frames, GNTTABOP_get_version, GNTTABOP_map_grant_ref, GNTTABOP_query_size, GNTTABOP_set_version, GNTTABOP_setup_table, GNTTABOP_swap_grant_ref,
  GNTTABOP_transfer, GNTTABOP_unmap_and_replace, GNTTABOP_unmap_grant_ref, GTF_permit_access, GTF_readonly, GTF_sub_page, GTF_transitive,
} from '../../src/xen/grant-numbers.ts';
import { DOMID_IO, DOMID_SELF, DOMID_XEN, HYPERVISOR_grant_table_op } from '../../src/xen/numbers.ts';
import { copyOp, copyStatus, MAP_STATUS, mapOp, struct, transferOp, transferStatus, UNMAP_STATUS, unmapOp, type CopySide } from './grant-struct.ts';
import { DATA_FRAME, SPARE, Tenants, type Tenant } from './tenants.ts';

const EPERM = -1, ESRCH = -3, EFAULT = -14, EINVAL = -22, ENOSYS = -38;
const HOST = GNTMAP_host_map, REF = 9, NOBODY = [77, DOMID_IO, DOMID_XEN, 0x7ff4, 0xffff];
const HUGE = [512, 0x10000, 0xffffffff]; // references that no table of one frame has

interface Scene { readonly world: Tenants; readonly t: Tenant; readonly other: Tenant; readonly wide: boolean; readonly handle: number; readonly bus: number }

/** Domain 1 grants to domain 0, which has one of the grants mapped. */
function scene(wide: boolean): Scene {
  const world = new Tenants({ wide, domains: 3 }), [t, other, third] = world.list, mfn = other.frame(20);
  other.grant(REF, GTF_permit_access, t.id, mfn);
  other.grant(10, GTF_permit_access | GTF_readonly, t.id, mfn);
  other.grant(11, GTF_permit_access | GTF_sub_page, t.id, mfn);
  other.grant(12, GTF_permit_access, third.id, mfn);
  other.grant(13, GTF_permit_access, t.id, 0x7fffffff);
  other.grant(14, GTF_transitive, t.id, mfn);
  other.grant(15, GTF_permit_access, t.id, t.frame(20)); // not its own
  t.grant(REF, GTF_permit_access, t.id, t.frame(21));
  const { handle } = t.mapGrant(t.va(SPARE), HOST | GNTMAP_device_map, REF, other.id);
  t.mapGrant(0n, GNTMAP_device_map, REF, t.id);
  return { world, t, other, wide, handle, bus: mfn * 4096 };
}

type Case = readonly [what: string, make: (s: Scene) => Uint8Array, status: number, by: string];

/** Each with each of several values. */
const each = <T>(what: string, values: readonly T[], make: (s: Scene, value: T) => Uint8Array, status: number, by: string): Case[] =>
  values.map(value => [`${what} ${String(value)}`, (s: Scene) => make(s, value), status, by] as const);

const map = ({ t, other }: Scene, { at = t.va(SPARE + 1), flags = HOST, ref = REF, from = other.id }): Uint8Array => mapOp(at, flags, ref, from);
const maps: Case[] = [
  ...each('flags', [0, GNTMAP_readonly, GNTMAP_contains_pte, 0xfff0], (s, flags) => map(s, { flags: flags & ~3 }), GNTST_bad_gntref, 'map_grant_ref()'),
  ...each('domain', [...NOBODY, DOMID_SELF], (s, from) => map(s, { from }), GNTST_bad_domain, 'map_grant_ref()'),
  ...each('reference', HUGE, (s, ref) => map(s, { ref }), GNTST_bad_gntref, 'map_grant_ref()'),
  ...each('reference of nothing,', [0, 8, 511], (s, ref) => map(s, { ref }), GNTST_general_error, '_set_status_v1()'),
  ...each('reference of part of a page, of another domain, or passed on:', [11, 12, 14], (s, ref) => map(s, { ref }), GNTST_general_error, '_set_status_v1()'),
  ['one to read, to be written', s => map(s, { ref: 10 }), GNTST_general_error, '_set_status_v1()'],
  ...each('frame that is none, or not the granter\'s:', [13, 15], (s, ref) => map(s, { ref, flags: HOST | GNTMAP_readonly }), GNTST_bad_page, 'map_grant_ref()'),
  ...each('address', [0n, 0x1000n, 0x8000_0000_0000n, 0xffff_8000_0000_0000n, 0xffff_ffff_ffff_f000n], (s, at) => map(s, { at }), GNTST_general_error,
    'create_grant_pv_mapping() (xen/arch/x86/pv/grant_table.c)'),
  ...each('entry at byte', [1n, 4n, 7n], (s, beyond) => map(s, { at: s.t.entryAddress(SPARE + 1) + beyond, flags: HOST | GNTMAP_contains_pte }), GNTST_general_error, 'create_grant_pv_mapping()'),
  ...each('entry in frame', [DATA_FRAME, 0], (s, k) => map(s, { at: BigInt(s.t.frame(k)) * 4096n, flags: HOST | GNTMAP_contains_pte }), GNTST_general_error, 'create_grant_pv_mapping()'),
  ['entry of another domain', s => map(s, { at: s.other.entryAddress(SPARE), flags: HOST | GNTMAP_contains_pte }), GNTST_general_error, 'create_grant_pv_mapping()'],
  ['entry beyond memory', s => map(s, { at: 1n << 62n, flags: HOST | GNTMAP_contains_pte }), GNTST_general_error, 'create_grant_pv_mapping()'],
];

const unmaps: Case[] = [
  ...each('handle', [3, 255, 256, 0x7fffffff, 0xffffffff], ({ t }, handle) => unmapOp(t.va(SPARE), 0, handle), GNTST_bad_handle, 'unmap_common()'),
  ...each('address', [1n, 0x1000n, 0xffff_8000_0000_0000n, 0x8000_0000_0000n], ({ handle }, at) => unmapOp(at, 0, handle), GNTST_general_error,
    'replace_grant_pv_mapping() (xen/arch/x86/pv/grant_table.c)'),
  ...each('address of page', [SPARE + 1, DATA_FRAME], ({ t, handle }, k) => unmapOp(t.va(k), 0, handle), GNTST_general_error, 'replace_grant_pv_mapping()'),
];
const unmapsOnly: Case[] = [
  ...each('bus address', [1, 4096, -1], ({ t, handle, bus }, by) => unmapOp(t.va(SPARE), BigInt(bus + by), handle), GNTST_bad_dev_addr, 'unmap_common()'),
  ['no address', ({ handle }) => unmapOp(0n, 0, handle), GNTST_okay, 'unmap_common()'],
];
const replaces: Case[] = each('other address', [0x1000n, 0xffff_8000_0000_0000n, 0x8000_0000_0000n], ({ t, handle }, at) => unmapOp(t.va(SPARE), at, handle), GNTST_general_error,
  'steal_linear_address() (xen/arch/x86/pv/grant_table.c)');

const own = ({ t }: Scene, offset = 0, frame = t.frame(DATA_FRAME)): CopySide => ['frame', frame, DOMID_SELF, offset];
const theirs = ({ other }: Scene, ref = REF, offset = 0, domid = other.id): CopySide => ['ref', ref, domid, offset];
const copies: Case[] = [
  ...each('source domain', NOBODY, (s, domid) => copyOp(s.wide, theirs(s, REF, 0, domid), own(s), 8), GNTST_bad_domain, 'gnttab_copy_lock_domain()'),
  ...each('destination domain', NOBODY, (s, domid) => copyOp(s.wide, own(s), theirs(s, REF, 0, domid), 8), GNTST_bad_domain, 'gnttab_copy_lock_domain()'),
  ['source frame of another', s => copyOp(s.wide, ['frame', s.other.frame(20), s.other.id, 0], own(s), 8), GNTST_permission_denied, 'gnttab_copy_lock_domain()'],
  ['destination frame of another', s => copyOp(s.wide, own(s), ['frame', s.other.frame(20), s.other.id, 0], 8), GNTST_permission_denied, 'gnttab_copy_lock_domain()'],
  ...each('source frame', [0x50, 0x9ff, 0x7fffffff, 0xffffffff], (s, frame) => copyOp(s.wide, own(s, 0, frame), own(s), 8), GNTST_bad_page, 'gnttab_copy_claim_buf()'),
  ...each('destination frame', [0x50, 0x9ff, 0x7fffffff, 0xffffffff], (s, frame) => copyOp(s.wide, own(s), own(s, 0, frame), 8), GNTST_bad_page, 'gnttab_copy_claim_buf()'),
  ['destination that is a page table', s => copyOp(s.wide, own(s), own(s, 0, s.t.level1), 8), GNTST_general_error, 'gnttab_copy_claim_buf()'],
  ...each('source reference', HUGE, (s, ref) => copyOp(s.wide, theirs(s, ref), own(s), 8), GNTST_bad_gntref, 'acquire_grant_for_copy()'),
  ...each('destination reference', HUGE, (s, ref) => copyOp(s.wide, own(s), theirs(s, ref), 8), GNTST_bad_gntref, 'acquire_grant_for_copy()'),
  ...each('reference of nothing, of another, passed on:', [0, 12, 14], (s, ref) => copyOp(s.wide, theirs(s, ref), own(s), 8), GNTST_general_error, '_set_status_v1()'),
  ['destination to read', s => copyOp(s.wide, own(s), theirs(s, 10), 8), GNTST_general_error, '_set_status_v1()'],
  ...each('granted frame that is none:', [13, 15], (s, ref) => copyOp(s.wide, theirs(s, ref), own(s), 8), GNTST_bad_page, 'acquire_grant_for_copy()'),
  ...each('source offset', [4089, 4096, 0xffff], (s, at) => copyOp(s.wide, theirs(s, REF, at), own(s), 8), GNTST_bad_copy_arg, 'gnttab_copy_buf()'),
  ...each('destination offset', [4089, 4096, 0xffff], (s, at) => copyOp(s.wide, theirs(s), own(s, at), 8), GNTST_bad_copy_arg, 'gnttab_copy_buf()'),
  ...each('length', [4097, 0x8000, 0xffff], (s, length) => copyOp(s.wide, theirs(s), own(s), length), GNTST_bad_copy_arg, 'gnttab_copy_buf()'),
  ['length 0', s => copyOp(s.wide, theirs(s), own(s, 4096), 0), GNTST_okay, 'gnttab_copy_buf()'],
];

const transfers: Case[] = [
  ...each('frame', [0x50, 0x9ff, 0x7fffffff, 0xffffffff], (s, frame) => transferOp(s.wide, frame, s.other.id, REF), GNTST_bad_page, 'steal_page() (xen/arch/x86/mm.c)'),
  ...each('frame in use,', [0, DATA_FRAME, 20], (s, k) => transferOp(s.wide, s.t.frame(k), s.other.id, REF), GNTST_bad_page, 'steal_page()'),
  ['frame of another', s => transferOp(s.wide, s.other.frame(21), s.other.id, REF), GNTST_bad_page, 'steal_page()'],
];

const swap = (a: number, b: number): Uint8Array => struct([[4, a], [4, b], [2, 99], [2, 0]]);
const swaps: Case[] = [
  ...each('first', HUGE, (_s, ref) => swap(ref, 8), GNTST_bad_gntref, 'gnttab_swap_grant_ref()'),
  ...each('second', HUGE, (_s, ref) => swap(8, ref), GNTST_bad_gntref, 'gnttab_swap_grant_ref()'),
  ['first in use', () => swap(REF, 8), GNTST_eagain, 'gnttab_swap_grant_ref()'],
  ['second in use', () => swap(8, REF), GNTST_eagain, 'gnttab_swap_grant_ref()'],
  ['both the same', () => swap(REF, REF), GNTST_okay, 'gnttab_swap_grant_ref()'],
];

const setup = ({ wide, t }: Scene, { domid = DOMID_SELF, frames = 1, list = t.va(63) + 1024n }): Uint8Array =>
  struct([[2, domid], [2, 0], [4, frames], [2, 99], [2, 0], ...(wide ? [[4, 0] as const] : []), [wide ? 8 : 4, list]]);
const setups: Case[] = [
  ...each('domain', NOBODY, (s, domid) => setup(s, { domid }), GNTST_bad_domain, 'gnttab_setup_table()'),
  ['another domain', s => setup(s, { domid: s.other.id }), GNTST_permission_denied, 'xsm_grant_setup(), gnttab_setup_table()'],
  ...each('frames', [65, 1024, 2000], (s, frames) => setup(s, { frames }), GNTST_general_error, 'gnttab_setup_table()'),
  ['list that is not mapped', s => setup(s, { list: s.t.va(SPARE + 5) }), GNTST_bad_virt_addr, 'gnttab_setup_table()'],
  ["list among the hypervisor's addresses", s => setup(s, { list: s.wide ? 0xffff_8100_0000_0000n : 0xf580_0000n }), EFAULT, 'guest_handle_okay(), gnttab_setup_table()'],
  ['no frames', s => setup(s, { frames: 0, list: 0n }), GNTST_okay, 'gnttab_setup_table()'],
];
const status = ({ t }: Scene, { domid = DOMID_SELF, frames = 0, list = t.va(63) + 1024n }): Uint8Array => struct([[4, frames], [2, domid], [2, 99], [8, list]]);
const statuses: Case[] = [
  ...each('domain', NOBODY, (s, domid) => status(s, { domid }), GNTST_bad_domain, 'gnttab_get_status_frames()'),
  ['another domain', s => status(s, { domid: s.other.id }), GNTST_permission_denied, 'xsm_grant_setup(), gnttab_get_status_frames()'],
  ...each('frames', [1, 2000], (s, frames) => status(s, { frames }), GNTST_general_error, 'gnttab_get_status_frames()'),
  ["list among the hypervisor's addresses", s => status(s, { frames: 1, list: s.wide ? 0xffff_8100_0000_0000n : 0xf580_0000n }), EFAULT, 'guest_handle_okay(), gnttab_get_status_frames()'],
];
const sizes: Case[] = [
  ...each('domain', NOBODY, (_s, domid) => struct([[2, domid], [2, 0], [4, 7], [4, 7], [2, 99], [2, 0]]), GNTST_bad_domain, 'gnttab_query_size()'),
  ['another domain', s => struct([[2, s.other.id], [2, 0], [4, 7], [4, 7], [2, 99], [2, 0]]), GNTST_permission_denied, 'xsm_grant_query_size(), gnttab_query_size()'],
];

// Those without a status of their own: -XEN_E* of the call.
const version = (domid: number): Uint8Array => struct([[2, domid], [2, 0], [4, 0]]);
const versions: Case[] = [
  ...each('domain', NOBODY, (_s, domid) => version(domid), ESRCH, 'gnttab_get_version()'), ['another domain', s => version(s.other.id), EPERM, 'xsm_grant_query_size(), gnttab_get_version()'],
];
const setVersions: Case[] = each('version', [0, 3, 0x10001, 0xffffffff], (_s, value) => struct([[4, value]]), EINVAL, 'gnttab_set_version()');
const flush = (mfn: number, offset: number, length: number, command: number): Uint8Array => struct([[8, BigInt(mfn) << 12n], [2, offset], [2, length], [4, command]]);
const flushes: Case[] = [
  ...each('offset', [4096, 4090, 0xffff], (s, offset) => flush(s.t.frame(20), offset, 16, 1), EINVAL, '_cache_flush()'),
  ...each('length', [4097, 0xffff], (s, length) => flush(s.t.frame(20), 0, length, 1), EINVAL, '_cache_flush()'),
  ...each('command', [4, 5, 0x80000000], (s, command) => flush(s.t.frame(20), 0, 16, command >>> 0), EINVAL, '_cache_flush()'),
  ...each('frame', [0xa00, 2 ** 40], (_s, mfn) => flush(mfn, 0, 16, 1), EINVAL, '_cache_flush()'),
  ...each('frame of no domain,', [0x50, 0x9ff], (_s, mfn) => flush(mfn, 0, 16, 1), EPERM, '_cache_flush()'),
  ['frame that is not granted', s => flush(s.other.frame(21), 0, 16, 1), EINVAL, 'grant_map_exists()'],
];

const commands: [name: string, command: number, cases: Case[], statusAt: ((wide: boolean) => number) | undefined][] = [
  ['map_grant_ref', GNTTABOP_map_grant_ref, maps, () => MAP_STATUS],
  ['unmap_grant_ref', GNTTABOP_unmap_grant_ref, [...unmaps, ...unmapsOnly], () => UNMAP_STATUS],
  ['unmap_and_replace', GNTTABOP_unmap_and_replace, [...unmaps, ...replaces], () => UNMAP_STATUS],
  ['copy', GNTTABOP_copy, copies, copyStatus],
  ['transfer', GNTTABOP_transfer, transfers, transferStatus],
  ['swap_grant_ref', GNTTABOP_swap_grant_ref, swaps, () => 8],
  ['setup_table', GNTTABOP_setup_table, setups, () => 8],
  ['get_status_frames', GNTTABOP_get_status_frames, statuses, () => 6],
  ['query_size', GNTTABOP_query_size, sizes, () => 12],
  ['get_version', GNTTABOP_get_version, versions, undefined],
  ['set_version', GNTTABOP_set_version, setVersions, undefined],
  ['cache_flush', GNTTABOP_cache_flush, flushes, undefined],
];

describe.each([['64-bit', true], ['32-bit', false]] as const)('a %s guest', (_, wide) => {
  const s = scene(wide), { world, t } = s;

  it.each(commands)('calls %s with a field out of range', (_name, command, cases, statusAt) => {
    for (const [what, make, expected, by] of cases) {
      const data = make(s), call = () => {
        const { rc, out } = t.grantOp(command, data);
        return statusAt === undefined ? rc : rc || out[0].getInt16(statusAt(wide), true);
      };
      expect([what, by, call()]).toEqual([what, by, expected]);
      const before = world.state();
      expect([what, call(), Buffer.compare(before, world.state())]).toEqual([what, expected, 0]);
    }
  });

  it('calls with a command, a count or an address out of range (do_grant_table_op(), compat_grant_table_op())', () => {
    const call = (command: number | bigint, at: bigint, count: bigint): number => t.call(HYPERVISOR_grant_table_op, BigInt(command), at, count);
    const [good, arrays] = [t.leave(map(s, { ref: 0 })), [0, 1, 4, 5, 7, 11, 12]], before = world.state();
    for (const command of [3, 13, 14, 0xfff]) expect(call(command, good, 1n)).toBe(ENOSYS);
    for (const command of [0x1000, 0x1001, 0x80000000, 0xfffff000]) expect(call(command, good, 1n)).toBe(EINVAL);
    for (const command of [...arrays, 2, 6, 9]) expect([command, call(command, good, 0x80000000n), call(command, good, 0xffffffffn)]).toEqual([command, EINVAL, EINVAL]);
    for (const command of arrays) expect([command, call(command, good, 0n)]).toEqual([command, 0]);
    for (const command of [2, 6, 9]) expect([command, call(command, good, 2n), call(command, good, 0n)]).toEqual([command, EINVAL, wide || command === 6 ? EINVAL : 0]);
    const bad = wide ? [0n, 0x1000n, 0x8000_0000_0000n, 0xffff_8000_0000_0000n, 0xffff_87ff_ffff_ffffn, t.va(SPARE + 5)] : [0n, 0x1000n, 0xffff_f000n, t.va(SPARE + 5)];
    for (const command of [...arrays, 2, 6, 8, 9, 10]) {
      for (const at of bad) expect([command, at, call(command, at, 1n)]).toEqual([command, at, EFAULT]);
    }
    for (const at of bad) expect(call(0, at, 0x7fffffffn)).toBe(EFAULT);
    expect(Buffer.compare(before, world.state())).toBe(0);
  });
});
