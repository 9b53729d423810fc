/** Runs what is missing of a sweep, or of a part of it. */
import { ConfigError, InputError } from '../errors.ts';
import type { EngineChoice } from '../machine/options.ts';
import { inLanes } from '../trace/lanes.ts';
import { TaskRunner, type ReplayTask, type TaskProgress } from '../trace/replay-task.ts';
import { WorkerError } from '../trace/worker-pool.ts';
import { cellKey, cellsOf, planIdentity, type Cell } from './cell.ts';
import { lineOf, lineText, type SweepIdentity } from './line.ts';
import type { SweepPlan } from './plan.ts';
import { Results } from './results.ts';
import { shardRange, type Shard } from './shard.ts';
import { traceHash } from './trace-hash.ts';

export interface SweepOptions {
  /** Version of the program, which results depend on. */
  readonly version: string;
  /** File of results. */
  readonly out: string;
  /** Threads, from 1. */
  readonly threads: number;
  /** It changes the time a sweep takes, not its results. */
  readonly engine: EngineChoice;
  /** Default: everything. */
  readonly shard?: Shard | undefined;
  readonly onProgress?: (progress: SweepProgress) => void;
}

export interface SweepProgress {
  /** In bytes of traces, as many times as they have cells. */
  readonly done: number;
  readonly total: number;
  readonly doing: string;
}

export interface SweepOutcome {
  /** Cells to be done here, of those of the plan. */
  readonly cells: readonly Cell[];
  /** Cells that were done before, and now. */
  readonly before: number;
  readonly now: number;
  readonly failures: readonly SweepFailure[];
}

export interface SweepFailure {
  readonly cell: Cell;
  readonly error: InputError | ConfigError | WorkerError;
}

/** Cells that one reading of a trace serves at most: what a killed sweep loses, and the machines that are in memory at a time. */
const PASS_CELLS = 8;

/** The cells of a part of a plan. */
export function shardCells(plan: SweepPlan, shard: Shard = { part: 1, parts: 1 }): Cell[] {
  const cells = cellsOf(plan);
  return cells.slice(...shardRange(cells.map(cell => weightOf(plan, cell)), shard));
}

/** What a cell costs: the length of its trace, or of what is read of it at about a byte an access. */
function weightOf(plan: SweepPlan, { trace }: Cell): number {
  return Math.max(1, Math.min(trace.bytes, plan.limit ?? Infinity));
}

/**
 * Do the cells that the file of results does not have. A cell that fails does not keep the others from being done.
 *
 * @throws InputError, ConfigError - a trace cannot be read; the file of results is of something else, or cannot be written
 */
export async function sweep(plan: SweepPlan, options: SweepOptions): Promise<SweepOutcome> {
  const run = new SweepRun(plan, options);
  return run.all();
}

class SweepRun {
  private readonly plan: SweepPlan;
  private readonly options: SweepOptions;
  private readonly identity: SweepIdentity;
  private readonly cells: readonly Cell[];
  private readonly failures: SweepFailure[] = [];
  private readonly hashes = new Map<string, Promise<string>>();
  private readonly places = new Map<string, number>();
  private now = 0;

  constructor(plan: SweepPlan, options: SweepOptions) {
    const { version } = options;
    this.plan = plan;
    this.options = options;
    this.cells = shardCells(plan, options.shard);
    this.identity = { pagewalk: version, plan: planIdentity(plan, version), of: cellsOf(plan).length };
  }

  async all(): Promise<SweepOutcome> {
    const { cells, failures } = this;
    const results = await Results.open(this.options.out, this.identity, key => this.placeOf(key));
    try {
      await this.identify(cells);
      const missing = cells.filter(cell => !results.has(cell.place));
      await this.fill(missing, results);
      await results.settle();
      return { cells, before: cells.length - missing.length, now: this.now, failures: failures.toSorted((a, b) => a.cell.place - b.cell.place) };
    } finally {
      results.close();
    }
  }

  private async keyOf(cell: Cell): Promise<string> {
    return cellKey(this.plan, cell, await this.hashOf(cell), this.options.version);
  }

  private hashOf({ trace }: Cell): Promise<string> {
    const known = this.hashes.get(trace.path);
    if (known) return known;
    let done = 0;
    const hash = traceHash(trace.path, bytes => this.options.onProgress?.({ done: done += bytes, total: trace.bytes, doing: `identifying ${trace.name}` }));
    this.hashes.set(trace.path, hash);
    return hash;
  }

