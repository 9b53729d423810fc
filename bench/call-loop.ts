/**
 * Loops over single accesses, whose answers are only looked at, as limit.c has one for calls; written as in a program with one machine: it is a
 * constant of the module. Imported once for each machine, under another name each time.
 */
import { FAULT_NONE } from '../dist/index.js';
import type { Stream } from './limit-work.ts';
import { QUEUE_CAPACITY, Rig, type Caller, type Engine } from './rig.ts';

const [engine, caller, accesses] = process.argv.slice(2) as [Engine, Caller, string];
const NONE = FAULT_NONE; // an imported name is loaded at every use, a constant of the module is not

export const rig = new Rig(engine, caller, Number(accesses));
const { cpu, access, queue, columns: { va, size } } = rig;

function calls(n: number): number {
  let x = 0;
  for (let i = 0; i < n; i++) x ^= cpu.access(va[2 * i + 1]!, va[2 * i]!, access[i]!) === NONE ? cpu.paddrLo : -1;
  return x;
}

function pushes(n: number): number {
  let x = 0;
  for (let i = 0; i < n; i++) {
    if (queue!.push(va[2 * i + 1]!, va[2 * i]!, access[i]!, size[i]!) === QUEUE_CAPACITY - 1) x ^= flushed();
  }
  return x ^ flushed();
}

/** Make what is in the queue; faults are passed over. */
function flushed(): number {
  const { columns: { pa } } = queue!, { pushed } = queue!;
  let x = 0;
  while (queue!.flush() !== NONE) {
    pa[2 * queue!.made] = -1;
    queue!.skip();
  }
  for (let i = 0; i < pushed; i++) x ^= pa[2 * i]!;
  queue!.clear();
  return x;
}

/** Nanoseconds of CPU time an access. */
export const measure = (stream: Stream): number => rig.measure(stream, caller === 'call' ? calls : caller === 'queue' ? pushes : undefined);
