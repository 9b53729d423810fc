/** One engine called in one way, by the public doors: the loops that an embedder writes (two of them: call-loop.ts), on the work of limit.c. */
import { ACCESS_FETCH, ACCESS_READ, ACCESS_USER, ACCESS_WRITE, FAULT_NONE, fastTable, type AccessColumns, type AccessQueue, type Machine, type Vcpu } from '../dist/index.js';
import { Checksum, COUNTED, limitMachine, StreamSource, type Stream, type StreamCounts } from './limit-work.ts';

export type Engine = 'wasm' | 'ts';
/** `batch`: columns handed over whole; `call`: a call an access; `fast`: the fast table probed inline (functional mode); `queue`: pushed, then flushed. */
export type Caller = 'batch' | 'call' | 'fast' | 'queue';

const NONE = FAULT_NONE; // an imported name is loaded at every use, one of this module is not
const ACCESS_OF_KIND = [ACCESS_READ | ACCESS_USER, ACCESS_WRITE | ACCESS_USER, ACCESS_FETCH | ACCESS_USER];
export const QUEUE_CAPACITY = 1024;
// Short calls before the first long one: a loop that is first compiled while it runs is left as it was compiled then.
const WARM_CALLS = 300, WARM_ACCESSES = 500;
const REPETITIONS = 3; // of a measurement, of which the median counts: as many as the native limit makes

const { FAST_ENTRIES, FAST_PA, FAST_STRIDE, FAST_TABLE_BYTES, FAST_USER } = fastTable;
const ROWS = FAST_TABLE_BYTES / FAST_STRIDE, ROW_WORDS = FAST_STRIDE >>> 2;

/** A machine and its columns. Every loop goes on after a fault, and leaves the physical address that limit.c leaves: all ones. */
export class Rig {
  private readonly machine: Machine;
  readonly cpu: Vcpu;
  readonly columns: AccessColumns;
  private readonly caller: Caller;
  readonly queue: AccessQueue | undefined;
  /** ACCESS_* bits of each access of the columns. */
  readonly access: Uint8Array;
  /** The fast tables of user loads, stores and fetches. */
  private readonly table: Int32Array;

  /** @param capacity - accesses of a measurement */
  constructor(engine: Engine, caller: Caller, capacity: number) {
    this.machine = limitMachine({ engine, mode: caller === 'fast' ? 'functional' : 'timed' });
    this.cpu = this.machine.vcpus[0]!;
    this.columns = this.machine.columns(capacity);
    this.queue = caller === 'queue' ? this.cpu.queue(QUEUE_CAPACITY) : undefined;
    this.caller = caller;
    this.access = new Uint8Array(capacity);
    this.table = new Int32Array(this.machine.views.memory.buffer, this.cpu.fastTable + FAST_USER * FAST_TABLE_BYTES, (3 * FAST_TABLE_BYTES) >>> 2);
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
    const { cpu, access, columns: { va, pa } } = this;
    let faults = 0;
    for (let i = 0; i < n; i++) {
      if (cpu.access(va[2 * i + 1]!, va[2 * i]!, access[i]!) === NONE) {
        pa[2 * i] = cpu.paddrLo;
        pa[2 * i + 1] = cpu.paddrHi;
      } else {
        pa[2 * i] = pa[2 * i + 1] = -1;
        faults++;
      }
    }
    return faults;
  }

  /** One access by a call. @returns how many faulted */
  private one(i: number): number {
    const { cpu, access, columns: { va, pa } } = this;
    const ok = cpu.access(va[2 * i + 1]!, va[2 * i]!, access[i]!) === NONE;
    pa[2 * i] = ok ? cpu.paddrLo : -1;
    pa[2 * i + 1] = ok ? cpu.paddrHi : -1;
    return ok ? 0 : 1;
  }

