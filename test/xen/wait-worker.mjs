// A thread that plays a vCPU, on the built package: its guest's kernel waits for an event, takes it, and so on, a number of times.
import { parentPort, workerData } from 'node:worker_threads';
import { HYPERVISOR_sched_op, waitForEvent } from '../../dist/xen/index.js';

const { memory, block, info, rounds, call } = workerData; // call: words by which a hypercall is asked for, 1, and done, 0
const w = new Int32Array(memory.buffer), SCHEDOP_block = 1;
let woken = 0, early = 0;

for (let round = 0; round < rounds; round++) {
  Atomics.store(call, 1, SCHEDOP_block);
  Atomics.store(call, 0, HYPERVISOR_sched_op);
  parentPort.postMessage('hypercall');
  Atomics.wait(call, 0, HYPERVISOR_sched_op);
  if (!waitForEvent(memory, block, 20_000)) break;
  woken++;
  if ((Atomics.and(w, info, ~0xff) & 0xff) === 0) early++; // nothing to look at
  Atomics.store(w, info + 2, 0);
  Atomics.store(w, info + 0x200, 0); // the pending bits of the first ports
  parentPort.postMessage('taken');
}
parentPort.postMessage({ woken, early });
