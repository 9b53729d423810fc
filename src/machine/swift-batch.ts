/**
 * The batch loop of timed mode in 64-bit paging where data accesses are not priced: nearly every access repeats one of the memos (mmu/memo.ts).
 *
 * The memo used last is kept in locals; nothing but PlainTlb and the general path, both called from here, changes it.
 */
import { ACCESS_FETCH, ACCESS_RIGHTS, ACCESS_WRITE, FAULT_NONE } from '../arch/fault.ts';
import { CNT_HITS } from '../layout/counter.ts';
import { HDR_DATA } from '../layout/header.ts';
import { TLBD_HI_ADDR } from '../layout/tlb.ts';
import {
  MEMO_ENTRY, MODE_4LEVEL, MODE_5LEVEL, RIGHTS_FORBID, RIGHTS_NEED, RIGHTS_STRIDE, VCPU_MEMO_OF, VCPU_MODE, VCPU_OUT_HI, VCPU_OUT_LO, VCPU_RIGHTS, VCPU_TIMED,
} from '../layout/vcpu.ts';
import { count } from '../memory/counters.ts';
import type { Views } from '../memory/views.ts';
import { Ahead } from './ahead.ts';
import { ACCESS_OF_KIND, one, stopped, type Columns } from './batch.ts';
import { HitBatch } from './hit-batch.ts';
import { plainTlbs, type PlainTlb } from './plain.ts';
import { WalkBatch } from './walk-batch.ts';

const NO_RESULTS = new Int32Array(0);
const FETCH = 2;
// After so many walks it is tried whether nearly every access walks.
const MOSTLY = 8;
// Accesses of one call of the loop: few, so that it is called often and compiled whole, not from its middle, where V8 knows no types.
const PART = 1024;

const known = new WeakMap<Views, Map<number, SwiftBatch>>();

/** May a batch of a vCPU take this loop? */
export function swift(w: Int32Array, v: number, extra: number): boolean {
  return w[v + (VCPU_TIMED >>> 2)] !== 0 && w[v + (VCPU_MODE >>> 2)] >= MODE_4LEVEL && w[HDR_DATA >>> 2] === 0 && (extra & (ACCESS_WRITE | ACCESS_FETCH)) === 0;
}

/** Bit k set: kind k may use an entry with these rights. */
function permitted(w: Int32Array, v: number, extra: number, data: number): number {
  let kinds = 0;
  for (let k = 0; k <= FETCH; k++) {
    const row = v + (VCPU_RIGHTS >>> 2) + (((ACCESS_OF_KIND[k] | extra) & ACCESS_RIGHTS) >>> 1) * (RIGHTS_STRIDE >>> 2);
    if (((~data & w[row + (RIGHTS_NEED >>> 2)]) | (data & w[row + (RIGHTS_FORBID >>> 2)])) === 0) kinds |= 1 << k;
  }
  return kinds;
}

/** runBatch() where swift() says so. */
export function runSwift(s: Views, v: number, columns: Columns, from: number, to: number, extra: number): number {
  const batch = known.get(s)?.get(v) ?? know(s, v);
  return (batch.running ? new SwiftBatch(s, v) : batch).run(columns, from, to, extra); // a device that a walk reads may make a batch, too
}

/** Made once for a vCPU: where the arrays are never changes. */
function know(s: Views, v: number): SwiftBatch {
  const batch = new SwiftBatch(s, v);
  known.set(s, (known.get(s) ?? new Map<number, SwiftBatch>()).set(v, batch));
  return batch;
}

class SwiftBatch {
  running = false;
  private readonly s: Views;
  private readonly v: number;
  private readonly ahead = new Ahead();
  /** By service. */
  private readonly tlbs: readonly PlainTlb[];
  private readonly walks: WalkBatch;
  private readonly found: HitBatch;
  /** Repeated, of all kinds, and of these the stores and fetches. */
  private hits = 0;
  private stores = 0;
  private fetches = 0;
  private fault = FAULT_NONE;

  constructor(s: Views, v: number) {
    this.s = s;
    this.v = v;
    this.tlbs = plainTlbs(s, v, this.ahead);
    this.walks = new WalkBatch(s, v, this.tlbs, this.ahead);
    this.found = new HitBatch(s, v, this.tlbs);
  }

  run(columns: Columns, from: number, to: number, extra: number): number {
    const { ahead, tlbs } = this;
    this.running = true;
    this.fault = FAULT_NONE;
    ahead.va = columns.va;
    ahead.end = to;
    tlbs[0].aim(ACCESS_OF_KIND[0] | extra);
    tlbs[1].aim(ACCESS_OF_KIND[1] | extra);
    tlbs[2].aim(ACCESS_OF_KIND[2] | extra);
    try {
      while (from < to && this.fault === FAULT_NONE) from = this.part(columns, from, Math.min(to, from + PART), extra);
    } finally {
      ahead.va = NO_RESULTS;
      this.running = false;
      this.settle();
    }
    return this.fault !== FAULT_NONE ? stopped(this.s.w, this.v, from, this.fault) : to;
  }

