/**
 * The loop that limit.c has for calls, an access a call whose answer is looked at, as a program with one machine writes it: the machine is a
 * constant of the module. Imported once for each machine, under another name each time.
 */
import { FAULT_NONE } from '../dist/index.js';
import type { Stream } from './limit-work.ts';
import { Rig, type Caller, type Engine } from './rig.ts';

const [engine, caller, accesses] = process.argv.slice(2) as [Engine, Caller, string];
const NONE = FAULT_NONE; // an imported name is loaded at every use, a constant of the module is not

export const rig = new Rig(engine, caller, Number(accesses));
const { cpu, access, columns: { va } } = rig;

function calls(n: number): number {
  let x = 0;
  for (let i = 0; i < n; i++) x ^= cpu.access(va[2 * i + 1]!, va[2 * i]!, access[i]!) === NONE ? cpu.paddrLo : -1;
  return x;
}

/** Nanoseconds of CPU time an access. */
export const measure = (stream: Stream): number => rig.measure(stream, caller === 'call' ? calls : undefined);
