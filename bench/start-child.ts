/** A process that imports the package and makes a 64 MiB machine on the engine of its argument; prints how long it took, and the memory it took. */
import type { Engine } from './rig.ts';

export interface Start {
  /** Milliseconds until `import` was done, and from then until the machine was ready and had answered an access. */
  readonly importMs: number;
  readonly machineMs: number;
  /** Resident bytes that the import, and that the machine added. */
  readonly importBytes: number;
  readonly machineBytes: number;
}

const engine = process.argv[2] as Engine;
const before = performance.now(), bytesBefore = process.memoryUsage.rss();
const { Machine, presets } = await import('../dist/index.js');
const imported = performance.now(), bytesImported = process.memoryUsage.rss();
const machine = Machine.create({ memory: '64M', cpu: presets.skylake, engine });
machine.vcpus[0]!.access(0, 0, 0);
const ready = performance.now(), bytesReady = process.memoryUsage.rss();
const start: Start = {
  importMs: imported - before, machineMs: ready - imported, importBytes: bytesImported - bytesBefore, machineBytes: bytesReady - bytesImported,
};
console.log(JSON.stringify(start));
