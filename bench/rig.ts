/** One engine called in one way, by the public doors: the loops that an embedder writes, on the work of limit.c. */
import { ACCESS_FETCH, ACCESS_READ, ACCESS_USER, ACCESS_WRITE, FAULT_NONE, fastTable, type AccessColumns, type AccessQueue, type Machine, type Vcpu } from '../dist/index.js';
import { Checksum, COUNTED, limitMachine, StreamSource, type Stream } from './limit-work.ts';
import type { NativeCounts } from './native.ts';

export type Engine = 'wasm' | 'ts';
/** `batch`: columns handed over whole; `call`: a call an access; `fast`: the fast table probed inline (functional mode); `queue`: pushed, then flushed. */
export type Caller = 'batch' | 'call' | 'fast' | 'queue';

const ACCESS_OF_KIND = [ACCESS_READ | ACCESS_USER, ACCESS_WRITE | ACCESS_USER, ACCESS_FETCH | ACCESS_USER];
const QUEUE_CAPACITY = 1024;
const REPETITIONS = 3; // of a measurement, of which the median counts: as many as the native limit makes

const { FAST_ENTRIES, FAST_PA, FAST_STRIDE, FAST_TABLE_BYTES, FAST_USER } = fastTable;

/** A machine and its columns. Every loop goes on after a fault, and leaves the physical address that limit.c leaves: all ones. */
export class Rig {
  private readonly machine: Machine;
  private readonly cpu: Vcpu;
  private readonly columns: AccessColumns;
  private readonly caller: Caller;
  /** Of calls: physical addresses, or minus the faults. */
  private readonly addresses: Float64Array;
  private readonly queue: AccessQueue | undefined;

  /** @param capacity - accesses of a measurement */
  constructor(engine: Engine, caller: Caller, capacity: number) {
    this.machine = limitMachine({ engine, mode: caller === 'fast' ? 'functional' : 'timed' });
    this.cpu = this.machine.vcpus[0]!;
    this.columns = this.machine.columns(capacity);
    this.queue = caller === 'queue' ? this.cpu.queue(QUEUE_CAPACITY) : undefined;
    this.caller = caller;
    this.addresses = new Float64Array(caller === 'call' ? capacity : 0);
  }

  /** Make the first `n` accesses of the columns. @returns how many faulted */
  run(n: number): number {
    if (this.caller === 'batch') return this.batch(n);
    if (this.caller === 'call') return this.call(n);
    return this.caller === 'fast' ? this.fast(n) : this.queued(this.queue!, n);
  }

  private batch(n: number): number {
    const { columns, cpu, columns: { pa } } = this;
    let faults = 0;
    for (let at = 0; at < n; at++) {
      at = cpu.runBatch(columns, at, n, ACCESS_USER);
      if (at === n) break;
      pa[2 * at] = pa[2 * at + 1] = -1;
      faults++;
    }
    return faults;
  }

  private call(n: number): number {
    const { cpu, addresses, columns: { va, kind } } = this;
    let faults = 0;
    for (let i = 0; i < n; i++) {
      const address = cpu.address(va[2 * i + 1]!, va[2 * i]!, ACCESS_OF_KIND[kind[i]!]!);
      addresses[i] = address;
      if (address < 0) faults++;
    }
    return faults;
  }

  /** The addresses that calls gave, where the others leave theirs. */
  private split(n: number): void {
    const { addresses, columns: { pa } } = this;
    for (let i = 0; i < n; i++) {
      const address = addresses[i]!;
      pa[2 * i] = address < 0 ? -1 : address;
      pa[2 * i + 1] = address < 0 ? -1 : address / 2 ** 32;
    }
  }

  /** As src/layout/fast-table.ts says: the tables of user loads, stores and fetches follow each other. */
  private fast(n: number): number {
    const { cpu, columns: { va, kind, pa }, machine: { views: { w } } } = this, first = cpu.fastTable + FAST_USER * FAST_TABLE_BYTES;
    let faults = 0;
    for (let i = 0; i < n; i++) {
      const lo = va[2 * i]!, hi = va[2 * i + 1]!, k = kind[i]!;
      const row = (first + k * FAST_TABLE_BYTES + ((lo >>> 12) & (FAST_ENTRIES - 1)) * FAST_STRIDE) >>> 2;
      if (w[row] === (lo & ~0xfff) && w[row + 1] === hi) {
        pa[2 * i] = w[row + (FAST_PA >>> 2)]! | (lo & 0xfff);
        pa[2 * i + 1] = w[row + (FAST_PA >>> 2) + 1]!;
      } else if (cpu.access(hi, lo, ACCESS_OF_KIND[k]!) === FAULT_NONE) {
        pa[2 * i] = cpu.paddrLo;
        pa[2 * i + 1] = cpu.paddrHi;
      } else {
        pa[2 * i] = pa[2 * i + 1] = -1;
        faults++;
      }
    }
    return faults;
  }

  private queued(queue: AccessQueue, n: number): number {
    const { va, kind, size, pa } = this.columns;
    let faults = 0, done = 0;
    for (let i = 0; i < n; i++) {
      queue.push(va[2 * i + 1]!, va[2 * i]!, ACCESS_OF_KIND[kind[i]!]!, size[i]!);
      if (queue.pushed < QUEUE_CAPACITY && i < n - 1) continue;
      while (queue.flush() !== FAULT_NONE) {
        queue.columns.pa.fill(-1, 2 * queue.made, 2 * queue.made + 2);
        queue.skip();
        faults++;
      }
      pa.set(queue.columns.pa.subarray(0, 2 * queue.made), 2 * done);
      done += queue.made;
    }
    return faults;
  }

  /** Nanoseconds of CPU time an access, from empty TLBs: the first accesses of a stream, after they were made once to warm up. */
  measure(stream: Stream): number {
    const { capacity } = this.columns, times: number[] = [];
    new StreamSource(stream).fill(this.columns, capacity);
    this.run(capacity);
    for (let k = 0; k < REPETITIONS; k++) {
      this.cpu.flush();
      const before = process.cpuUsage();
      this.run(capacity);
      const { user, system } = process.cpuUsage(before);
      times.push(((user + system) * 1000) / capacity);
    }
    return times.sort((a, b) => a - b)[REPETITIONS >> 1]!;
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
    const { checksum, faults } = this.wholeStream(stream), c = this.cpu.counters();
    checksum.add(Int32Array.of(native.l1, native.l2, native.walks, native.references, native.faults, native.cycles));
    const hits = (level: number) => sum(c.hits[level] ?? []);
    return { checksum: checksum.hex, l1: hits(0), l2: hits(1), walks: c.walks, references: sum(c.referenceHits), faults, cycles: sum(c.cycles) };
  }

  private wholeStream(stream: Stream): { checksum: Checksum; faults: number } {
    const source = new StreamSource(stream), checksum = new Checksum(), { capacity } = this.columns;
    let faults = 0;
    for (let done = 0; done < COUNTED;) {
      const n = Math.min(capacity, COUNTED - done);
      source.fill(this.columns, n);
      faults += this.run(n);
      if (this.caller === 'call') this.split(n);
      checksum.add(this.columns.pa, 2 * n);
      done += n;
    }
    return { checksum, faults };
  }
}

const sum = (of: object): number => (Object.values(of) as number[]).reduce((a, b) => a + b, 0);