  /** @returns the first access that was not made */
  private part(columns: Columns, from: number, to: number, extra: number): number {
    const { s, v, tlbs, ahead, found } = this, { va, kind, size } = columns, pa = columns.pa ?? NO_RESULTS, wanted = columns.pa !== undefined, w = s.w;
    const unused = w[v + (VCPU_MODE >>> 2)] === MODE_5LEVEL ? 7 : 16, slots = v + (VCPU_MEMO_OF >>> 2);
    let slot = -1, tagLo = 0, tagHi = 0, frameLo = 0, frameHi = 0, kinds = 0, i = from, hits = 0, stores = 0, fetches = 0;
    try {
      for (; i < to; i++) {
        const lo = va[2 * i], hi = va[2 * i + 1], k = kind[i], own = w[slots + k];
        if (own === slot && tagLo === (lo | 0xfff) && tagHi === hi && (kinds >>> k) & 1 && (lo & 0xfff) + size[i] <= 4096) {
          hits++;
          stores += k & 1; // kinds 0, 1, 2
          fetches += k >>> 1;
          if (wanted) {
            pa[2 * i] = frameLo | (lo & 0xfff);
            pa[2 * i + 1] = frameHi;
          }
          continue;
        }
        if (k <= FETCH && (lo & 0xfff) + size[i] <= 4096 && (hi << unused) >> unused === hi) {
          const m = own >>> 2;
          if (own !== slot && w[m] === (lo | 0xfff) && w[m + 1] === hi) { // the memo of another service
            const entry = w[m + (MEMO_ENTRY >>> 2)];
            slot = own;
            tagLo = lo | 0xfff;
            tagHi = hi;
            frameLo = entry & ~0xfff;
            frameHi = w[m + (MEMO_ENTRY >>> 2) + 1] & TLBD_HI_ADDR;
            kinds = permitted(w, v, extra, entry);
            i--;
            continue;
          }
          slot = -1;
          if (ahead.lately > MOSTLY || found.isLikely(i)) {
            i = this.many(columns, i, to, k);
            if (this.fault !== FAULT_NONE) break;
            i--;
            continue;
          }
          ahead.at = i;
          this.fault = tlbs[k].search(hi, lo);
          if (this.fault !== FAULT_NONE) break;
          if (wanted) {
            pa[2 * i] = w[v + (VCPU_OUT_LO >>> 2)];
            pa[2 * i + 1] = w[v + (VCPU_OUT_HI >>> 2)];
          }
          continue;
        }
        slot = -1;
        this.fault = one(s, v, columns, i, extra);
        if (this.fault !== FAULT_NONE) break;
      }
    } finally { // a device may have thrown
      this.hits += hits;
      this.stores += stores;
      this.fetches += fetches;
    }
    return i;
  }

  /** Access `i`, which no memo answers, and those after it that a loop of their own makes. @returns the first that was not made; `fault` is its fault, if it has one */
  private many(columns: Columns, i: number, to: number, k: number): number {
    const { s: { w }, v, walks, found, ahead } = this, { va, pa } = columns, isWalk = ahead.lately > MOSTLY;
    const next = isWalk ? walks.run(columns, i, to, k) : found.run(columns, i, to, k);
    if (isWalk) {
      ahead.lately = Math.min(2 * MOSTLY, ahead.lately + (next - i) - 2);
      this.fault = walks.fault;
    }
    if (next !== i || this.fault !== FAULT_NONE) return next;
    ahead.at = i;
    this.fault = this.tlbs[k].search(va[2 * i + 1], va[2 * i]);
    if (this.fault !== FAULT_NONE) return i;
    if (pa !== undefined) {
      pa[2 * i] = w[v + (VCPU_OUT_LO >>> 2)];
      pa[2 * i + 1] = w[v + (VCPU_OUT_HI >>> 2)];
    }
    return i + 1;
  }

  /** Add what was counted to the vCPU's counters. */
  private settle(): void {
    const { s: { w }, v, tlbs, hits, stores, fetches } = this;
    tlbs[0].settle();
    tlbs[1].settle();
    tlbs[2].settle();
    if (hits === 0) return;
    count(w, v, CNT_HITS, hits - stores - fetches);
    count(w, v, CNT_HITS + 1, stores);
    count(w, v, CNT_HITS + 2, fetches);
    this.hits = this.stores = this.fetches = 0;
  }
}
