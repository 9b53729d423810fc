// A hypervisor attached to a machine of another thread, on the built package: continues the call that is there, makes others, and tells what it found.
import { parentPort, workerData } from 'node:worker_threads';
import { Machine } from '../../dist/machine/machine.js';
import { Hypervisor } from '../../dist/xen/hypervisor.js';

const { memory, options, calls } = workerData;
const machine = Machine.attach(memory, options), xen = Hypervisor.attach(machine), [cpu] = machine.vcpus;
const before = xen.audit(), first = xen.dispatch(cpu);
const results = calls.map(([nr, ...args]) => Number(xen.hypercall(cpu, nr, ...args)));
parentPort.postMessage({ before, first, results, after: xen.audit() });
