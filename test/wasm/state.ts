/** The bytes of a machine that both engines leave alike. */
import { VCPU_SCRATCH, VCPU_SCRATCH_END } from '../../src/layout/vcpu.ts';
import type { Machine } from '../../src/machine/machine.ts';

/** A copy of the first `length` bytes of machine memory, without what a vCPU's last translation left behind. */
export function stateOf({ views, vcpus }: Machine, length = views.byteLength): Buffer {
  const copy = Buffer.from(views.u8.subarray(0, length));
  for (const { block } of vcpus) copy.fill(0, block + VCPU_SCRATCH, block + VCPU_SCRATCH_END);
  return copy;
}
