/** One engine called in one way: what a child process measures, and how it shows that it did the work of limit.c. */
import { ACCESS_FETCH, ACCESS_READ, ACCESS_USER, ACCESS_WRITE, FAULT_NONE } from '../dist/arch/fault.js';
import { attach, layColumns, type Accelerator, type BatchColumns } from '../dist/accel/engine.js';
import { runBatch } from '../dist/machine/batch.js';
import type { Machine } from '../dist/machine/machine.js';
import type { Vcpu } from '../dist/machine/vcpu.js';
import { Checksum, COUNTED, limitMachine, StreamSource, type Stream } from './limit-work.ts';
import type { NativeCounts } from './native.ts';

export type Engine = 'wasm' | 'ts';
export type Caller = 'batch' | 'call';

const CHUNK = 65536; // accesses a call: wasm has no on-stack replacement
const ACCESS_OF_KIND = [ACCESS_READ | ACCESS_USER, ACCESS_WRITE | ACCESS_USER, ACCESS_FETCH | ACCESS_USER];

/** A machine, its columns, and the loop that an embedder would write. */
export class Rig {
  private readonly machine: Machine;
  private readonly cpu: Vcpu;
  private readonly columns: BatchColumns;
  private readonly accelerator: Accelerator | undefined;
  private readonly caller: Caller;
  private readonly capacity: number;

  /** @param capacity - accesses of a measurement */
  constructor(engine: Engine, caller: Caller, capacity: number) {
    this.machine = limitMachine();
    this.cpu = this.machine.vcpus[0]!;
    this.columns = layColumns(this.machine.views, capacity);
    this.accelerator = engine === 'wasm' ? attach(this.machine.views) : undefined;
    if (engine === 'wasm' && this.accelerator === undefined) throw new Error('the wasm engine is not there');
    this.caller = caller;
    this.capacity = capacity;
  }

  /** Make the first `n` accesses of the columns. @returns how many faulted */
  run(n: number): number {
    if (this.caller === 'call') return this.accelerator ? this.callWasm(this.accelerator, n) : this.callTs(n);
    return this.accelerator ? this.batchWasm(this.accelerator, n) : this.batchTs(n);
  }

  /** Each of the batch loops resumes after a fault with the physical address that limit.c leaves: all ones. */
  private batchWasm(engine: Accelerator, n: number): number {
    const { pa, offsets } = this.columns, { block } = this.cpu;
    let faults = 0;
    for (let from = 0; from < n;) {
      const to = Math.min(n, from + CHUNK);
      from = engine.runBatch(block, offsets.va, offsets.kind, offsets.size, offsets.pa, from, to, ACCESS_USER);
      if (from === to) continue;
      pa[2 * from] = pa[2 * from + 1] = -1;
      faults++;
      from++;
    }
    return faults;
  }

  private batchTs(n: number): number {
    const { columns, machine: { views }, cpu } = this, v = cpu.block >>> 2, { pa } = columns;
    let faults = 0;
    for (let from = 0; from < n;) {
      const to = Math.min(n, from + CHUNK);
      from = runBatch(views, v, columns, from, to, ACCESS_USER);
      if (from === to) continue;
      pa[2 * from] = pa[2 * from + 1] = -1;
      faults++;
      from++;
    }
    return faults;
  }

  private callWasm(engine: Accelerator, n: number): number {
    const { cpu, columns: { va, kind, pa } } = this, { block } = cpu;
    let faults = 0;
    for (let i = 0; i < n; i++) {
      if (engine.access(block, va[2 * i + 1]!, va[2 * i]!, ACCESS_OF_KIND[kind[i]!]!) === FAULT_NONE) {
        pa[2 * i] = cpu.paddrLo;
        pa[2 * i + 1] = cpu.paddrHi;
      } else {
        pa[2 * i] = pa[2 * i + 1] = -1;
        faults++;
      }
    }
    return faults;
  }

  private callTs(n: number): number {
    const { cpu, columns: { va, kind, pa } } = this;
    let faults = 0;
    for (let i = 0; i < n; i++) {
      if (cpu.access(va[2 * i + 1]!, va[2 * i]!, ACCESS_OF_KIND[kind[i]!]!) === FAULT_NONE) {
        pa[2 * i] = cpu.paddrLo;
        pa[2 * i + 1] = cpu.paddrHi;
      } else {
        pa[2 * i] = pa[2 * i + 1] = -1;
        faults++;
      }
    }
    return faults;
  }

  /** Fill the columns with the first accesses of a stream, and make them once. */
  prepare(stream: Stream): void {
    new StreamSource(stream).fill(this.columns, this.capacity);
    this.run(this.capacity);
  }

  /** Nanoseconds of CPU time an access, from empty TLBs. */
  measure(n: number): number {
    this.cpu.flush();
    const before = process.cpuUsage();
    this.run(n);
    const { user, system } = process.cpuUsage(before);
    return ((user + system) * 1000) / n;
  }

  /**
   * What limit.c counts over its whole stream, the second time it is made.
   *
   * @param native - its counts: they end its checksum, so that the checksums are equal if every physical address is
   */
  counts(stream: Stream, native: NativeCounts): NativeCounts {
    this.wholeStream(stream);
    this.cpu.flush();
    this.cpu.resetCounters();
    const checksum = this.wholeStream(stream);
    const c = this.cpu.counters();
    checksum.add(Int32Array.of(native.l1, native.l2, native.walks, native.references, native.faults, native.cycles));
    return {
      checksum: checksum.hex, l1: sum(c.hits[0]!), l2: sum(c.hits[1]!), walks: c.walks, references: sum(c.referenceHits), faults: c.faults, cycles: sum(c.cycles),
    };
  }

  private wholeStream(stream: Stream): Checksum {
    const source = new StreamSource(stream), checksum = new Checksum();
    for (let done = 0; done < COUNTED;) {
      const n = Math.min(this.capacity, COUNTED - done);
      source.fill(this.columns, n);
      this.run(n);
      checksum.add(this.columns.pa, 2 * n);
      done += n;
    }
    return checksum;
  }
}

const sum = (of: object): number => (Object.values(of) as number[]).reduce((a, b) => a + b, 0);
