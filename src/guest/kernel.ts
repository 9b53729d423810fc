/** A kernel's memory management: its parts, and which address space runs. */
import { ConfigError } from '../errors.ts';
import { Figures } from './figures.ts';
import { FramePool } from './frame-pool.ts';
import { Mm } from './mm.ts';
import type { MmuOps } from './mmu-ops.ts';
import { PageCache } from './page-cache.ts';
import { PageTables } from './page-tables.ts';
import type { Platform } from './platform.ts';
import { Reclaim } from './reclaim.ts';

/** What a kernel does and what it does not. */
export interface KernelOptions {
  /** Pages of processes and files that are in memory at most, if it can be helped. Default: all there is. */
  readonly limitPages?: number;
  /** Pages of a file that a fault maps at most, those that are in memory already; a power of two, 1 to 512. Default 16. */
  readonly faultAround?: number;
  /** A 2-MByte region with so many pages becomes one page, unless the kernel is paravirtualized; 0: never. Default 0. */
  readonly promoteAt?: number;
}

const MOST_AROUND = 512;

/** @throws ConfigError - an option */
function checked(options: KernelOptions): Required<KernelOptions> {
  const { limitPages = Infinity, faultAround = 16, promoteAt = 0 } = options;
  if (limitPages !== Infinity && (!Number.isInteger(limitPages) || limitPages < 1)) throw new ConfigError('limitPages', 'an integer from 1', limitPages);
  const isPower = Number.isInteger(Math.log2(faultAround)) && faultAround >= 1 && faultAround <= MOST_AROUND;
  if (!isPower) throw new ConfigError('faultAround', `a power of two from 1 to ${MOST_AROUND}`, faultAround);
  if (!Number.isInteger(promoteAt) || promoteAt < 0 || promoteAt > MOST_AROUND) throw new ConfigError('promoteAt', `an integer from 0 to ${MOST_AROUND}`, promoteAt);
  return { limitPages, faultAround, promoteAt };
}

export class Kernel {
  readonly p: Platform;
  readonly ops: MmuOps;
  readonly pool: FramePool;
  readonly tables: PageTables;
  readonly cache: PageCache;
  readonly reclaim: Reclaim;
  readonly figures = new Figures();
  readonly options: Required<KernelOptions>;
  /** The page of zeroes that loads of untouched memory share. */
  readonly zeroFrame: number;
  /** The address space that runs. */
  current: Mm | undefined;
  /** Address spaces there are. */
  roots = 0;
  private readonly atStart: number;

  /** @param make - the operations, which may take frames of their own from the pool @throws ConfigError - an option */
  constructor(p: Platform, make: (pool: FramePool) => MmuOps, options: KernelOptions = {}) {
    this.options = checked(options);
    this.p = p;
    this.pool = new FramePool(p);
    this.ops = make(this.pool);
    this.zeroFrame = this.pool.takeClear();
    this.atStart = this.pool.used;
    this.tables = new PageTables(p, this.ops, this.pool);
    this.cache = new PageCache(this.pool);
    this.reclaim = new Reclaim(this);
  }

  newMm(): Mm {
    const mm = new Mm();
    this.roots++;
    this.ops.pgdAlloc(mm.context);
    return mm;
  }

  /** Let another address space run. */
  switchTo(mm: Mm): void {
    if (mm === this.current) return;
    this.figures.contextSwitches++;
    this.ops.switchMm(mm.context);
    this.current = mm;
  }

  /** An address space has ended. */
  freeMm(mm: Mm): void {
    mm.alive = false;
    this.roots--;
    this.ops.pgdFree(mm.context);
    if (this.current === mm) this.current = undefined;
  }

  /** Frames in use that would not be if all processes had ended and all files were forgotten. */
  get framesInUse(): number {
    return this.pool.used - this.atStart;
  }
}
