// May an access use a translation? Two masks and a set of protection keys decide, see src/mmu/rights.ts.
import { ACCESS_RIGHTS, PFEC_PK } from "./fault";
import { TLBD_PKEY_SHIFT, TLBD_US } from "../src/layout/tlb";
import { RIGHTS_FORBID, RIGHTS_NEED, RIGHTS_PKEY_SUPER, RIGHTS_PKEY_USER, RIGHTS_STRIDE, VCPU_RIGHTS } from "../src/layout/vcpu";

export const REFUSED = 1 << 16;

/** Byte offset of the row of the rights table for an access. */
@inline export function rightsRow(v: i32, access: i32): i32 {
  return v + VCPU_RIGHTS + (access & ACCESS_RIGHTS) * (RIGHTS_STRIDE / 2);
}

/** May an access use a translation, protection keys aside? */
@inline export function permits(row: i32, data: i32): bool {
  return ((~data & load<i32>(row, RIGHTS_NEED)) | (data & load<i32>(row, RIGHTS_FORBID))) == 0;
}

/** 0 = it may; else REFUSED, with PFEC_PK if a protection key refuses it. */
@inline export function refused(v: i32, data: i32, access: i32): i32 {
  return refusedBy(rightsRow(v, access), data);
}

/** The same by a row of the rights table. */
@inline export function refusedBy(row: i32, data: i32): i32 {
  const denied = select(load<i32>(row, RIGHTS_PKEY_USER), load<i32>(row, RIGHTS_PKEY_SUPER), data & TLBD_US);
  const byKey = (denied >>> ((data >>> TLBD_PKEY_SHIFT) & 15)) & 1;
  const byRights = (~data & load<i32>(row, RIGHTS_NEED)) | (data & load<i32>(row, RIGHTS_FORBID));
  if ((byRights | byKey) == 0) return 0;
  return byKey ? REFUSED | PFEC_PK : REFUSED;
}
