/**
 * The hypercall vcpu_op, as far as events and memory go: where a vCPU's vcpu_info is, whether a vCPU runs, and what it does. The hypervisor has no
 * clock: the times of a runstate are 0, and as a guest that looks finds itself running, its area is written when it is registered only.
 *
 * Source: facts of Xen 4.17, do_vcpu_op() (xen/arch/x86/domain.c), common_vcpu_op(), map_vcpu_info() (xen/common/domain.c);
 *         compat_vcpu_op() (xen/arch/x86/x86_64/domain.c); xen/include/public/vcpu.h, whose struct vcpu_register_vcpu_info is the same in both widths.
 */
import { PGT_WRITABLE } from '../layout/frame.ts';
import { NO_FRAME, type Domain } from './domain.ts';
import { markPending, selectAll, startInfo, VCPU_INFO_BYTES, VCPUS_IN_SHARED_INFO, vcpuInfo } from './event-2l.ts';
import { copyFromGuest, copyToGuest, ownArrayOk } from './guest-memory.ts';
import type { Host } from './host.ts';
import { XEN_EFAULT, XEN_EINVAL, XEN_ENOENT, XEN_ENOSYS, XEN_ENXIO } from './numbers.ts';
import { getPageType, putPageAndType } from './page-type.ts';

const VCPUOP_is_up = 3;
const VCPUOP_get_runstate_info = 4;
const VCPUOP_register_runstate_memory_area = 5;
export const VCPUOP_register_vcpu_info = 10;
const RUNSTATE_running = 0, RUNSTATE_runnable = 1, RUNSTATE_blocked = 2, RUNSTATE_offline = 3;
const RUNSTATE_BYTES = 48, RUNSTATE_BYTES_COMPAT = 44;
const FRAME_BYTES = 4096;

/** Arguments: command, vCPU, address of its structure. @param at - word index */
export function vcpuOp(h: Host, at: number): number {
  const { w } = h.s, { domain } = h.current, vcpu = w[at + 2] >>> 0;
  if (vcpu >= domain.maxVcpus) return -XEN_ENOENT;
  if (w[at] === VCPUOP_is_up) return domain.vcpus[vcpu] === undefined ? 0 : 1;
  if (w[at] === VCPUOP_get_runstate_info) return copyRunstate(h, domain, vcpu, w[at + 5], w[at + 4]) ? 0 : -XEN_EFAULT;
  if (w[at] === VCPUOP_register_runstate_memory_area) return registerRunstate(h, domain, vcpu, w[at + 5], w[at + 4]);
  if (w[at] !== VCPUOP_register_vcpu_info) return -XEN_ENOSYS;
  if (!copyFromGuest(h, w[at + 5], w[at + 4], 16)) return -XEN_EFAULT;
  return register(h, domain, vcpu, (h.buffer[0] >>> 0) + (h.buffer[1] >>> 0) * 2 ** 32, h.buffer[2] >>> 0);
}

/** Copy a vCPU's runstate to the guest. @returns false if it cannot be written */
function copyRunstate(h: Host, domain: Domain, vcpu: number, hi: number, lo: number): boolean {
  const guest = domain.vcpus[vcpu];
  h.buffer.fill(0, 0, RUNSTATE_BYTES >>> 2);
  h.buffer[0] = guest === undefined ? RUNSTATE_offline : guest === h.current ? RUNSTATE_running : guest.blocked ? RUNSTATE_blocked : RUNSTATE_runnable;
  return copyToGuest(h, hi, lo, domain.is32 ? RUNSTATE_BYTES_COMPAT : RUNSTATE_BYTES);
}

/** As in Xen, only the address itself has to be one of the guest's: whether the area can be written is no matter. */
function registerRunstate(h: Host, domain: Domain, vcpu: number, hi: number, lo: number): number {
  const { is32 } = domain;
  if (!copyFromGuest(h, hi, lo, is32 ? 4 : 8)) return -XEN_EFAULT;
  const areaLo = h.buffer[0], areaHi = is32 ? 0 : h.buffer[1];
  if (!ownArrayOk(h, areaHi, areaLo, 1, is32 ? RUNSTATE_BYTES_COMPAT : RUNSTATE_BYTES)) return -XEN_EFAULT;
  copyRunstate(h, domain, vcpu, areaHi, areaLo);
  return 0;
}

/** Move a vCPU's vcpu_info, for good. All its events are marked, so that none that comes meanwhile is lost. */
function register(h: Host, domain: Domain, vcpu: number, mfn: number, offset: number): number {
  const events = domain.events, guest = domain.vcpus[vcpu];
  if (offset > FRAME_BYTES - VCPU_INFO_BYTES || (offset & (domain.is32 ? 3 : 7)) !== 0) return -XEN_ENXIO;
  if (events.infoAt(vcpu) >= 0 || (guest !== undefined && guest !== h.current)) return -XEN_EINVAL;
  if (!h.frames.getPage(mfn, domain.id)) return -XEN_EINVAL;
  if (getPageType(h, mfn, PGT_WRITABLE) !== 0) {
    h.frames.putPage(mfn);
    return -XEN_EINVAL;
  }
  const to = h.table(mfn) + (offset >>> 2);
  if (vcpu < VCPUS_IN_SHARED_INFO && domain.sharedInfo !== NO_FRAME) {
    const from = vcpuInfo(domain, vcpu);
    h.s.w.copyWithin(to, from, from + VCPU_INFO_BYTES / 4);
  } else {
    startInfo(h, to);
  }
  events.setInfo(vcpu, mfn, to);
  selectAll(h, domain, vcpu);
  markPending(h, domain, vcpu);
  return 0;
}

/** Let go of the frames, at the end of a domain. Source: Xen 4.17, unmap_vcpu_info() (xen/common/domain.c). */
export function putVcpuInfos(h: Host, domain: Domain): void {
  const events = domain.events;
  for (const mfn of events.infoFrames()) putPageAndType(h, mfn);
  events.clearInfos();
}
