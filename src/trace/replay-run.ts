/** One processor, one page size, one trace: a machine fed with batches, and what it counted. */
import { ACCESS_USER } from '../arch/fault.ts';
import { ConfigError, InvariantError } from '../errors.ts';
import { figure, type CpuModel } from '../cost/cpu-model.ts';
import { TOUCH_BYTES } from '../layout/census.ts';
import type { AccessInput } from '../machine/columns.ts';
import { Machine } from '../machine/machine.ts';
import type { EngineChoice } from '../machine/options.ts';
import { makesTouches, TouchBatch, type Touches } from '../machine/touch-batch.ts';
import type { Counters } from '../machine/vcpu.ts';
import { BATCH_CAPACITY, type AccessBatch, type DecodingRoom } from './batch.ts';
import { Census, type NewPage } from './census.ts';
import { Placement, type NumaPolicy, type PagePolicy } from './placement.ts';
import type { ReplayRun, SeriesPoint, TlbCounts } from './replay-result.ts';

export interface RunOptions {
  readonly cpu: CpuModel;
  readonly pages: PagePolicy;
  /** Price the accesses themselves too. */
  readonly data: boolean;
  readonly nodes: number;
  readonly numa: NumaPolicy;
  readonly engine: EngineChoice;
}

const TABLE_BYTES = 64 * 2 ** 20; // room for tables, plugged in piece by piece
const MAX_TABLES = 48; // pieces, 3 GiB: machine memory ends at 4 GiB, its extents at 64
const TABLES_PER_PAGE = 3; // at most, for a page in a part of the address space without any
const DATA_BYTES = 2 ** 44; // unbacked: data frames need no bytes
const FIRST_BUCKET = 1024;
const MAX_POINTS = 512;
const REMOTE_DISTANCE = 21;

export class Run implements DecodingRoom {
  readonly options: RunOptions;
  readonly machine: Machine;
  /** Of the machine: what `take()` took, as columns or as what is touched. */
  columns!: AccessInput;
  touches: Touches | undefined;
  /** Room for batches that lie elsewhere. */
  private ownColumns: AccessInput | undefined;
  private ownTouches: Touches | undefined;
  /** Of `touches`, the row to go on with: word index. */
  private next = 0;
  private batch: TouchBatch | undefined;
  private placement!: Placement;
  /** Beside the machine's state, kept from replay to replay. */
  private ownCensus: Census | undefined;
  private decoding: { readonly at: number; readonly bytes: number } | undefined;
  private points: SeriesPoint[] = [];
  private bucket = FIRST_BUCKET;
  private done = 0;
  private last = { l1Misses: 0, walks: 0, cycles: 0 };
  private newPages = 0;
  private pieces = 1;

  constructor(options: RunOptions) {
    this.options = options;
    const { nodes } = options;
    const distances = Array.from({ length: nodes }, (_, a) => Array.from({ length: nodes }, (_, b) => (a === b ? 10 : REMOTE_DISTANCE)));
    const bits = figure(options.cpu.physicalAddressBits);
    const share = Math.min(DATA_BYTES, 2 ** (bits - 1)) / (nodes === 1 ? 1 : 8);
    const extents = Array.from({ length: nodes }, (_, node) => ({ base: share * (node + 1), bytes: share / 2, kind: 'unbacked' as const, node }));
    this.machine = Machine.create({
      cpu: options.cpu, mode: 'timed', dataAccesses: options.data, distances, engine: options.engine, extents: [{ base: 0, bytes: TABLE_BYTES }, ...extents],
    });
    this.begin();
  }

  private begin(): void {
    const { machine, options } = this;
    this.placement = new Placement(machine, options.pages, options.numa, options.nodes);
  }

  /** Be as it was when it was made, if `renewable`. */
  renew(): void {
    this.machine.renew();
    this.touches = undefined;
    this.points = [];
    this.bucket = FIRST_BUCKET;
    this.done = this.newPages = 0;
    this.last = { l1Misses: 0, walks: 0, cycles: 0 };
    this.ownCensus?.clear();
    this.begin();
  }

  /** Has its machine only the memory that it was made with? */
  get renewable(): boolean {
    return this.pieces === 1;
  }

  /** A census in the machine's memory. */
  get census(): Census {
    return this.ownCensus ??= new Census(this.machine);
  }

  roomFor(bytes: number): { readonly at: number; readonly used: boolean } {
    const used = this.decoding?.bytes === bytes;
    if (!used) this.decoding = { at: this.machine.views.grow(bytes), bytes };
    return { at: this.decoding!.at, used };
  }

  private makeColumns(capacity: number): AccessInput {
    const columns = this.machine.columns(capacity), { offsets } = columns;
    return { ...columns, pa: undefined, offsets: offsets && { ...offsets, pa: 0 } };
  }

  /** Can it do with what batches touch? */
  get takesTouches(): boolean {
    return makesTouches(this.machine.views, this.machine.vcpus[0].block >>> 2);
  }

  /** Copy a batch to where the engine can reach it, unless it is there. */
  take({ count, va, kind, size, touches }: AccessBatch): void {
    if (touches) {
      this.touches = this.takeTouches(touches);
      this.next = TOUCH_BYTES >>> 2;
      return;
    }
    if (this.ownColumns === undefined || count > this.ownColumns.capacity) this.ownColumns = this.makeColumns(Math.max(count, BATCH_CAPACITY));
    this.columns = this.ownColumns;
    this.columns.va.set(va.subarray(0, count * 2));
    this.columns.kind.set(kind.subarray(0, count));
    this.columns.size.set(size.subarray(0, count));
  }

