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
import { PlainTlb } from './plain.ts';

const NO_RESULTS = new Int32Array(0);
const FETCH = 2;

const known = new WeakMap<Views, Map<number, readonly PlainTlb[]>>();

/** One for each service of a vCPU, made once: where the arrays are never changes. */
function plainTlbs(s: Views, v: number): readonly PlainTlb[] {
  return known.get(s)?.get(v) ?? makePlainTlbs(s, v);
}

function makePlainTlbs(s: Views, v: number): readonly PlainTlb[] {
  const ahead = new Ahead(), tlbs = [0, 1, 2].map(service => new PlainTlb(s, v, service, ahead));
  known.set(s, (known.get(s) ?? new Map<number, readonly PlainTlb[]>()).set(v, tlbs));
  return tlbs;
}

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
  const { va, kind, size } = columns, pa = columns.pa ?? NO_RESULTS, wanted = columns.pa !== undefined, w = s.w, tlbs = plainTlbs(s, v), { ahead } = tlbs[0];
  const unused = w[v + (VCPU_MODE >>> 2)] === MODE_5LEVEL ? 7 : 16, slots = v + (VCPU_MEMO_OF >>> 2);
  let slot = -1, tagLo = 0, tagHi = 0, frameLo = 0, frameHi = 0, kinds = 0, fault = FAULT_NONE, i = from, hits = 0, stores = 0, fetches = 0;
  for (let k = 0; k <= FETCH; k++) tlbs[k].aim(ACCESS_OF_KIND[k] | extra);
  ahead.va = va;
  ahead.end = to;
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
        ahead.at = i;
        fault = tlbs[k].search(hi, lo);
        if (fault !== FAULT_NONE) break;
        if (wanted) {
          pa[2 * i] = w[v + (VCPU_OUT_LO >>> 2)];
          pa[2 * i + 1] = w[v + (VCPU_OUT_HI >>> 2)];
        }
        slot = -1;
        continue;
      }
      fault = one(s, v, columns, i, extra);
      slot = -1;
      if (fault !== FAULT_NONE) break;
    }
  } finally { // a device may have thrown
    ahead.va = NO_RESULTS;
    for (const tlb of tlbs) tlb.settle();
    count(w, v, CNT_HITS, hits - stores - fetches);
    count(w, v, CNT_HITS + 1, stores);
    count(w, v, CNT_HITS + 2, fetches);
  }
  return i < to ? stopped(w, v, i, fault) : to;
}
