/**
 * Builds paging structures in machine memory: what a small kernel's mapping functions do, for tests, examples and replays.
 *
 * Changes memory only. Invalidating what a vCPU has cached of a mapping that is changed or removed is the caller's duty, as on hardware.
 */
import { PTE_G, PTE_HI_PKEY_SHIFT, PTE_HI_XD, PTE_P, PTE_PS, PTE_RW, PTE_US, tableIndex } from '../arch/pte.ts';
import { ConfigError } from '../errors.ts';
import { MODE_4LEVEL, MODE_5LEVEL, MODE_LEGACY, MODE_PAE } from '../layout/vcpu.ts';
import { storeEntry, storeEntry32 } from '../memory/entry.ts';
import { FRAME_BYTES, wordOf } from '../memory/extents.ts';
import type { FrameAllocator } from '../memory/frame-allocator.ts';
import type { Views } from '../memory/views.ts';

/** Attributes of a mapping. Default: supervisor, read-only, executable. */
export interface Attributes {
  readonly write?: boolean;
  readonly user?: boolean;
  readonly noExecute?: boolean;
  readonly global?: boolean;
  /** Protection key 0 to 15 (4- and 5-level paging). */
  readonly key?: number;
}

const FRAMES_OF_SIZE = [1, 512, 262144];

/** Tables of one address space, and mapping in them. Addresses are two 32-bit words, frames are numbers. */
export class AddressSpace {
  /** Physical address of the root table (PAE: of the four PDPTEs), bytes. */
  readonly root: number;
  readonly mode: number;
  /** Bytes of tables built, the root included. */
  tableBytes = FRAME_BYTES;
  private readonly s: Views;
  private readonly frames: FrameAllocator;
  private readonly node: number;

  /**
   * @param mode - MODE_LEGACY, MODE_PAE, MODE_4LEVEL or MODE_5LEVEL
   * @param root - physical address of an existing root; without it an empty one is made
   */
  constructor(s: Views, frames: FrameAllocator, mode: number, root?: number, node = 0) {
    this.s = s;
    this.frames = frames;
    this.mode = mode;
    this.node = node;
    this.root = root ?? this.newTable();
  }

  /** A zeroed frame below 4 GiB where the mode's root must be; @returns its physical address */
  private newTable(): number {
    const pa = this.frames.allocate(1, 'table', this.node) * FRAME_BYTES;
    if (this.mode < MODE_4LEVEL && pa >= 2 ** 32) throw new ConfigError('memory', 'RAM below 4 GiB for 32-bit tables', pa);
    const at = wordOf(this.s, Math.floor(pa / 2 ** 32), pa | 0);
    this.s.w.fill(0, at, at + FRAME_BYTES / 4);
    return pa;
  }

  /**
   * Map one page.
   *
   * @param size - size code: 0 = 4K, 1 = 2M (4M in 32-bit paging), 2 = 1G
   * @param frame - first machine frame, aligned to the page
   * @throws ConfigError - the mode has no such page, or a larger page is in the way
   */
  map(vaHi: number, vaLo: number, size: number, frame: number, attributes: Attributes = {}): void {
    if (size > 0 && (size === 2 ? this.mode < MODE_4LEVEL : false)) throw new ConfigError('size', 'a page size of the paging mode', size);
    if (frame % this.framesOf(size) !== 0) throw new ConfigError('frame', `a multiple of ${this.framesOf(size)}`, frame);
    const most = this.mode !== MODE_LEGACY ? 2 ** 40 : size > 0 ? 2 ** 28 : 2 ** 20;
    if (frame < 0 || frame >= most) throw new ConfigError('frame', `a frame from 0 to ${most - 1}, as the entry can hold`, frame);
    const at = this.entry(vaHi, vaLo, size + 1, true);
    const flags = PTE_P | (attributes.write ? PTE_RW : 0) | (attributes.user ? PTE_US : 0) | (attributes.global ? PTE_G : 0) | (size > 0 ? PTE_PS : 0);
    const pa = frame * FRAME_BYTES;
    if (this.mode === MODE_LEGACY) {
      storeEntry32(this.s, at, pa | flags | (size > 0 ? (Math.floor(pa / 2 ** 32) & 0xff) << 13 : 0));
      return;
    }
    const hi = Math.floor(pa / 2 ** 32) | (attributes.noExecute ? PTE_HI_XD : 0) | ((attributes.key ?? 0) << PTE_HI_PKEY_SHIFT);
    storeEntry(this.s, at, pa | flags, hi);
  }

