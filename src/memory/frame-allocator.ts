/**
 * Hands out machine frames: for the tables that this library builds itself, and for the data frames they map.
 *
 * Kept outside the shared state: a convenience for embedders and replays, not part of the machine.
 */
import { ConfigError, invariant } from '../errors.ts';
import { FRAME_BYTES, type Extent } from './extents.ts';

interface Pool {
  readonly extent: Extent;
  next: number; // frames handed out from the start of the extent
  readonly free: number[]; // single frames given back
}

export class FrameAllocator {
  private readonly pools: Pool[] = [];
  /** Frames handed out and not given back. */
  used = 0;

  /** Make the frames of an extent available. `reserved` frames at its start are never handed out. */
  add(extent: Extent, reserved = 0): void {
    if (extent.kind !== 'mmio') this.pools.push({ extent, next: Math.min(reserved, extent.frames), free: [] });
  }

  /**
   * Frames in one aligned, contiguous run.
   *
   * @param frames - 1, 512 or 262144; the run is aligned to its length
   * @param use - `table` needs bytes; `data` prefers RAM without
   * @param node - preferred NUMA node; others are taken if it is full
   * @returns frame number of the first
   * @throws ConfigError - no such run is left
   */
  allocate(frames: number, use: 'table' | 'data', node = 0): number {
    const usable = this.pools.filter(p => use === 'data' || p.extent.kind === 'ram');
    const rank = (p: Pool) => (p.extent.node === node ? 0 : 2) + (use === 'data' && p.extent.kind === 'ram' ? 1 : 0);
    for (const pool of usable.sort((a, b) => rank(a) - rank(b))) {
      const frame = this.take(pool, frames);
      if (frame >= 0) return frame;
    }
    throw new ConfigError('memory', `room for ${frames * FRAME_BYTES} more bytes of ${use === 'table' ? 'paging structures' : 'data'}`, 'a full machine');
  }

  /** Single frames with bytes that are left. */
  get tableFramesLeft(): number {
    return this.pools.reduce((sum, p) => sum + (p.extent.kind === 'ram' ? p.extent.frames - p.next + p.free.length : 0), 0);
  }

  private take(pool: Pool, frames: number): number {
    this.used += frames;
    if (frames === 1 && pool.free.length > 0) return pool.free.pop()!;
    const base = pool.extent.base;
    const first = Math.ceil((base + pool.next) / frames) * frames;
    if (first + frames > base + pool.extent.frames) {
      this.used -= frames;
      return -1;
    }
    for (let f = base + pool.next; f < first; f++) pool.free.push(f); // skipped for alignment: still good as single frames
    pool.next = first + frames - base;
    return first;
  }

  /** Runs of frames that were handed out, perhaps given back since: the first, and how many. Those with bytes. */
  get handedOut(): (readonly [number, number])[] {
    return this.pools.filter(p => p.extent.kind === 'ram').map(({ extent, next }) => [extent.base, next]);
  }

  /** Know no extent any more. */
  clear(): void {
    this.pools.length = 0;
    this.used = 0;
  }

  /** Give back one frame. */
  release(frame: number): void {
    const pool = this.pools.find(p => frame >= p.extent.base && frame < p.extent.base + p.extent.frames);
    invariant(pool !== undefined && frame < pool.extent.base + pool.next, `frame 0x${frame.toString(16)} was handed out`);
    this.used--;
    pool.free.push(frame);
  }

  /** What is handed out, as 32-bit words: of each pool its extent, how far it is handed out, and single frames that are free. */
  state(): number[] {
    const wide = (n: number): number[] => [n | 0, Math.floor(n / 2 ** 32)];
    const pools = this.pools.flatMap(({ extent: { id, base, frames, kind, node }, next, free }) =>
      [id, ...wide(base), ...wide(frames), kind === 'ram' ? 1 : 0, node, ...wide(next), free.length, ...free.flatMap(wide)]);
    return [...wide(this.used), ...pools];
  }

  /** Hand out as another did when its state was taken. */
  putState(words: ArrayLike<number>): void {
    let at = 0;
    const word = (): number => words[at++], wide = (): number => (word() >>> 0) + word() * 2 ** 32;
    this.used = wide();
    this.pools.length = 0;
    while (at < words.length) {
      const extent: Extent = { id: word(), base: wide(), frames: wide(), kind: word() === 1 ? 'ram' : 'unbacked', node: word() };
      this.pools.push({ extent, next: wide(), free: Array.from({ length: word() }, wide) });
    }
  }
}
