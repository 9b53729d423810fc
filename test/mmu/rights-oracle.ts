/**
 * "Determination of Access Rights" written the long way, paragraph by paragraph, so that it can disagree with the masks of src/mmu.
 *
 * Source: Intel SDM vol. 3A, "Determination of Access Rights", "Protection Keys", "Page-Fault Exceptions" (PK flag).
 */
export interface Case {
  /** Who: CPL = 3, CPL < 3, or an implicit access to a system structure. */
  readonly by: 'user' | 'supervisor' | 'implicit';
  readonly kind: 'read' | 'write' | 'fetch' | 'shadow read' | 'shadow write';
  /** U/S = 1 in every entry. */
  readonly userAddress: boolean;
  /** R/W = 1 in every entry. */
  readonly writable: boolean;
  /** XD = 1 in any entry. */
  readonly xd: boolean;
  /** Leaf with R/W = 0 and D = 1 under entries with R/W = 1. */
  readonly shadowStack: boolean;
  readonly wp: boolean;
  readonly smep: boolean;
  readonly smap: boolean;
  readonly ac: boolean;
  readonly nxe: boolean;
  readonly pke: boolean;
  readonly pks: boolean;
  /** AD and WD of the page's key in PKRU and in IA32_PKRS. */
  readonly pkruAd: boolean;
  readonly pkruWd: boolean;
  readonly pkrsAd: boolean;
  readonly pkrsWd: boolean;
}

/** Does the key let the address be read? Keys of user-mode addresses are in PKRU, of supervisor-mode addresses in IA32_PKRS. */
export function keyPermitsRead(c: Case): boolean {
  if (c.userAddress) return !(c.pke && c.pkruAd);
  return !(c.pks && c.pkrsAd);
}

export function keyPermitsWrite(c: Case): boolean {
  if (!keyPermitsRead(c)) return false;
  if (c.userAddress) {
    if (!c.pke || !c.pkruWd) return true;
    if (c.by === 'user') return false;
    return !c.wp;
  }
  if (!c.pks || !c.pkrsWd) return true;
  return !c.wp;
}

export function permitted(c: Case): boolean {
  return c.by === 'user' ? userMode(c) : supervisorMode(c);
}

function supervisorMode(c: Case): boolean {
  const explicit = c.by === 'supervisor';
  switch (c.kind) {
    case 'read':
      if (!c.userAddress) return keyPermitsRead(c);
      if (!c.smap) return keyPermitsRead(c);
      if (c.ac && explicit) return keyPermitsRead(c);
      return false;
    case 'write':
      if (!c.userAddress) {
        if (!c.wp) return keyPermitsWrite(c);
        return c.writable && keyPermitsWrite(c);
      }
      if (!c.wp) {
        if (!c.smap) return keyPermitsWrite(c);
        if (c.ac && explicit) return keyPermitsWrite(c);
        return false;
      }
      if (!c.smap) return c.writable && keyPermitsWrite(c);
      if (c.ac && explicit) return c.writable && keyPermitsWrite(c);
      return false;
    case 'fetch':
      if (!c.userAddress) return !c.nxe || !c.xd;
      if (c.smep) return false;
      return !c.nxe || !c.xd;
    case 'shadow read':
      return !c.userAddress && c.shadowStack && keyPermitsRead(c);
    case 'shadow write':
      return !c.userAddress && c.shadowStack && keyPermitsWrite(c);
  }
}

function userMode(c: Case): boolean {
  if (!c.userAddress) return false;
  switch (c.kind) {
    case 'read': return keyPermitsRead(c);
    case 'write': return c.writable && keyPermitsWrite(c);
    case 'fetch': return !c.nxe || !c.xd;
    case 'shadow read': return c.shadowStack && keyPermitsRead(c);
    case 'shadow write': return c.shadowStack && keyPermitsWrite(c);
  }
}

/** Would the fault's PK flag be set: a data access that the key alone would refuse? */
export function keyRefuses(c: Case): boolean {
  if (c.kind === 'fetch') return false;
  return c.kind === 'write' || c.kind === 'shadow write' ? !keyPermitsWrite(c) : !keyPermitsRead(c);
}
