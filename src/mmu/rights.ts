/**
 * May an access use a translation?
 *
 * The answer is two masks and a set of protection keys for each kind of access, worked out once when a control register changes, so that
 * a TLB hit is checked with three operations.
 *
 * Source: Intel SDM vol. 3A, "Access Rights" ("Determination of Access Rights", "Protection Keys") and "Page-Fault Exceptions"; vol. 1,
 *         "Control-flow Enforcement Technology", and SDM vol. 3A on shadow-stack accesses in "Determination of Access Rights".
 */
import {
  ACCESS_FETCH, ACCESS_IMPLICIT, ACCESS_RIGHTS, ACCESS_SHADOW_STACK, ACCESS_USER, ACCESS_WRITE, PFEC_PK,
} from '../arch/fault.ts';
import { CR0_WP, CR4_PKE, CR4_PKS, CR4_SMAP, CR4_SMEP, EFER_LMA, EFER_NXE } from '../arch/registers.ts';
import { TLBD_D, TLBD_NOFETCH, TLBD_NOREAD, TLBD_PKEY_SHIFT, TLBD_RW, TLBD_SSTK, TLBD_US, TLBD_XD } from '../layout/tlb.ts';
import {
  RIGHTS_FORBID, RIGHTS_NEED, RIGHTS_PKEY_SUPER, RIGHTS_PKEY_USER, RIGHTS_STRIDE, MODE_FLAT, VCPU_AC, VCPU_CR0, VCPU_CR4, VCPU_EFER, VCPU_MODE, VCPU_PKRS,
  VCPU_PKRU, VCPU_RIGHTS, VCPU_UNPLAIN, UNPLAIN_KEYS,
} from '../layout/vcpu.ts';
import { memoDrop } from './memo.ts';

/** Every combination of the bits that choose a row; rows between them are never asked for. */
const ACCESSES = Array.from({ length: ACCESS_RIGHTS + 1 }, (_, access) => access).filter(access => (access & ~ACCESS_RIGHTS) === 0);

/** Why an access is refused: 0 = it is not; else PFEC_PK if a protection key refuses it, and REFUSED. */
export const REFUSED = 1 << 16;

/**
 * Check an access against a translation.
 *
 * @param w - state words; @param v - word index of the vCPU block
 * @param data - low word of the translation as TLB data (layout/tlb.ts)
 */
export function refused(w: Int32Array, v: number, data: number, access: number): number {
  const row = v + (VCPU_RIGHTS >>> 2) + ((access & ACCESS_RIGHTS) >>> 1) * (RIGHTS_STRIDE >>> 2);
  const denied = w[row + ((data & TLBD_US ? RIGHTS_PKEY_USER : RIGHTS_PKEY_SUPER) >>> 2)];
  const byKey = (denied >>> ((data >>> TLBD_PKEY_SHIFT) & 15)) & 1;
  const byRights = (~data & w[row + (RIGHTS_NEED >>> 2)]) | (data & w[row + (RIGHTS_FORBID >>> 2)]);
  if ((byRights | byKey) === 0) return 0;
  return byKey ? REFUSED | PFEC_PK : REFUSED;
}

/** Work out the rights table from the registers. */
export function recomputeRights(w: Int32Array, v: number): void {
  let keys = 0;
  for (const access of ACCESSES) {
    const row = access >>> 1;
    const at = v + (VCPU_RIGHTS >>> 2) + row * (RIGHTS_STRIDE >>> 2);
    w[at + (RIGHTS_NEED >>> 2)] = needed(w, v, access);
    w[at + (RIGHTS_FORBID >>> 2)] = forbidden(w, v, access);
    w[at + (RIGHTS_PKEY_USER >>> 2)] = deniedKeys(w, v, access, CR4_PKE, w[v + (VCPU_PKRU >>> 2)], access & ACCESS_USER);
    w[at + (RIGHTS_PKEY_SUPER >>> 2)] = deniedKeys(w, v, access, CR4_PKS, w[v + (VCPU_PKRS >>> 2)], 0);
    keys |= w[at + (RIGHTS_PKEY_USER >>> 2)] | w[at + (RIGHTS_PKEY_SUPER >>> 2)];
  }
  const unplain = v + (VCPU_UNPLAIN >>> 2);
  w[unplain] = keys === 0 ? w[unplain] & ~UNPLAIN_KEYS : w[unplain] | UNPLAIN_KEYS;
  memoDrop(w, v);
}

function needed(w: Int32Array, v: number, access: number): number {
  if (w[v + (VCPU_MODE >>> 2)] === MODE_FLAT) return access & ACCESS_WRITE ? TLBD_D : 0;
  let need = access & ACCESS_USER ? TLBD_US : 0;
  if (access & ACCESS_SHADOW_STACK) return need | TLBD_SSTK;
  if (access & ACCESS_WRITE) {
    need |= TLBD_D; // a cached translation with D = 0 sends a write back to the tables
    if (access & ACCESS_USER || w[v + (VCPU_CR0 >>> 2)] & CR0_WP) need |= TLBD_RW;
  }
  return need;
}

function forbidden(w: Int32Array, v: number, access: number): number {
  const host = access & ACCESS_FETCH ? TLBD_NOFETCH : TLBD_NOREAD;
  return w[v + (VCPU_MODE >>> 2)] === MODE_FLAT ? host : host | forbiddenByGuest(w, v, access);
}

function forbiddenByGuest(w: Int32Array, v: number, access: number): number {
  const cr4 = w[v + (VCPU_CR4 >>> 2)];
  const noUserPage = access & ACCESS_USER ? 0 : TLBD_US;
  if (access & ACCESS_FETCH) {
    const xd = w[v + (VCPU_EFER >>> 2)] & EFER_NXE ? TLBD_XD : 0;
    return xd | (cr4 & CR4_SMEP ? noUserPage : 0);
  }
  if (access & ACCESS_SHADOW_STACK) return noUserPage; // supervisor shadow-stack accesses use supervisor pages only
  const open = w[v + (VCPU_AC >>> 2)] && !(access & ACCESS_IMPLICIT);
  return cr4 & CR4_SMAP && !open ? noUserPage : 0;
}

/**
 * Bit k: data accesses of this kind are refused on pages with key k. Two bits a key in PKRU and IA32_PKRS: AD, WD.
 *
 * @param always - not 0: WD counts whatever CR0.WP is. PKRU does so for user-mode accesses; IA32_PKRS never does, which shows in the error
 *   code only, as no user-mode access may use a supervisor page
 */
function deniedKeys(w: Int32Array, v: number, access: number, enable: number, keys: number, always: number): number {
  const on = w[v + (VCPU_CR4 >>> 2)] & enable && w[v + (VCPU_EFER >>> 2)] & EFER_LMA;
  if (!on || access & ACCESS_FETCH) return 0;
  const writesCount = access & ACCESS_WRITE && (always || w[v + (VCPU_CR0 >>> 2)] & CR0_WP);
  let denied = 0;
  for (let k = 0; k < 16; k++) {
    const ad = (keys >>> (2 * k)) & 1, wd = (keys >>> (2 * k + 1)) & 1;
    if (ad || (wd && writesCount)) denied |= 1 << k;
  }
  return denied;
}
