/**
 * What a toolstack is told of frames.
 *
 * Source: facts of Xen 4.17, XEN_DOMCTL_getpageframeinfo3 of arch_do_domctl() (xen/arch/x86/domctl.c).
 */
import { PGT_PINNED, PGT_VALIDATED } from '../layout/frame.ts';
import type { Domain } from './domain.ts';
import type { Host } from './host.ts';
import { XEN_DOMCTL_PFINFO_LPINTAB, XEN_DOMCTL_PFINFO_LTAB_SHIFT, XEN_DOMCTL_PFINFO_XTAB } from './numbers.ts';
import { levelOf } from './page-type.ts';

const HIGHEST_TABLE = 4;

/** @returns XEN_DOMCTL_PFINFO_* */
export function pageType(h: Host, domain: Domain, mfn: number): number {
  const { frames } = h;
  if (!frames.valid(mfn) || frames.refs(mfn) === 0 || frames.owner(mfn) !== domain.id || frames.isXenHeap(mfn)) return XEN_DOMCTL_PFINFO_XTAB;
  const type = frames.type(mfn), level = levelOf(type), table = level <= HIGHEST_TABLE ? level * 2 ** XEN_DOMCTL_PFINFO_LTAB_SHIFT : 0;
  if ((type & PGT_PINNED) !== 0) return table + XEN_DOMCTL_PFINFO_LPINTAB;
  return (type & PGT_VALIDATED) === 0 ? 0 : table;
}
