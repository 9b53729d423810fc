/**
 * The hypercall xen_version: which hypervisor this is and what it does for a guest's memory code. What tells of a build is empty: there was none.
 *
 * Source: facts of Xen 4.17, do_xen_version() (xen/common/kernel.c), arch_get_xen_caps() (xen/arch/x86/setup.c),
 *         xen/include/public/version.h and features.h.
 */
import { copyFromGuest, copyToGuest } from './guest-memory.ts';
import type { Host } from './host.ts';
import { VMASST_TYPE_pae_extended_cr3, XEN_EFAULT, XEN_EINVAL, XEN_ENODATA, XEN_ENOSYS, XEN_EPERM } from './numbers.ts';

const MAJOR = 4;
const MINOR = 17;
const EXTRA = '.7';
const EXTRA_BYTES = 16;
const COMPILE_INFO_BYTES = 144;
const CHANGESET_BYTES = 64;
const HANDLE_BYTES = 16;
const COMMAND_LINE_BYTES = 1024;
const DENIED = '<denied>';
const CAPABILITIES_BYTES = 1024;
const PAGE_BYTES = 4096;
const VIRT_START_HI = 0xffff8000 | 0;

const XENVER_version = 0;
const XENVER_extraversion = 1;
const XENVER_compile_info = 2;
const XENVER_capabilities = 3;
const XENVER_changeset = 4;
const XENVER_platform_parameters = 5;
const XENVER_get_features = 6;
const XENVER_pagesize = 7;
const XENVER_guest_handle = 8;
const XENVER_commandline = 9;
const XENVER_build_id = 10;

const XENFEAT_pae_pgdir_above_4gb = 4;
const XENFEAT_mmu_pt_update_preserve_ad = 5;
const XENFEAT_highmem_assist = 6;
const XENFEAT_gnttab_map_avail_bits = 7;
const XENFEAT_dom0 = 11;
const XENFEAT_memory_op_vnode_supported = 13;
const XENFEAT_direct_mapped = 17;

/** Arguments: command, address of its structure. @param at - word index */
export function xenVersion(h: Host, at: number): number {
  const { w } = h.s, { domain } = h.current, lo = w[at + 2], hi = w[at + 3];
  switch (w[at]) {
    case XENVER_version: return (MAJOR << 16) | MINOR;
    case XENVER_extraversion: return text(h, hi, lo, EXTRA, EXTRA_BYTES);
    case XENVER_capabilities: return text(h, hi, lo, `xen-3.0-x86_64 ${h.behaviour.pv32 ? 'xen-3.0-x86_32p ' : ''}`, CAPABILITIES_BYTES);
    case XENVER_compile_info: return text(h, hi, lo, '', COMPILE_INFO_BYTES);
    case XENVER_changeset: return text(h, hi, lo, 'unavailable', CHANGESET_BYTES);
    case XENVER_guest_handle: return text(h, hi, lo, '', HANDLE_BYTES);
    case XENVER_commandline: return commandLine(h, hi, lo);
    case XENVER_build_id: return buildId(h, hi, lo);
    case XENVER_platform_parameters:
      h.buffer[0] = domain.is32 ? domain.compatStart : 0;
      h.buffer[1] = VIRT_START_HI;
      return copyToGuest(h, hi, lo, domain.is32 ? 4 : 8) ? 0 : -XEN_EFAULT;
    case XENVER_get_features: return features(h, hi, lo);
    case XENVER_pagesize: return (lo | hi) !== 0 ? -XEN_EINVAL : PAGE_BYTES;
    default: return -XEN_ENOSYS;
  }
}

function text(h: Host, hi: number, lo: number, what: string, bytes: number): number {
  h.bytes.fill(0, 0, bytes);
  for (let k = 0; k < what.length; k++) h.bytes[k] = what.charCodeAt(k);
  return copyToGuest(h, hi, lo, bytes) ? 0 : -XEN_EFAULT;
}

/** As many bytes as it has; there are no options. */
function commandLine(h: Host, hi: number, lo: number): number {
  return h.current.domain.privileged ? text(h, hi, lo, '', COMMAND_LINE_BYTES) : text(h, hi, lo, DENIED, DENIED.length + 1);
}

function buildId(h: Host, hi: number, lo: number): number {
  if (!h.current.domain.privileged) return -XEN_EPERM;
  if ((lo | hi) === 0) return -XEN_ENODATA;
  if (!copyFromGuest(h, hi, lo, 4)) return -XEN_EFAULT;
  return h.buffer[0] === 0 ? -XEN_EINVAL : -XEN_ENODATA;
}

function features(h: Host, hi: number, lo: number): number {
  const { domain } = h.current;
  if (!copyFromGuest(h, hi, lo, 8)) return -XEN_EFAULT;
  if (h.buffer[0] !== 0) return -XEN_EINVAL;
  h.buffer[1] = (1 << XENFEAT_mmu_pt_update_preserve_ad) | (1 << XENFEAT_highmem_assist) | (1 << XENFEAT_gnttab_map_avail_bits)
    | (1 << XENFEAT_memory_op_vnode_supported) | (1 << XENFEAT_direct_mapped) | (domain.privileged ? 1 << XENFEAT_dom0 : 0)
    | (((domain.assists >>> VMASST_TYPE_pae_extended_cr3) & 1) << XENFEAT_pae_pgdir_above_4gb);
  return copyToGuest(h, hi, lo, 8) ? 0 : -XEN_EFAULT;
}