  private async identify(cells: readonly Cell[]): Promise<void> {
    for (const cell of cells) this.places.set(await this.keyOf(cell), cell.place);
  }

  /** Looks at the traces of other parts only for a line that is of none of this. */
  private async placeOf(key: string): Promise<number | undefined> {
    if (this.places.size === 0) await this.identify(this.cells);
    if (!this.places.has(key)) await this.identify(cellsOf(this.plan));
    return this.places.get(key);
  }

  private async fill(missing: readonly Cell[], results: Results): Promise<void> {
    const { threads } = this.options, passes = passesOf(missing, threads);
    const weights = passes.map(pass => pass.reduce((sum, cell) => sum + weightOf(this.plan, cell), 0));
    const total = weights.reduce((sum, w) => sum + w, 0), shares = passes.map(() => 0);
    const report = (k: number, share: number): void => {
      shares[k] = share;
      const done = shares.reduce((sum, s, i) => sum + s * weights[i], 0);
      this.options.onProgress?.({ done, total, doing: `${this.cells.length - missing.length + this.now}/${this.cells.length} cells` });
    };
    // The longest first, so that no thread has much left when the others are done.
    const order = [...passes.keys()];
    if (threads > 1) order.sort((a, b) => (weights[a] === weights[b] ? a - b : weights[b] - weights[a]));
    const runner = new TaskRunner(passes.length === 1 ? 1 : threads);
    try {
      await inLanes(passes, threads, order, async (pass, k, signal) => {
        await this.runPass(pass, runner, results, p => report(k, shareOf(this.plan, p)), signal);
        report(k, 1);
      });
    } finally {
      await runner.close();
    }
  }

  /** One reading of a trace. If it fails by what the cells ask for and not by the trace, those that can be done alone are. */
  private async runPass(pass: readonly Cell[], runner: TaskRunner, results: Results, onProgress: (p: TaskProgress) => void, signal: AbortSignal): Promise<void> {
    let result;
    try {
      result = await runner.run(taskOf(this.plan, pass, this.options.engine), onProgress, signal);
    } catch (error) {
      if (signal.aborted || !isFailure(error)) throw error;
      if (pass.length > 1 && !(error instanceof InputError)) for (const cell of pass) await this.runPass([cell], runner, results, onProgress, signal);
      else this.failures.push(...pass.map(cell => ({ cell, error })));
      return;
    }
    for (const [k, cell] of pass.entries()) {
      const key = await this.keyOf(cell), sha256 = await this.hashOf(cell);
      results.add(cell.place, lineText(lineOf(this.identity, cell, key, sha256, { trace: result.trace, run: result.runs[k] })));
      this.now++;
    }
  }
}

function isFailure(error: unknown): error is SweepFailure['error'] {
  return error instanceof InputError || error instanceof ConfigError || error instanceof WorkerError;
}

/** Cells in groups that one reading can serve, small enough for all threads to have some. */
function passesOf(cells: readonly Cell[], threads: number): Cell[][] {
  const most = Math.max(1, Math.min(PASS_CELLS, Math.ceil(cells.length / threads)));
  const passes: Cell[][] = [];
  for (const cell of cells) {
    const pass = passes.at(-1);
    if (pass && pass.length < most && sameReading(pass[0], cell)) pass.push(cell);
    else passes.push([cell]);
  }
  return passes;
}

const sameReading = (a: Cell, b: Cell): boolean => a.trace === b.trace && a.data === b.data && a.nodes === b.nodes && a.numa === b.numa;

function taskOf({ cpus, pages, limit, skipBad }: SweepPlan, pass: readonly Cell[], engine: EngineChoice): ReplayTask {
  const [{ trace, data, nodes, numa }] = pass;
  return {
    file: trace.path,
    open: { name: trace.path, skipBad, ...(trace.format ? { format: trace.format } : {}) },
    replay: { name: trace.name, cpus, pages, data, nodes, numa, engine, only: pass.map(cell => cell.run), ...(limit ? { limit } : {}) },
  };
}

/** How much of a reading is done, 0 to 1. */
function shareOf({ limit = Infinity }: SweepPlan, { accesses, bytesRead, bytesTotal = Infinity }: TaskProgress): number {
  return Math.min(1, Math.max(bytesRead / bytesTotal, accesses / limit));
}