  /** Remove the page or table reference at the level of `size`. @returns true if there was one */
  unmap(vaHi: number, vaLo: number, size: number): boolean {
    const at = this.entry(vaHi, vaLo, size + 1, false);
    if (at < 0 || !(this.s.w[at] & PTE_P)) return false;
    this.store(at, 0, 0);
    return true;
  }

  /** Can the mode translate this linear address at all: canonical, or of 32 bits? */
  reaches(va: bigint): boolean {
    if (this.mode < MODE_4LEVEL) return va >> 32n === 0n;
    return BigInt.asUintN(64, BigInt.asIntN(this.mode === MODE_4LEVEL ? 48 : 57, va)) === va;
  }

  /** Frames of a page of a size code in this mode. */
  framesOf(size: number): number {
    return size === 1 && this.mode === MODE_LEGACY ? 1024 : FRAMES_OF_SIZE[size];
  }

  /** Word index of the entry at `level` for an address, building the tables above it if `build`; -1 if they are not there. */
  private entry(vaHi: number, vaLo: number, level: number, build: boolean): number {
    let table = this.root;
    for (let l = this.mode === MODE_PAE ? 3 : this.mode; ; l--) {
      const offset = this.offset(vaHi, vaLo, l);
      const at = wordOf(this.s, Math.floor(table / 2 ** 32), (table + offset) | 0);
      if (at < 0) { // a table that somebody else put where there are no bytes
        if (!build) return -1;
        throw new ConfigError('va', 'an address whose tables are in backed RAM', `a table at 0x${table.toString(16)}`);
      }
      if (l === level) return at;
      let lo = this.s.w[at];
      if (!(lo & PTE_P)) {
        if (!build) return -1;
        this.link(at, this.newTable(), l);
        this.tableBytes += FRAME_BYTES;
        lo = this.s.w[at];
      } else if (lo & PTE_PS && l <= 3) {
        if (!build) return -1;
        throw new ConfigError('va', 'an address without a larger page', `level ${l}`);
      }
      table = (lo & ~0xfff) >>> 0;
      if (this.mode !== MODE_LEGACY) table += (this.s.w[at + 1] & 0xfffff) * 2 ** 32;
    }
  }

  private offset(vaHi: number, vaLo: number, level: number): number {
    if (this.mode === MODE_LEGACY) return (vaLo >>> (level === 1 ? 10 : 20)) & 0xffc;
    return level === 3 && this.mode === MODE_PAE ? (vaLo >>> 30) * 8 : tableIndex(vaHi, vaLo, level) << 3;
  }

  /** Point an entry above a leaf at a table: all rights, so that the leaf decides. PDPTEs of PAE paging have none. */
  private link(at: number, table: number, level: number): void {
    const rights = this.mode === MODE_PAE && level === 3 ? PTE_P : PTE_P | PTE_RW | PTE_US;
    this.store(at, table | rights, Math.floor(table / 2 ** 32));
  }

  private store(at: number, lo: number, hi: number): void {
    if (this.mode === MODE_LEGACY) storeEntry32(this.s, at, lo);
    else storeEntry(this.s, at, lo, hi);
  }
}

/** MODE_* by the option's name. */
export const MODE_OF = { '5-level': MODE_5LEVEL, '4-level': MODE_4LEVEL, pae: MODE_PAE, legacy: MODE_LEGACY } as const;