  private takeTouches(touches: Touches): Touches {
    const { machine: { views, accelerator } } = this, { rows } = touches;
    if (!accelerator || touches.views === views) return touches;
    if (this.ownTouches === undefined) {
      const offset = views.grow(rows.byteLength); // first, as it replaces the buffer
      this.ownTouches = { rows: new Int32Array(views.memory.buffer, offset, rows.length), offset, views };
    }
    this.ownTouches.rows.set(rows.subarray(0, (rows[0] + 1) * (TOUCH_BYTES >>> 2)));
    return this.ownTouches;
  }

  /** Replay as many accesses as were taken, after mapping what they touch for the first time. */
  feed(count: number, fresh: readonly NewPage[]): void {
    for (const { page } of fresh) {
      this.makeRoom();
      this.placement.touch(page);
    }
    let mapped = 0;
    for (let at = 0; at < count;) {
      const to = Math.min(count, at + this.bucket - (this.done % this.bucket));
      if (!this.make(at, to)) throw new InvariantError(`an access of the trace from ${this.done} to ${this.done + to - at} faulted though its page is mapped`);
      this.done += to - at;
      for (; mapped < fresh.length && fresh[mapped].at < to; mapped++) this.newPages++;
      at = to;
      if (this.done % this.bucket === 0) this.point();
    }
  }

  /** Make accesses of what was taken. @returns whether none faulted */
  private make(from: number, to: number): boolean {
    const { machine: { accelerator, vcpus: [cpu], views }, columns, touches } = this;
    if (!touches) return cpu.runBatch(columns, from, to, ACCESS_USER) === to;
    const { rows, offset } = touches;
    if (accelerator) {
      const next = accelerator.runTouches(cpu.block, offset + this.next * 4, to, ACCESS_USER) >>> 0;
      this.next = next === 0 ? -1 : (next - offset) / 4;
    } else this.next = (this.batch ??= new TouchBatch(views, cpu.block >>> 2, ACCESS_USER)).run(rows, this.next, to);
    return this.next >= 0;
  }

  private makeRoom(): void {
    if (this.machine.frames.tableFramesLeft >= TABLES_PER_PAGE) return;
    if (this.pieces === MAX_TABLES) {
      throw new ConfigError('trace', `fewer pages far apart: their tables end at ${(MAX_TABLES * TABLE_BYTES) / 2 ** 20} MiB (larger --pages need fewer)`, 'more');
    }
    this.machine.addExtent({ base: this.pieces++ * TABLE_BYTES, bytes: TABLE_BYTES });
  }

  private point(): void {
    const now = this.machine.vcpus[0].totals(), { last } = this;
    this.points.push({
      at: this.done, l1Misses: now.l1Misses - last.l1Misses, walks: now.walks - last.walks, cycles: now.cycles - last.cycles, newPages: this.newPages,
    });
    this.last = now;
    this.newPages = 0;
    if (this.points.length === MAX_POINTS) this.merge();
  }

  /** Twice as long buckets, half as many points. */
  private merge(): void {
    const merged: SeriesPoint[] = [];
    for (let k = 0; k + 1 < this.points.length; k += 2) {
      const a = this.points[k], b = this.points[k + 1];
      merged.push({ at: b.at, l1Misses: a.l1Misses + b.l1Misses, walks: a.walks + b.walks, cycles: a.cycles + b.cycles, newPages: a.newPages + b.newPages });
    }
    this.points = merged;
    this.bucket *= 2;
  }

  result(): ReplayRun {
    if (this.done % this.bucket !== 0) this.point();
    const c = this.machine.vcpus[0].counters();
    const { cpu, pages } = this.options;
    const names = [...cpu.caches.levels.map(l => l.name), 'memory'];
    const hits = [...c.referenceHits.slice(0, names.length - 1), c.referenceHits[3]];
    return {
      cpu: cpu.name, cpuTitle: cpu.title, clockGHz: figure(cpu.clockGHz), pages,
      translations: sum(c.translations), tlb: tlbCounts(c), walks: c.walks, walkDepth: c.walkDepth,
      references: sum(c.referenceHits), referenceHits: names.map((where, k) => ({ where, count: hits[k] })),
      cycles: { ...c.cycles, total: sum(c.cycles) },
      series: this.points, mapped: [this.placement.mapped[0], this.placement.mapped[1], this.placement.mapped[2]],
      tableBytes: this.placement.space.tableBytes,
    };
  }
}

function tlbCounts(c: Counters): TlbCounts[] {
  let missed = c.translations;
  return c.hits.map((hit, l) => {
    missed = { load: missed.load - hit.load, store: missed.store - hit.store, fetch: missed.fetch - hit.fetch };
    const by = c.missesBySize[l];
    return {
      level: l + 1, loadHits: hit.load, storeHits: hit.store, fetchHits: hit.fetch,
      loadMisses: missed.load, storeMisses: missed.store, fetchMisses: missed.fetch, missesBySize: [by['4k'], by['2m'], by['1g']] as const,
    };
  });
}

/** Sum of numbers, as an array or as the values of a record. */
function sum(of: readonly number[] | object): number {
  return (Object.values(of) as number[]).reduce((total, n) => total + n, 0);
}
