/**
 * The frames that hold shadow tables: what each is, who refers to it, and how it is found.
 *
 * Tables are in machine memory, where the hardware walks them; what is known about them is the hypervisor's own and is kept here, by number of
 * the frame in the pool. A slot is an entry of one: `page * 512 + index`.
 *
 * Invariants, checked by `audit()`:
 *   SH1  a page is free, or has a kind and is in the hash exactly once (a vCPU's own tables are not)
 *   SH2  no two pages have the same guest frame, kind, role and part
 *   SH3  `parents` of a page are exactly the slots that point at it
 *   SH4  a page without parents is pinned or some vCPU's root; no other is kept
 *   SH5  `live` is the number of its entries that are not 0
 *
 * Source: Xen 4.17 mm/shadow/common.c, "Hash table of shadow pages" and "Shadow code interface: allocation" (shadow_alloc, shadow_prealloc), for the parts.
 */
import { ConfigError, invariant } from '../../errors.ts';
import { backedRun, wordOf } from '../../memory/extents.ts';
import type { Views } from '../../memory/views.ts';
import { isOfGuest, KIND_FREE } from './kind.ts';

const NONE = -1;
export const ENTRIES = 512;

export class ShadowPages {
  readonly first: number;
  readonly frames: number;
  readonly kind: Uint8Array;
  readonly role: Uint8Array;
  /** Which of the shadows of one guest table; of a flat one: 1 = its entries are global. */
  readonly part: Uint8Array;
  /** Machine frame of the guest's table; of a flat one, the guest frame it begins with. */
  readonly of: Float64Array;
  readonly live: Int32Array;
  readonly pinned: Uint8Array;
  /** vCPUs whose CR3 points here. */
  readonly roots: Int32Array;
  /** When it was last a root or pinned. */
  readonly stamp: Float64Array;
  readonly parents: number[][];
  readonly free: number[] = [];
  private readonly s: Views;
  private readonly word: number;
  private readonly heads: Int32Array;
  private readonly next: Int32Array;
  private clock = 0;

  /** @throws ConfigError - the frames are not memory with bytes */
  constructor(s: Views, first: number, frames: number) {
    const backed = Number.isInteger(first) && first > 0 ? backedRun(s, first) : 0;
    if (!Number.isInteger(frames) || backed < frames) throw new ConfigError('pool', 'frames of RAM that has bytes', `${first} + ${frames}`);
    this.s = s;
    this.first = first;
    this.frames = frames;
    this.word = wordOf(s, Math.floor(first / 0x100000), first << 12);
    this.kind = new Uint8Array(frames);
    this.role = new Uint8Array(frames);
    this.part = new Uint8Array(frames);
    this.of = new Float64Array(frames);
    this.live = new Int32Array(frames);
    this.pinned = new Uint8Array(frames);
    this.roots = new Int32Array(frames);
    this.stamp = new Float64Array(frames);
    this.next = new Int32Array(frames).fill(NONE);
    this.heads = new Int32Array(1 << Math.max(4, 32 - Math.clz32(frames))).fill(NONE);
    this.parents = Array.from({ length: frames }, () => []);
    for (let page = frames - 1; page >= 0; page--) this.free.push(page);
  }

  /** Word index of a slot in machine memory. */
  wordOf(slot: number): number {
    return this.word + slot * 2;
  }

  /** The page that an entry points at, -1 if it points outside the pool. */
  pageOf(lo: number, hi: number): number {
    const page = (lo >>> 12) + (hi & 0xfffff) * 0x100000 - this.first;
    return page >= 0 && page < this.frames ? page : NONE;
  }

  /** Low and high word of the address of a page. */
  addressLo(page: number): number { return (this.first + page) << 12; }
  addressHi(page: number): number { return Math.floor((this.first + page) / 0x100000); }

  /** Take a free page, empty. There is one: see reserve() of tables.ts. @param hashed - enter it into the hash */
  take(of: number, kind: number, role: number, part: number, hashed = true): number {
    const page = this.free.pop();
    invariant(page !== undefined, 'a shadow page was reserved');
    this.kind[page] = kind;
    this.role[page] = role;
    this.part[page] = part;
    this.of[page] = of;
    this.live[page] = this.pinned[page] = this.roots[page] = 0;
    this.s.w.fill(0, this.wordOf(page * ENTRIES), this.wordOf((page + 1) * ENTRIES));
    if (hashed) {
      const bucket = this.bucket(of);
      this.next[page] = this.heads[bucket];
      this.heads[bucket] = page;
    }
    return page;
  }

  /** Take a page out of the hash: nobody finds it any more. */
  unhash(page: number): void {
    const bucket = this.bucket(this.of[page]);
    let at = this.heads[bucket];
    if (at === page) this.heads[bucket] = this.next[page];
    else {
      while (at !== NONE && this.next[at] !== page) at = this.next[at];
      if (at !== NONE) this.next[at] = this.next[page];
    }
    this.next[page] = NONE;
  }

  release(page: number): void {
    this.kind[page] = KIND_FREE;
    this.free.push(page);
  }

  find(of: number, kind: number, role: number, part: number): number {
    for (let page = this.heads[this.bucket(of)]; page !== NONE; page = this.next[page]) {
      if (this.of[page] === of && this.kind[page] === kind && this.role[page] === role && this.part[page] === part) return page;
    }
    return NONE;
  }

  /** Is a machine frame shadowed as a table? */
  isTable(mfn: number): boolean {
    for (let page = this.heads[this.bucket(mfn)]; page !== NONE; page = this.next[page]) if (this.of[page] === mfn && isOfGuest(this.kind[page])) return true;
    return false;
  }

  /** All shadows of a guest table. */
  shadowsOf(mfn: number): number[] {
    const found: number[] = [];
    for (let page = this.heads[this.bucket(mfn)]; page !== NONE; page = this.next[page]) if (this.of[page] === mfn && isOfGuest(this.kind[page])) found.push(page);
    return found;
  }

  /** Keep a page although nothing refers to it, as the one used last. */
  pin(page: number): void {
    this.pinned[page] = 1;
    this.stamp[page] = ++this.clock;
  }

  /** Is anything keeping a page? */
  isKept(page: number): boolean {
    return this.parents[page].length + this.pinned[page] + this.roots[page] > 0;
  }

  /** The pinned page used longest ago that nothing refers to, -1 if there is none. */
  oldest(): number {
    let found = NONE;
    for (let page = 0; page < this.frames; page++) {
      if (!this.pinned[page] || this.kind[page] === KIND_FREE || this.roots[page] || this.parents[page].length) continue;
      if (found === NONE || this.stamp[page] < this.stamp[found]) found = page;
    }
    return found;
  }

  private bucket(of: number): number {
    return (of ^ of / 0x10000) & (this.heads.length - 1);
  }
}