  /** As src/layout/fast-table.ts says: the tables of user loads, stores and fetches follow each other. Misses are outside of the inner loop. */
  private fast(n: number): number {
    const { columns: { va, kind, pa }, table } = this;
    let faults = 0;
    for (let i = 0; i < n; i++) {
      for (; i < n; i++) {
        const lo = va[2 * i]!, hi = va[2 * i + 1]!, row = (kind[i]! * ROWS + ((lo >>> 12) & (FAST_ENTRIES - 1))) * ROW_WORDS;
        if (table[row] !== (lo & ~0xfff) || table[row + 1] !== hi) break;
        pa[2 * i] = table[row + (FAST_PA >>> 2)]! | (lo & 0xfff);
        pa[2 * i + 1] = table[row + (FAST_PA >>> 2) + 1]!;
      }
      if (i < n) faults += this.one(i);
    }
    return faults;
  }

  private queued(queue: AccessQueue, n: number): number {
    const { access, columns: { va, size, pa } } = this;
    let faults = 0, done = 0;
    for (let i = 0; i < n; i++) {
      queue.push(va[2 * i + 1]!, va[2 * i]!, access[i]!, size[i]!);
      if (queue.pushed < QUEUE_CAPACITY && i < n - 1) continue;
      while (queue.flush() !== NONE) {
        queue.columns.pa.fill(-1, 2 * queue.made, 2 * queue.made + 2);
        queue.skip();
        faults++;
      }
      pa.set(queue.columns.pa.subarray(0, 2 * queue.made), 2 * done);
      done += queue.made;
    }
    return faults;
  }

  /**
   * Nanoseconds of CPU time an access, from empty TLBs: the first accesses of a stream, after they were made once.
   *
   * Small, so that it is never compiled, and what it measures is not compiled into it.
   * @param loop - to be measured, if not `run()`: returns all low words of the physical addresses, exclusive or
   */
  measure(stream: Stream, loop?: (n: number) => number): number {
    const { capacity } = this.columns, times: number[] = [];
    this.fill(new StreamSource(stream), capacity);
    for (let k = 0; k < WARM_CALLS; k++) (loop ?? this.run.bind(this))(WARM_ACCESSES);
    this.run(capacity);
    const expected = this.answers(capacity);
    for (let k = 0; k < REPETITIONS; k++) {
      this.cpu.flush();
      const before = process.cpuUsage(), found = loop ? loop(capacity) : this.run(capacity), { user, system } = process.cpuUsage(before);
      times.push(((user + system) * 1000) / capacity);
      if ((loop ? found : this.answers(capacity)) !== expected) throw new Error('other answers than before');
    }
    return times.sort((a, b) => a - b)[REPETITIONS >> 1]!;
  }

  /** The low words of all physical addresses, exclusive or. */
  private answers(n: number): number {
    const { pa } = this.columns;
    let x = 0;
    for (let i = 0; i < n; i++) x ^= pa[2 * i]!;
    return x;
  }

  /**
   * What limit.c counts over its whole stream, the second time it is made.
   *
   * @param native - its counts: they end its checksum, so that the checksums are equal if every physical address is
   */
  counts(stream: Stream, native: StreamCounts): StreamCounts {
    this.wholeStream(stream);
    this.cpu.flush();
    this.cpu.resetCounters();
    const { checksum, faults } = this.wholeStream(stream), c = this.cpu.counters();
    checksum.add(Int32Array.of(native.l1, native.l2, native.walks, native.references, native.faults, native.cycles));
    const hits = (level: number) => sum(c.hits[level] ?? []);
    return { checksum: checksum.hex, l1: hits(0), l2: hits(1), walks: c.walks, references: sum(c.referenceHits), faults, cycles: sum(c.cycles) };
  }

  private fill(source: StreamSource, n: number): void {
    const { columns: { kind }, access } = this;
    source.fill(this.columns, n);
    for (let i = 0; i < n; i++) access[i] = ACCESS_OF_KIND[kind[i]!]!;
  }

  private wholeStream(stream: Stream): { checksum: Checksum; faults: number } {
    const source = new StreamSource(stream), checksum = new Checksum(), { capacity } = this.columns;
    let faults = 0;
    for (let done = 0; done < COUNTED;) {
      const n = Math.min(capacity, COUNTED - done);
      this.fill(source, n);
      faults += this.run(n);
      checksum.add(this.columns.pa, 2 * n);
      done += n;
    }
    return { checksum, faults };
  }
}

const sum = (of: object): number => (Object.values(of) as number[]).reduce((a, b) => a + b, 0);
