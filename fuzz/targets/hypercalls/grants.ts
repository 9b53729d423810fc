/** Operations on grants: entries that domains write, and grant_table_op. */
import {
  GNTMAP_contains_pte, GNTTABOP_cache_flush, GNTTABOP_get_status_frames, GNTTABOP_get_version, GNTTABOP_map_grant_ref, GNTTABOP_query_size, GNTTABOP_setup_table, GNTTABOP_swap_grant_ref,
  GNTTABOP_unmap_and_replace, GTF_accept_transfer, GTF_permit_access, GTF_readonly, GTF_sub_page, GTF_transitive,
} from '../../../src/xen/grant-numbers.ts';
import { DOMID_SELF, HYPERVISOR_grant_table_op, HYPERVISOR_update_va_mapping } from '../../../src/xen/numbers.ts';
import { MAP_STATUS, mapOp, struct, UNMAP_STATUS, unmapOp, type CopySide } from '../../../test/xen/grant-struct.ts';
import type { Tenant } from '../../../test/xen/tenants.ts';
import type { Operation } from '../../operation.ts';
import { FRAMES, ID_CHOICES, PAGES, type World } from './world.ts';

const DOM = 3, MOST_MAPPED = 32, FIRST_GIVEN = 24;
const REFS = [8, 9, 10, 8, 9, 10, 6, 7, 511, 512, 5000, 0x7fffffff];
const KINDS = [GTF_permit_access, GTF_permit_access, GTF_permit_access | GTF_readonly, GTF_accept_transfer, GTF_transitive, GTF_permit_access | GTF_sub_page, 0, GTF_permit_access | 0x18];
const MAP_FLAGS = [2, 2, 3, 6, 7, 1, 10, 0, 4, 14, 0x50002, 0x10];
/** Offset and length of a sub-page, or the domain and reference of a transitive grant. */
const SECOND = [0, 100 | (200 << 16), 4000 | (96 << 16), 4000 | (97 << 16), 0x7fffffff];

const side = (w: World, t: Tenant, kind: number, what: number, id: number, offset: number): CopySide =>
  kind === 0 ? ['ref', REFS[what % REFS.length]!, w.id(id), offset] : ['frame', w.frame(t, what), kind === 1 ? DOMID_SELF : w.id(id), offset];

function grantCall(t: Tenant, command: number, data: Uint8Array, count = 1): number {
  return t.call(HYPERVISOR_grant_table_op, BigInt(command), t.leave(data), BigInt(count));
}

const status = (rc: number, out: number): number => (rc === 0 ? out : rc);

