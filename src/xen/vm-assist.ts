/**
 * The hypercall vm_assist: what a guest wants the hypervisor to help it with.
 *
 * Source: facts of Xen 4.17, do_vm_assist() (xen/common/domain.c), arch_vm_assist_valid_mask() (xen/arch/x86/include/asm/domain.h).
 */
import type { Host } from './host.ts';
import {
  VMASST_CMD_disable, VMASST_CMD_enable, VMASST_TYPE_4gb_segments, VMASST_TYPE_4gb_segments_notify, VMASST_TYPE_architectural_iopl,
  VMASST_TYPE_m2p_strict, VMASST_TYPE_pae_extended_cr3, VMASST_TYPE_runstate_update_flag, VMASST_TYPE_writable_pagetables, XEN_EINVAL, XEN_ENOSYS,
} from './numbers.ts';

const ALL = [VMASST_TYPE_4gb_segments, VMASST_TYPE_4gb_segments_notify, VMASST_TYPE_writable_pagetables, VMASST_TYPE_pae_extended_cr3,
  VMASST_TYPE_architectural_iopl, VMASST_TYPE_runstate_update_flag];

/** Arguments: command, type. @param at - word index */
export function vmAssist(h: Host, at: number): number {
  const { domain } = h.current, command = h.s.w[at] >>> 0, type = h.s.w[at + 2] >>> 0;
  const strict = type === VMASST_TYPE_m2p_strict && !domain.is32;
  if (!strict && !ALL.includes(type)) return -XEN_EINVAL;
  if (command !== VMASST_CMD_enable && command !== VMASST_CMD_disable) return -XEN_ENOSYS;
  const on = command === VMASST_CMD_enable;
  if (strict) domain.m2pStrict = on;
  else domain.assists = on ? domain.assists | (1 << type) : domain.assists & ~(1 << type);
  return 0;
}
