/**
 * Files, and those of their pages that are in memory, shared by all who map them.
 *
 * A trace has no contents: a file is what its name makes of it, the same in every run.
 */
import type { FramePool } from './frame-pool.ts';
import { PAGE_WORDS } from './platform.ts';

const GOLDEN = 0x9e3779b1 | 0;

/** One file. */
export class CachedFile {
  readonly name: string;
  /** Frames by page. */
  readonly pages = new Map<number, number>();
  /** Pages that something was stored in. */
  readonly written = new Set<number>();
  readonly seed: number;

  constructor(name: string) {
    this.name = name;
    let seed = 0x811c9dc5 | 0;
    for (let k = 0; k < name.length; k++) seed = Math.imul(seed ^ name.charCodeAt(k), 0x01000193);
    this.seed = seed;
  }
}

/** All files. */
export class PageCache {
  private readonly pool: FramePool;
  private readonly files = new Map<string, CachedFile>();
  private readonly words = new Int32Array(PAGE_WORDS);

  constructor(pool: FramePool) {
    this.pool = pool;
  }

  file(name: string): CachedFile {
    let file = this.files.get(name);
    if (file === undefined) this.files.set(name, file = new CachedFile(name));
    return file;
  }

  /** The frame of a page of a file, read in if it is not there. The cache has a reference of its own. */
  frame(file: CachedFile, page: number): number {
    let frame = file.pages.get(page);
    if (frame !== undefined) return frame;
    frame = this.pool.take();
    file.pages.set(page, frame);
    let word = Math.imul(file.seed ^ page, GOLDEN);
    for (let k = 0; k < PAGE_WORDS; k++) this.words[k] = word = Math.imul(word ^ (word >>> 15), GOLDEN) + k | 0;
    this.pool.write(frame, this.words);
    return frame;
  }

  /** Forget a page that nobody maps. */
  drop(file: CachedFile, page: number): void {
    const frame = file.pages.get(page);
    if (frame === undefined) return;
    file.pages.delete(page);
    this.pool.put(frame);
  }

  /** Forget everything. */
  dropAll(): void {
    for (const file of this.files.values()) for (const page of [...file.pages.keys()]) this.drop(file, page);
    this.files.clear();
  }
}
