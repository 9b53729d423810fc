/** The bytes of a machine that both engines leave alike. */
import { VCPU_SCRATCH, VCPU_SCRATCH_END } from '../../src/layout/vcpu.ts';
import type { Machine } from '../../src/machine/machine.ts';

/** A copy of the first `length` bytes of machine memory, without what a vCPU's last translation left behind. */
export function stateOf({ views, vcpus }: Machine, length = views.byteLength): Buffer {
  const copy = Buffer.from(views.u8.subarray(0, length));
  for (const { block } of vcpus) copy.fill(0, block + VCPU_SCRATCH, block + VCPU_SCRATCH_END);
  return copy;
}

/** Are these bytes the same in two machines of the same options? */
export function sameState(a: Machine, b: Machine): boolean {
  const [x, y] = [a, b].map(({ views: { u8 } }) => Buffer.from(u8.buffer, u8.byteOffset, u8.length)) as [Buffer, Buffer];
  let from = 0;
  for (const { block } of a.vcpus) {
    if (x.compare(y, from, block + VCPU_SCRATCH, from, block + VCPU_SCRATCH) !== 0) return false;
    from = block + VCPU_SCRATCH_END;
  }
  return x.length === y.length && x.compare(y, from, y.length, from, x.length) === 0;
}
