// Small programs for tests of the cluster itself. On the built package.
import { DOMAIN_GRANT_LOCK, DOMAIN_LOCK } from '../../dist/layout/domain.js';
import { HV_HEAP_LOCK, HV_LOCK } from '../../dist/layout/hypervisor.js';
import { RANK_DOMAIN, RANK_GRANTS, RANK_HEAP, RANK_HYPERVISOR } from '../../dist/layout/lock.js';
import { VCPU_INSIDE, VCPU_WAITS } from '../../dist/layout/vcpu.js';
import { waitForEvent } from '../../dist/xen/index.js';

export const tell = ({ cpu, number, data, xen }) => ({ number, sum: number + data.plus, block: cpu.block, xen: xen !== undefined });

export function* forever({ machine, data }) {
  try {
    for (;;) yield;
  } finally {
    machine.write(BigInt(data), Uint8Array.of(7));
  }
}

export function* main() {
  for (;;) yield;
}

export function* fail() {
  yield;
  throw new RangeError('no further');
}

export function* exit() {
  yield;
  process.exit(3);
}

export function* hang() {
  yield;
  for (;;);
}

/** The thread ends with a lock, or with a reference that nothing accounts for. */
export function* dieWith({ machine, cpu, xen, data }) {
  yield;
  const { locks, w } = machine.views, { host } = xen, block = host.own.block, at = host.guard === undefined ? 0 : xen.guestOf(cpu).domain.at;
  if (data === 'hypervisor') locks.take(block + (HV_LOCK >>> 2), RANK_HYPERVISOR);
  else {
    locks.take(at + (DOMAIN_LOCK >>> 2), RANK_DOMAIN);
    Atomics.store(w, (cpu.block + VCPU_INSIDE) >>> 2, 1);
  }
  if (data === 'grants') locks.take(at + (DOMAIN_GRANT_LOCK >>> 2), RANK_GRANTS);
  if (data === 'heap') locks.take(block + (HV_HEAP_LOCK >>> 2), RANK_HEAP);
  if (data === 'half') host.frames.getAgain(0x80);
  process.exit(4);
}

/** Translate one page again and again, and count how often each frame is the answer, until word `stop` of guest memory is set. */
export function* translations({ machine, cpu, data: { page, stop, early } }) {
  const seen = {}, { w, lowWord } = machine.views;
  for (let k = 0; ; k++) {
    const fault = cpu.access(0, page << 12, 4), frame = fault === 0 ? cpu.paddrLo >>> 12 : 'fault';
    seen[frame] = (seen[frame] ?? 0) + 1;
    if (k === 0) Atomics.store(w, lowWord + (early >>> 2), 1);
    if (Atomics.load(w, lowWord + (stop >>> 2)) !== 0) return { seen, last: frame };
    if (k % 64 === 63) yield;
  }
}

/** Translate a page, sleep as for an event, and translate it again. @returns the frames, and whether the event came */
export function* sleep({ machine, cpu, data: { page, early } }) {
  const { w, memory, lowWord } = machine.views, frame = () => (cpu.access(0, page << 12, 4) === 0 ? cpu.paddrLo >>> 12 : 'fault'), before = frame();
  Atomics.store(w, (cpu.block + VCPU_WAITS) >>> 2, 1);
  Atomics.store(w, lowWord + (early >>> 2), 1);
  const woken = waitForEvent(memory, cpu.block, 15_000);
  yield;
  return { before, woken, after: frame() };
}

/** Have everyone invalidate everything, often. */
export function* askAll({ machine, cpu, data }) {
  for (let k = 0; k < data; k++) {
    machine.invalidate(machine.vcpus.filter(other => other !== cpu), {}, cpu);
    yield;
  }
  return data;
}