export const GRANT_OPERATIONS: readonly Operation<World>[] = [
  { name: 'entry', share: 4, fields: { domain: DOM, ref: [8, 9, 10, 6, 511, 512], kind: KINDS, to: 4, frame: FRAMES, second: SECOND }, run(w, [d, ref, kind, to, frame, second]) {
    const t = w.domain(d!), id = to! < DOM ? w.id(to!) : 77;
    if (t.domain.grants.frames.length === 0) return -1;
    if (t.domain.grants.version === 1) t.grant(ref!, kind!, id, w.frame(t, frame!));
    else if (ref! < 256) t.grant2(ref!, kind!, id, kind === GTF_transitive ? w.id(second! & 3) : second!, kind === GTF_transitive ? ref! ^ 1 : w.frame(t, frame!));
    return 0;
  } },
  { name: 'mapGrant', share: 5, fields: { domain: DOM, page: PAGES, flags: MAP_FLAGS, ref: REFS, from: ID_CHOICES, entry: [0, 0, 0, GNTMAP_contains_pte] }, run(w, [d, page, flags, ref, from, entry]) {
    const t = w.domain(d!), k = w.page(page!), at = entry! !== 0 ? t.entryAddress(k & 511) : t.va(k), id = w.id(from!);
    const { rc, out: [view] } = t.grantOp(GNTTABOP_map_grant_ref, mapOp(at, flags! | entry!, ref!, id)), answer = status(rc, view!.getInt16(MAP_STATUS, true)), handle = view!.getUint32(20, true);
    const owner = w.tenants.xen.host.domain(id === DOMID_SELF ? t.id : id);
    // A call that is under way has answered nothing yet.
    if (answer === 0 && owner && ref! < owner.grants.entries) w.mapped = [...w.mapped.slice(1 - MOST_MAPPED), { by: t.id, at, bus: owner.grants.active.mfn(ref!) * 4096, handle }];
    return answer;
  } },
  { name: 'unmapGrant', share: 5, fields: { domain: DOM, which: 8, page: PAGES, as: [0, 0, 0, 1, 2, 3], device: [1, 1, 0], replace: [0, 0, 0, 1, 2] }, run(w, [d, which, page, as, device, replace]) {
    const t = w.domain(d!), mine = w.mapped.filter(({ by }) => by === t.id), known = as === 3 ? undefined : mine[which! % Math.max(1, mine.length)];
    const at = known && as !== 1 ? known.at : t.va(w.page(page!)), handle = known && as !== 2 ? known.handle : which!;
    if (replace === 0) return t.unmapGrant(at, known && device === 1 ? known.bus : 0, handle);
    const { rc, out } = t.grantOp(GNTTABOP_unmap_and_replace, unmapOp(at, replace === 1 ? t.va(w.page(page!)) : 0n, handle));
    return status(rc, out[0]!.getInt16(UNMAP_STATUS, true));
  } },
  { name: 'copy', share: 4, fields: { domain: DOM, from: 3, source: FRAMES, of: ID_CHOICES, to: 3, dest: FRAMES, by: ID_CHOICES, size: 24 }, run(w, [d, from, source, of, to, dest, by, size]) {
    const t = w.domain(d!), offset = [0, 100, 4000, 4095][size! & 3]!, length = [8, 0, 64, 96, 97, 4096][size! >> 2]!;
    return t.copy([side(w, t, from!, source!, of!, offset), side(w, t, to!, dest!, by!, offset >> 1), length])[0]!;
  } },
  { name: 'copies', fields: { domain: DOM, source: FRAMES, dest: FRAMES, of: ID_CHOICES, by: ID_CHOICES, kinds: 9 }, run(w, [d, source, dest, of, by, kinds]) {
    const t = w.domain(d!), from = kinds! % 3, to = Math.floor(kinds! / 3);
    return t.copy(...[0, 1, 2].map(k => [side(w, t, from, (source! + k) % FRAMES, of!, 8), side(w, t, to, (dest! + k) % FRAMES, by!, 16), 32] as const)).reduce((sum, one) => sum * 16 + one, 0);
  } },
  { name: 'transfer', share: 2, fields: { domain: DOM, given: 8, hidden: [1, 1, 1, 0], to: ID_CHOICES, ref: REFS }, run(w, [d, given, hidden, to, ref]) {
    const t = w.domain(d!), frame = t.frame(FIRST_GIVEN + given!), va = t.va(FIRST_GIVEN + given!);
    if (hidden === 1) t.call(HYPERVISOR_update_va_mapping, ...(w.wide ? [va, 0n, 2n] : [va, 0n, 0n, 2n]));
    const rc = t.transfer(frame, w.id(to!), ref!);
    if (rc === 0) w.lastFrame = frame;
    return rc;
  } },
  { name: 'version', share: 2, fields: { domain: DOM, version: [2, 1, 0, 3] }, run: (w, [d, version]) => w.domain(d!).setVersion(version!) },
  { name: 'swap', share: 2, fields: { domain: DOM, a: REFS, b: REFS }, run(w, [d, a, b]) {
    const { rc, out } = w.domain(d!).grantOp(GNTTABOP_swap_grant_ref, struct([[4, a!], [4, b!], [2, 0], [2, 0]]));
    return status(rc, out[0]!.getInt16(8, true));
  } },
  { name: 'setup', fields: { domain: DOM, id: ID_CHOICES, frames: [1, 2, 4, 5, 0, 0x7fffffff], status: [0, 0, 1] }, run(w, [d, id, frames, statusFrames]) {
    const t = w.domain(d!), list = t.va(63) + 2048n;
    if (statusFrames === 1) return t.grantOp(GNTTABOP_get_status_frames, struct([[4, frames!], [2, w.id(id!)], [2, 0], [8, list & 0xffffffffffffffffn]])).rc;
    const rest = w.wide ? [[4, 0], [8, list & 0xffffffffffffffffn]] as const : [[4, list & 0xffffffffn]] as const;
    const { rc, out } = t.grantOp(GNTTABOP_setup_table, struct([[2, w.id(id!)], [2, 0], [4, frames!], [2, 0], [2, 0], ...rest]));
    return status(rc, out[0]!.getInt16(8, true));
  } },
  { name: 'query', fields: { domain: DOM, id: ID_CHOICES, what: [GNTTABOP_query_size, GNTTABOP_get_version] }, run: (w, [d, id, what]) => grantCall(w.domain(d!), what!, struct([[2, w.id(id!)], [2, 0], [4, 0], [4, 0], [4, 0]])) },
  { name: 'cache', fields: { domain: DOM, frame: FRAMES, ref: REFS, offset: [0, 64, 4096], length: [64, 0, 4096], flags: [1, 2, 3, 0x80000000, 0x80000001, 4] }, run(w, [d, frame, ref, offset, length, flags]) {
    const t = w.domain(d!), at = flags! >= 0x80000000 ? ref! : w.frame(t, frame!) * 4096;
    return grantCall(t, GNTTABOP_cache_flush, struct([[8, at], [2, offset!], [2, length!], [4, flags!]]));
  } },
  { name: 'grantRaw', fields: { domain: DOM, command: 16, count: [1, 2, 0, 3, 0x7fffffff], a: REFS, b: ID_CHOICES }, run(w, [d, command, count, a, b]) {
    return grantCall(w.domain(d!), command!, struct([[4, a!], [2, w.id(b!)], [2, 0], [8, a!], [8, 0], [8, 0]]), count);
  } },
];

