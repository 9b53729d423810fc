/**
 * The hypercall vcpu_op, as far as events and memory go: where a vCPU's vcpu_info is, and whether a vCPU runs.
 *
 * Source: facts of Xen 4.17, do_vcpu_op() (xen/arch/x86/domain.c), common_vcpu_op(), map_vcpu_info() (xen/common/domain.c);
 *         struct vcpu_register_vcpu_info of xen/include/public/vcpu.h, which is the same in both widths.
 */
import { PGT_WRITABLE } from '../layout/frame.ts';
import { NO_FRAME, type Domain } from './domain.ts';
import { markPending, selectAll, startInfo, VCPU_INFO_BYTES, VCPUS_IN_SHARED_INFO, vcpuInfo } from './event-2l.ts';
import { eventsOf } from './event-state.ts';
import { copyFromGuest } from './guest-memory.ts';
import type { Host } from './host.ts';
import { XEN_EFAULT, XEN_EINVAL, XEN_ENOENT, XEN_ENOSYS, XEN_ENXIO } from './numbers.ts';
import { getPageType, putPageAndType } from './page-type.ts';

export const VCPUOP_is_up = 3;
export const VCPUOP_register_vcpu_info = 10;
const FRAME_BYTES = 4096;

/** Arguments: command, vCPU, address of its structure. @param at - word index */
export function vcpuOp(h: Host, at: number): number {
  const { w } = h.s, { domain } = h.current, vcpu = w[at + 2] >>> 0;
  if (vcpu >= domain.maxVcpus) return -XEN_ENOENT;
  if (w[at] === VCPUOP_is_up) return domain.vcpus[vcpu] === undefined ? 0 : 1;
  if (w[at] !== VCPUOP_register_vcpu_info) return -XEN_ENOSYS;
  if (!copyFromGuest(h, w[at + 5], w[at + 4], 16)) return -XEN_EFAULT;
  return register(h, domain, vcpu, (h.buffer[0] >>> 0) + (h.buffer[1] >>> 0) * 2 ** 32, h.buffer[2] >>> 0);
}

/** Move a vCPU's vcpu_info, for good. All its events are marked, so that none that comes meanwhile is lost. */
function register(h: Host, domain: Domain, vcpu: number, mfn: number, offset: number): number {
  const events = eventsOf(domain), guest = domain.vcpus[vcpu];
  if (offset > FRAME_BYTES - VCPU_INFO_BYTES || (offset & (domain.is32 ? 3 : 7)) !== 0) return -XEN_ENXIO;
  if (events.infoAt(vcpu) >= 0 || (guest !== undefined && guest !== h.current)) return -XEN_EINVAL;
  if (!h.frames.getPage(mfn, domain.id)) return -XEN_EINVAL;
  if (getPageType(h, mfn, PGT_WRITABLE) !== 0) {
    h.frames.putPage(mfn);
    return -XEN_EINVAL;
  }
  const to = h.table(mfn) + (offset >>> 2);
  if (vcpu < VCPUS_IN_SHARED_INFO && domain.sharedInfo !== NO_FRAME) {
    const from = vcpuInfo(h, domain, vcpu);
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
  const events = eventsOf(domain);
  for (const mfn of events.infoFrames()) putPageAndType(h, mfn);
  events.clearInfos();
}
