/**
 * The thread of a vCPU ended: what it left is put in order, or the machine is declared broken.
 *
 * What it held is in its block (memory/locks.ts). Translations that it may have left half cached, as its own vCPU's or another's, are invalidated.
 * In the middle of a hypercall what it did may be half done: then the audit decides, while no other vCPU is in the hypervisor. Locks within a call
 * are not recovered: others may be waiting for them who are in the middle of calls themselves.
 */
import { DOMAIN_GRANT_LOCK, DOMAIN_LOCK } from '../layout/domain.ts';
import { HDR_HYPERVISOR } from '../layout/header.ts';
import { HV_HEAP_LOCK, HV_LOCK, HV_LOST_LOCK } from '../layout/hypervisor.ts';
import { HOLDER } from '../layout/lock.ts';
import { MAIL_LOCK } from '../layout/mailbox.ts';
import { VCPU_HELD, VCPU_HELD_LOCKS, VCPU_INSIDE, VCPU_MAIL } from '../layout/vcpu.ts';
import type { Machine } from '../machine/machine.ts';
import { settleMail } from '../machine/shootdown.ts';
import { brokenBy, declareBroken } from '../memory/broken.ts';
import { breakLock } from '../memory/locks.ts';
import { Hypervisor } from '../xen/hypervisor.ts';

const PAGE_BYTES = 4096;

/**
 * @param patience - milliseconds that other vCPUs may take to leave the hypervisor
 * @returns undefined: the others go on; or why the machine is broken
 */
export function recover(machine: Machine, number: number, patience: number): string | undefined {
  const { views: s } = machine, { w } = s, holder = number + 1, v = machine.vcpus[number].block >>> 2;
  const held = heldBy(w, v, holder), mail = new Set(machine.vcpus.map(cpu => (cpu.block + VCPU_MAIL + MAIL_LOCK) >>> 2));
  for (const cpu of machine.vcpus) settleMail(s, cpu.block >>> 2, cpu.block >>> 2 === v, holder);
  for (const at of held) if (mail.has(at)) breakLock(s, at, holder);
  const locks = held.filter(at => !mail.has(at));
  if (Atomics.load(w, v + (VCPU_INSIDE >>> 2)) !== 0 || locks.length > 0) {
    const why = w[HDR_HYPERVISOR >>> 2] === 0 ? 'with a lock that no one knows' : lookInto(machine, v, holder, locks, patience);
    if (why !== undefined) declareBroken(s, `the thread of vCPU ${number} ended ${why}`);
  }
  w.fill(0, v + (VCPU_HELD >>> 2), v + (VCPU_INSIDE >>> 2));
  return brokenBy(s);
}

/** Locks that a vCPU holds, as word indices: of those that are in its block, which it may have been about to take, those that are its. */
function heldBy(w: Int32Array, v: number, holder: number): number[] {
  const noted = Array.from(w.subarray(v + (VCPU_HELD_LOCKS >>> 2), v + (VCPU_HELD_LOCKS >>> 2) + w[v + (VCPU_HELD >>> 2)]), at => at >>> 2);
  return noted.filter(at => (Atomics.load(w, at) & HOLDER) === holder);
}

/** @returns undefined: nothing is half done; or what was, in words that go on with `ended` */
function lookInto(machine: Machine, v: number, holder: number, locks: readonly number[], patience: number): string | undefined {
  const { views: s } = machine, block = s.w[HDR_HYPERVISOR >>> 2] >>> 2, whole = block + (HV_LOCK >>> 2);
  const inner = locks.filter(at => at !== whole && at % (PAGE_BYTES / 4) !== DOMAIN_LOCK >>> 2);
  if (inner.length > 0) return `in the middle of a hypercall, with the lock of ${nameOf(inner[0], block)}`;
  s.locks.deadline = performance.now() + patience;
  try {
    const [complaint] = Hypervisor.attach(machine).auditAfter(holder, v);
    if (complaint !== undefined) return `in the middle of a hypercall: ${complaint}`;
  } catch (error) {
    return `in the middle of a hypercall, and ${error instanceof Error ? error.message : String(error)}`; // what is half done may be beyond auditing
  } finally {
    s.locks.deadline = Infinity;
  }
  for (const at of locks) breakLock(s, at, holder);
  return undefined;
}

/** What a lock within a call is about. */
function nameOf(at: number, block: number): string {
  switch (at - block) {
    case HV_HEAP_LOCK >>> 2: return 'freed frames';
    case HV_LOST_LOCK >>> 2: return 'lost references';
    default: return at % (PAGE_BYTES / 4) === DOMAIN_GRANT_LOCK >>> 2 ? "a domain's grants" : "a domain's events";
  }
}
