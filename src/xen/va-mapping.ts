/**
 * The hypercalls update_va_mapping and update_va_mapping_otherdomain: one level-1 entry, by the linear address it maps, and a flush.
 *
 * Source: facts of Xen 4.17, __do_update_va_mapping(), vcpumask_to_pcpumask() (xen/arch/x86/mm.c), compat_update_va_mapping().
 */
import { MMU_NORMAL_PT_UPDATE, PGT_COUNT, PGT_VALIDATED } from '../layout/frame.ts';
import { SCOPE_PAGES } from '../layout/mailbox.ts';
import { EVERYTHING, type Scope } from '../machine/scope.ts';
import { ASKED, CALLS_TO_UPDATE_VA } from './counters.ts';
import type { Domain } from './domain.ts';
import { tableFor } from './guest-entry.ts';
import { addressOk, copyFromGuest } from './guest-memory.ts';
import type { Host } from './host.ts';
import { modL1 } from './mod-entry.ts';
import { UVMF_ALL, UVMF_FLUSHTYPE_MASK, UVMF_INVLPG, UVMF_LOCAL, UVMF_TLB_FLUSH, XEN_EFAULT, XEN_EINVAL, XEN_EPERM, XEN_ESRCH } from './numbers.ts';
import { levelOf } from './page-type.ts';
import { updateOne } from './runs.ts';
import { ENTRIES_SEEN, FLUSHES, INVLPGS, REQUESTS } from './work.ts';

/** Arguments: address, entry, flags, and for another domain's frames its number. A 32-bit guest passes the entry as two. @param at - word index */
export function updateVaMapping(h: Host, at: number, other: boolean): number {
  const w = h.s.w, wide = h.current.domain.is32 ? 0 : 1;
  const vaLo = w[at], vaHi = wide ? w[at + 1] : 0, lo = w[at + 2], hi = wide ? w[at + 3] : w[at + 4];
  const flagsAt = wide ? at + 4 : at + 6, owner = other ? h.foreignDomain(w[flagsAt + 2] & 0xffff) : h.current.domain;
  if (owner === undefined) return -XEN_ESRCH;
  const flagsLo = w[flagsAt], flagsHi = wide ? w[flagsAt + 1] : 0;
  h.counters.add(CALLS_TO_UPDATE_VA, 1);
  h.counters.work.add(REQUESTS, 1);
  h.counters.work.add(ENTRIES_SEEN, 1);
  if (!h.mayControl(owner)) return -XEN_EPERM;
  const rc = changeAt(h, vaHi, vaLo, lo, hi, owner);
  return rc === 0 ? flush(h, vaHi, vaLo, flagsLo, flagsHi) : rc;
}

function changeAt(h: Host, vaHi: number, vaLo: number, lo: number, hi: number, frameOwner: Domain): number {
  const { domain } = h.current, table = tableFor(h, vaHi, vaLo), slot = (vaLo >>> 12) & 0x1ff;
  if (table >= 0 && frameOwner === domain && updateOne(h, (table << 12) | (slot << 3), (table / 0x100000) | 0, lo, hi, domain)) return 0;
  if (table < 0 || !h.frames.getPage(table, domain.id)) return -XEN_EINVAL;
  const type = h.frames.type(table);
  let rc = -XEN_EINVAL;
  if ((type & PGT_VALIDATED) !== 0 && (type & PGT_COUNT) !== 0 && levelOf(type) === 1) {
    rc = modL1(h, h.table(table) + slot * 2, lo, hi, MMU_NORMAL_PT_UPDATE, domain, frameOwner);
  }
  h.frames.putPage(table);
  return rc;
}

function flush(h: Host, vaHi: number, vaLo: number, flagsLo: number, flagsHi: number): number {
  const type = flagsLo & UVMF_FLUSHTYPE_MASK, who = flagsLo & ~UVMF_FLUSHTYPE_MASK;
  if (type !== UVMF_TLB_FLUSH && type !== UVMF_INVLPG) return 0;
  const one = type === UVMF_INVLPG;
  if (flagsHi === 0 && who === UVMF_ALL) {
    flushEvery(h, one, vaHi, vaLo);
  } else if (flagsHi === 0 && who === UVMF_LOCAL) {
    flushOwn(h, one, vaHi, vaLo);
  } else {
    const mask = vcpuMask(h, flagsHi, who);
    if (mask === undefined) return -XEN_EFAULT;
    flushMasked(h, mask, one, vaHi, vaLo);
  }
  return 0;
}

/** vCPUs that a bit map in guest memory names; undefined if it cannot be read. */
export function vcpuMask(h: Host, hi: number, lo: number): bigint | undefined {
  const most = h.current.domain.maxVcpus, step = h.current.domain.is32 ? 4 : 8;
  let mask = 0n;
  for (let first = 0; first < most; first += step * 8) {
    const at = lo + first / 8, carry = at >= 2 ** 31 && lo < 0 ? 1 : 0;
    if (!copyFromGuest(h, (hi + carry) | 0, at | 0, step)) return undefined;
    const word = BigInt(h.buffer[0] >>> 0) | (step === 8 ? BigInt(h.buffer[1] >>> 0) << 32n : 0n);
    mask |= word << BigInt(first);
  }
  return mask;
}

const page: Scope = { kind: SCOPE_PAGES, id: 0, hi: 0, lo: 0, pages: 1 };

/** What one address is to an invalidation, or all; undefined: an address that is not the guest's. */
function scopeAt(one: boolean, vaHi: number, vaLo: number): Readonly<Scope> | undefined {
  if (!one) return EVERYTHING;
  page.hi = vaHi;
  page.lo = vaLo;
  return addressOk(vaHi) ? page : undefined;
}

/** Invalidate one address, or everything, on the vCPU that makes the call. */
export function flushOwn(h: Host, one: boolean, vaHi: number, vaLo: number): void {
  const scope = scopeAt(one, vaHi, vaLo);
  if (scope === undefined) return;
  h.machine.shootdowns.here(h.current.v, scope);
  h.counters.work.add(one ? INVLPGS : FLUSHES, 1);
}

/** ... on all of the current domain. */
export function flushEvery(h: Host, one: boolean, vaHi: number, vaLo: number): void {
  const scope = scopeAt(one, vaHi, vaLo);
  if (scope !== undefined) h.invalidate(h.current.domain.vcpus, scope, ASKED);
}

/** ... on those of a mask. */
export function flushMasked(h: Host, mask: bigint, one: boolean, vaHi: number, vaLo: number): void {
  const scope = scopeAt(one, vaHi, vaLo);
  if (scope !== undefined) h.invalidate(h.current.domain.vcpus.filter((_, k) => ((mask >> BigInt(k)) & 1n) !== 0n), scope, ASKED);
}
