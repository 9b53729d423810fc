/**
 * The form of a saved domain: an image (memory/image.ts) of records, all of 32-bit words but pages.
 *
 *   domain   the numbers that it was made with
 *   vcpu n   registers that hypercalls set, its tables by pseudo-physical frame
 *   traps n  its trap table
 *   page pfn type of the frame (XEN_DOMCTL_PFINFO_*), and its 4096 bytes; of a page table with pseudo-physical frames in its entries
 *
 * What a guest makes anew when it goes on is not in it: event channels, grants, the shared info, as in Xen.
 *
 * Source: Xen 4.17, docs/specs/libxc-migration-stream.pandoc; tools/libs/guest/xg_sr_save_x86_pv.c.
 */
import { GUEST_BLOCKED, GUEST_CR2_HI, GUEST_CR2_LO, GUEST_KERNEL_SP_HI, GUEST_KERNEL_SP_LO, GUEST_KERNEL_SS, GUEST_LDT_BASE_HI, GUEST_LDT_BASE_LO, GUEST_LDT_ENTRIES, GUEST_POLL_PORT, GUEST_USER_GS } from '../layout/guest-vcpu.ts';
import type { ImageForm } from '../memory/image.ts';

export const DOMAIN = 0;
export const VCPU = 1;
export const TRAPS = 2;
export const PAGE = 3;
export const DOMAIN_FORM: ImageForm = { magic: 0x64767077, version: 1, kinds: ['domain', 'vcpu', 'traps', 'page'] }; // 'wpvd'

/** Words of the domain's record. */
export const DOMAIN_WORDS = ['is32', 'privileged', 'maxPages', 'maxVcpus', 'maxEventPort', 'compatStart', 'pirqs', 'assists', 'm2pStrict', 'vcpus', 'pages'] as const;
export type DomainWords = Record<(typeof DOMAIN_WORDS)[number], number>;

/** Words of a vCPU's block that are copied as they are. */
export const COPIED = [
  GUEST_CR2_LO, GUEST_CR2_HI, GUEST_LDT_BASE_LO, GUEST_LDT_BASE_HI, GUEST_LDT_ENTRIES, GUEST_KERNEL_SS, GUEST_KERNEL_SP_LO, GUEST_KERNEL_SP_HI, GUEST_USER_GS, GUEST_BLOCKED,
  GUEST_POLL_PORT,
] as const;
export const SEGMENT_WORDS = 6;
export const GDT_FRAMES = 14;
/** A vCPU's record: kernel mode, root, user root (-1: none), the copied words, segment bases, entries of its GDT, frames of it (-1: none). */
export const VCPU_KERNEL = 0;
export const VCPU_ROOT = 1;
export const VCPU_USER_ROOT = 2;
export const VCPU_COPIED = 3;
export const VCPU_SEGMENTS = VCPU_COPIED + COPIED.length;
export const VCPU_GDT_ENTRIES = VCPU_SEGMENTS + SEGMENT_WORDS;
export const VCPU_GDT = VCPU_GDT_ENTRIES + 1;
export const VCPU_WORDS = VCPU_GDT + GDT_FRAMES;
export const TRAP_WORDS = 1024;
export const PAGE_RECORD_BYTES = 4 + 4096;
