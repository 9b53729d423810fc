/**
 * The local descriptor table of a vCPU. MMUEXT_SET_LDT only says where it is; the processor's LDTR names an area of the hypervisor's, empty at first. The
 * load of a selector faults there, the guest's page becomes a descriptor page and is mapped, and the load is made again.
 *
 * Source: facts of Xen 4.17, pv_map_ldt_shadow_page() (xen/arch/x86/pv/mm.c), pv_destroy_ldt() (xen/arch/x86/pv/descriptor-tables.c),
 *         handle_gdt_ldt_mapping_fault(), handle_ldt_mapping_fault() (xen/arch/x86/traps.c), GDT_LDT_VIRT_START (xen/arch/x86/include/asm/config.h);
 *         the selector's error code: Intel SDM vol. 3A, "Error Code".
 */
import { FAULT_GP, FAULT_NONE, FAULT_PF, PFEC_RSVD, PFEC_U, faultCode, faultVector } from '../arch/fault.ts';
import { PTE_P } from '../arch/pte.ts';
import { PGT_SEG_DESC } from '../layout/frame.ts';
import { NO_FRAME, type GuestVcpu } from './domain.ts';
import { frameOf } from './entry-flags.ts';
import { entryFor } from './guest-entry.ts';
import type { Host } from './host.ts';
import { getPageType, putPageAndType } from './page-type.ts';
import { loadRoot } from './root.ts';
import { FAULTS } from './work.ts';

/** High word of the first address of the vCPUs' descriptor tables, and how much address space they have: 64 KiB for the GDT, 64 KiB for the LDT of each. */
const TABLES_HI = 0xffff8200 | 0;
const TABLES_BYTES = 0x40000000;
const VCPU_SHIFT = 17;
const LDT_AREA = 1 << 16;
const OFFSET = LDT_AREA - 1;
const DESCRIPTOR_BYTES = 8;
const TI = 4; // of a selector, and of an error code: it is of the LDT
const ERROR_FLAGS = 7;

/** Is a fault at `hi:lo` one of a descriptor that the processor loads for the hypervisor's guest? */
export function isDescriptorFault(guest: GuestVcpu, fault: number, hi: number, lo: number): boolean {
  const own = guest.domain.vcpus.indexOf(guest) === lo >>> VCPU_SHIFT;
  return own && hi === TABLES_HI && lo >>> 0 < TABLES_BYTES && faultVector(fault) === faultVector(FAULT_PF) && (fault & (PFEC_U | PFEC_RSVD)) === 0;
}

/** Serve such a fault. @returns FAULT_NONE: mapped now; or the exception for the guest, with its CR2 set where it has one */
export function descriptorFault(h: Host, guest: GuestVcpu, fault: number, lo: number): number {
  const offset = lo & OFFSET;
  if ((lo & LDT_AREA) === 0) return FAULT_GP | (offset & ~ERROR_FLAGS);
  if (mapLdtPage(h, guest, offset)) return FAULT_NONE;
  const at = (guest.ldtBaseLo >>> 0) + offset, hi = (guest.ldtBaseHi + Math.floor(at / 2 ** 32)) | 0;
  if (hi >> 15 !== hi >> 31) return FAULT_GP | (offset & ~(ERROR_FLAGS >> 1)) | TI;
  guest.cr2Hi = hi;
  guest.cr2Lo = at | 0;
  return FAULT_PF | faultCode(fault) | (guest.kernelMode ? 0 : PFEC_U);
}

/** Make the guest's page at `offset` of its table a descriptor page, and map it. @returns false if it cannot be */
function mapLdtPage(h: Host, guest: GuestVcpu, offset: number): boolean {
  if (offset >>> 3 >= guest.ldtEntries) return false;
  const entry = kernelEntry(h, guest, offset), { w } = h.s;
  if (entry < 0 || (w[entry] & PTE_P) === 0) return false;
  const mfn = frameOf(w[entry], w[entry + 1]);
  if (!h.frames.getPage(mfn, guest.domain.id)) return false;
  if (getPageType(h, mfn, PGT_SEG_DESC) !== 0) {
    h.frames.putPage(mfn);
    return false;
  }
  guest.ldt.set(offset >>> 12, mfn);
  return true;
}

/** The level-1 entry of the table's page by the tables of the guest's kernel, in whichever mode the guest is. @returns its word index, or -1 */
function kernelEntry(h: Host, guest: GuestVcpu, offset: number): number {
  const at = (guest.ldtBaseLo >>> 0) + offset, hi = guest.domain.is32 ? 0 : (guest.ldtBaseHi + Math.floor(at / 2 ** 32)) | 0;
  if (guest.kernelMode) return entryFor(h, hi, at | 0);
  guest.kernelMode = true;
  loadRoot(h, guest);
  const entry = entryFor(h, hi, at | 0);
  guest.kernelMode = false;
  loadRoot(h, guest);
  return entry;
}

/** Take what is mapped of a vCPU's table away. @returns whether anything was: then it must be flushed */
export function putLdt(h: Host, guest: GuestVcpu): boolean {
  const any = guest.ldt.size > 0;
  for (const mfn of guest.ldt.values()) putPageAndType(h, mfn);
  guest.ldt.clear();
  return any;
}

/**
 * The descriptor that a selector of the LDT names, for whoever executes the guest's instructions.
 *
 * @param out - its two words @returns FAULT_NONE, or the exception for the guest
 */
export function ldtDescriptor(h: Host, guest: GuestVcpu, selector: number, out: Int32Array): number {
  const offset = selector & OFFSET & ~ERROR_FLAGS, page = offset >>> 12;
  if ((selector & TI) === 0 || offset / DESCRIPTOR_BYTES >= guest.ldtEntries) return FAULT_GP | (selector & OFFSET & ~(ERROR_FLAGS >> 1));
  if (!guest.ldt.has(page)) {
    h.counters.work.add(FAULTS, 1);
    const fault = descriptorFault(h, guest, FAULT_PF, LDT_AREA | offset);
    if (fault !== FAULT_NONE) return fault;
  }
  const at = h.table(guest.ldt.get(page) ?? NO_FRAME) + ((offset & 0xff8) >>> 2);
  out[0] = h.s.w[at];
  out[1] = h.s.w[at + 1];
  return FAULT_NONE;
}
