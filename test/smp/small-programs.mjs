// Small programs for tests of the cluster itself. On the built package.
import { ARR_CAPACITY, ARR_DATA, ARR_TAGS } from '../../dist/layout/array.js';
import { DOMAIN_EVENT_LOCK, DOMAIN_GRANT_LOCK, DOMAIN_LOCK, DOMAIN_PORTS_VALID } from '../../dist/layout/domain.js';
import { HV_HEAP_LOCK, HV_LOCK, HV_LOST_LOCK } from '../../dist/layout/hypervisor.js';
import { RANK_DOMAIN, RANK_EVENTS, RANK_GRANTS, RANK_HEAP, RANK_HYPERVISOR, RANK_LOST, RANK_MAIL } from '../../dist/layout/lock.js';
import { MAIL_COUNT, MAIL_LOCK } from '../../dist/layout/mailbox.js';
import { VCPU_ARRAY_LIST, VCPU_ARRAYS, VCPU_INSIDE, VCPU_MAIL, VCPU_WAITS } from '../../dist/layout/vcpu.js';
import { memoDrop } from '../../dist/mmu/memo.js';
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
  if (data === 'events') locks.take(at + (DOMAIN_EVENT_LOCK >>> 2), RANK_EVENTS);
  if (data === 'lost') locks.take(block + (HV_LOST_LOCK >>> 2), RANK_LOST);
  if (data === 'heap') locks.take(block + (HV_HEAP_LOCK >>> 2), RANK_HEAP);
  if (data === 'ports') w[at + (DOMAIN_PORTS_VALID >>> 2)] += 4096;
  if (data === 'half') host.frames.getAgain(0x80);
  process.exit(4);
}

/** The thread ends with the mailbox of the next vCPU, in which it has begun a letter; `data`: with its own, too. */
export function* dieAtMail({ machine, number, data }) {
  yield;
  const { locks, w } = machine.views, [next, own] = [number + 1, number].map(k => (machine.vcpus[k].block + VCPU_MAIL) >>> 2);
  if (data) locks.take(own + (MAIL_LOCK >>> 2), RANK_MAIL);
  locks.take(next + (MAIL_LOCK >>> 2), RANK_MAIL);
  w[next + (MAIL_COUNT >>> 2)] = 1;
  process.exit(4);
}

/** Have the next vCPU invalidate everything; `data`: by a hypercall, `[number, ...arguments]`. Word `early` of guest memory is set just before. */
export function* askNext({ machine, cpu, number, xen, data: { early, call } }) {
  yield;
  const { w, lowWord } = machine.views;
  Atomics.store(w, lowWord + (early >>> 2), 1);
  if (call === undefined) machine.invalidate([machine.vcpus[number + 1]], {}, cpu);
  else return Number(xen.hypercall(cpu, ...call));
}

/** Translate a page; with `torn` the thread ends as it caches that: what is cached has the address of another's frame. */
export function* cachePage({ machine, cpu, data: { page, torn } }) {
  const fault = cpu.access(0, page << 12, 4), { w } = machine.views, v = cpu.block >>> 2;
  for (let k = 0; torn && k < w[v + (VCPU_ARRAYS >>> 2)]; k++) {
    const a = w[v + (VCPU_ARRAY_LIST >>> 2) + k] >>> 2, tags = w[a + (ARR_TAGS >>> 2)] >>> 2, data = w[a + (ARR_DATA >>> 2)] >>> 2;
    for (let i = 0; i < w[a + (ARR_CAPACITY >>> 2)]; i++) if (w[tags + i * 2 + 1] !== 0) w[data + i * 2] ^= 0x1000;
  }
  memoDrop(w, v);
  if (torn) process.exit(5);
  return [fault, cpu.paddrLo];
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

/** Batches of translations of one page, one after the other without a step between them, until word `stop` of guest memory is set. */
export function* batches({ machine, cpu, data: { page, stop, early } }) {
  yield;
  const { w, lowWord } = machine.views, accesses = 50_000, columns = machine.columns(accesses);
  columns.size.fill(4);
  for (let k = 0; k < accesses; k++) columns.va[2 * k] = page << 12;
  for (let batches = 1; ; batches++) {
    const done = cpu.runBatch(columns, 0, accesses, 4);
    if (done !== accesses) return { stopped: done };
    Atomics.store(w, lowWord + (early >>> 2), batches);
    if (Atomics.load(w, lowWord + (stop >>> 2)) !== 0) return { batches, last: columns.pa[2 * accesses - 2] >>> 12 };
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
