/**
 * A hypervisor's invalidations: INVEPT, INVVPID, INVLPGA, and the TLB control of VMRUN. Each removes at least what the manual promises.
 *
 * Source: Intel SDM vol. 3C, "Operations that Invalidate Cached Mappings", "INVEPT", "INVVPID"; AMD APM vol. 2, "TLB Flush", "Invalidate Page,
 *         Alternate ASID" (INVLPGA).
 */
import { NEST_EPT, NEST_LINEAR, NEST_NPT, NEST_PHYSICAL } from '../layout/nested.ts';
import { VCPU_NEST } from '../layout/vcpu.ts';
import { dropAllContexts, dropContext, dropNonGlobalOf, dropPageOf } from '../mmu/invalidate.ts';
import { forContexts } from './context.ts';

const FORMAT_SHIFT = 16;
/** Identifier of a context: VPID or ASID with its format, so that neither is taken for the other. */
export const contextId = (format: number, id: number): number => format << FORMAT_SHIFT | id;

const linear = (w: Int32Array, v: number): number => (w[v + (VCPU_NEST >>> 2)] + NEST_LINEAR) >>> 2;
const physical = (w: Int32Array, v: number): number => (w[v + (VCPU_NEST >>> 2)] + NEST_PHYSICAL) >>> 2;

export const INVEPT_SINGLE = 1;
export const INVEPT_GLOBAL = 2;

/** INVEPT: guest-physical and combined mappings, of one EPT root (bits 51:12 of the pointer) or of all. @returns false where it fails */
export function invept(w: Int32Array, v: number, type: number, rootHi: number, rootLo: number): boolean {
  if (type !== INVEPT_SINGLE && type !== INVEPT_GLOBAL) return false;
  const n = w[v + (VCPU_NEST >>> 2)] >>> 2;
  const wanted = (id: number, lo: number, hi: number) =>
    id >>> FORMAT_SHIFT === NEST_EPT && (type === INVEPT_GLOBAL || (lo === (rootLo & ~0xfff) && hi === rootHi));
  forContexts(w, linear(w, v), wanted, context => dropContext(w, v, context));
  forContexts(w, physical(w, v), wanted, context => dropContext(w, n, context));
  return true;
}

export const INVVPID_ADDRESS = 0;
export const INVVPID_SINGLE = 1;
export const INVVPID_ALL = 2;
export const INVVPID_SINGLE_NONGLOBAL = 3;

/** INVVPID: linear and combined mappings of a VPID, of all PCIDs and EPT roots. @returns false where it fails: a type there is not, VPID 0 */
export function invvpid(w: Int32Array, v: number, type: number, vpid: number, vaHi: number, vaLo: number): boolean {
  if (![INVVPID_ADDRESS, INVVPID_SINGLE, INVVPID_ALL, INVVPID_SINGLE_NONGLOBAL].includes(type) || (vpid === 0 && type !== INVVPID_ALL)) return false;
  forContexts(w, linear(w, v), id => (type === INVVPID_ALL ? id >>> FORMAT_SHIFT === NEST_EPT : id === contextId(NEST_EPT, vpid)), context => {
    if (type === INVVPID_ADDRESS) dropPageOf(w, v, context, vaHi, vaLo);
    else if (type === INVVPID_SINGLE_NONGLOBAL) dropNonGlobalOf(w, v, context);
    else dropContext(w, v, context);
  });
  return true;
}

/** INVLPGA: one page of an ASID, of all PCIDs; ASID 0 is the host's. */
export function invlpga(w: Int32Array, v: number, asid: number, vaHi: number, vaLo: number): void {
  if (asid === 0) dropPageOf(w, v, 0, vaHi, vaLo);
  else forContexts(w, linear(w, v), id => id === contextId(NEST_NPT, asid), context => dropPageOf(w, v, context, vaHi, vaLo));
}

export const TLB_FLUSH_ALL = 1;
export const TLB_FLUSH_GUEST = 3;
export const TLB_FLUSH_GUEST_NONGLOBAL = 7;

/** VMRUN's TLB_CONTROL: 1 everything of every ASID, 3 this guest's, 7 this guest's but global entries. @returns false for another, but 0 */
export function flushAsid(w: Int32Array, v: number, control: number, asid: number): boolean {
  const n = w[v + (VCPU_NEST >>> 2)] >>> 2;
  if (control === TLB_FLUSH_ALL) {
    dropAllContexts(w, v);
    dropAllContexts(w, n);
  } else if (control === TLB_FLUSH_GUEST || control === TLB_FLUSH_GUEST_NONGLOBAL) {
    const wanted = (id: number) => id === contextId(NEST_NPT, asid);
    forContexts(w, linear(w, v), wanted, context => (control === TLB_FLUSH_GUEST ? dropContext : dropNonGlobalOf)(w, v, context));
    forContexts(w, physical(w, v), wanted, context => dropContext(w, n, context));
  } else return control === 0;
  return true;
}
