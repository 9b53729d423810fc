/** A vCPU in a thread of its own that waits for events, on the built package. */
import { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { VCPU_WAITS } from '../../src/layout/vcpu.ts';
import { waitForEvent } from '../../src/xen/wake.ts';
import { Host, Kernel } from './scenarios/kernel.ts';

const ROUNDS = 20, SCHED_OP = 29, BLOCK = 1n;
const waitsIn = ({ machine: { views } }: Host, { cpu }: Kernel) => Atomics.load(views.w, (cpu.block + VCPU_WAITS) >>> 2);

it('sleeps until an event comes, each time, and not when one is there', async () => {
  const host = new Host(2), guest = new Kernel(host, 1, 0), sender = new Kernel(host, 2, 1);
  const port = guest.offer(2), from = sender.bind(1, port), { cpu } = guest, { views } = host.machine;
  const waits = () => waitsIn(host, guest), call = new Int32Array(new SharedArrayBuffer(8));
  const worker = new Worker(new URL('./wait-worker.mjs', import.meta.url), {
    workerData: { memory: views.memory, block: cpu.block, info: host.word(guest.domain.sharedInfo), rounds: ROUNDS, call },
  });
  const asleep: number[] = [];
  let taken = 0, round = 0;
  const result = await new Promise((resolve, reject) => {
    worker.on('error', reject);
    worker.on('message', message => {
      if (message === 'taken') taken++;
      else if (message !== 'hypercall') resolve(message);
      else {
        const before = round++ % 2 === 0; // every other event comes before the guest waits
        if (before) sender.send(from);
        expect(Number(host.xen.hypercall(cpu, SCHED_OP, BigInt(call[1]!)))).toBe(0);
        asleep.push(waits());
        Atomics.store(call, 0, 0);
        Atomics.notify(call, 0);
        if (!before) setTimeout(() => sender.send(from), 5);
      }
    });
  });
  await worker.terminate();
  expect(result).toEqual({ woken: ROUNDS, early: 0 });
  expect([taken, waits()]).toEqual([ROUNDS, 0]);
  expect(asleep).toEqual(Array.from({ length: ROUNDS }, (_, k) => k % 2));
  host.audit();
});

it('sleeps no more when its domain is destroyed', () => {
  const host = new Host(2), guest = new Kernel(host, 1, 0);
  host.xen.hypercall(guest.cpu, SCHED_OP, BLOCK);
  expect(waitsIn(host, guest)).toBe(1);
  host.destroy(guest);
  expect(waitsIn(host, guest)).toBe(0);
  expect(waitForEvent(host.machine.views.memory, guest.cpu.block, 10_000)).toBe(true);
});
