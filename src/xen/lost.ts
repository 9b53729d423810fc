/** References that nothing holds any more, as the real Xen loses them: for the audit. */
import { HV_LOST, HV_LOST_LOCK, HV_LOST_USED, LOST_BY, LOST_BYTES, LOST_MFN, LOST_REFS, LOST_TYPES } from '../layout/hypervisor.ts';
import { RANK_LOST } from '../layout/lock.ts';
import type { OwnFrames } from './own-frames.ts';
import { PagedTable } from './paged-table.ts';

const BEHAVIOURS = ['leakPartialTables', 'shared compat table', 'leakPreemptedTables'] as const;
const MOST = 2 ** 18;

export interface Lost {
  /** Which behaviour of the real Xen lost them. */
  readonly by: (typeof BEHAVIOURS)[number];
  readonly mfn: number;
  readonly refs: number;
  readonly types: number;
}

export class LostReferences {
  private readonly own: OwnFrames;
  private readonly rows: PagedTable;
  private readonly used: number;

  constructor(own: OwnFrames) {
    this.own = own;
    this.rows = new PagedTable(own, own.block + (HV_LOST >>> 2), LOST_BYTES, MOST);
    this.used = own.block + (HV_LOST_USED >>> 2);
  }

  /** Note some. Without memory for it they stay unknown, and the audit complains. */
  add(lost: Lost): void {
    const { s } = this.own, lock = this.own.block + (HV_LOST_LOCK >>> 2);
    if (s.atomic) s.locks.take(lock, RANK_LOST);
    this.append(lost);
    if (s.atomic) s.locks.give(lock);
  }

  private append({ by, mfn, refs, types }: Lost): void {
    const { w } = this.own.s, n = w[this.used];
    if (!this.rows.reserve(n + 1)) return;
    const at = this.rows.row(n);
    w[at + (LOST_BY >>> 2)] = BEHAVIOURS.indexOf(by);
    w[at + (LOST_MFN >>> 2)] = mfn;
    w[at + (LOST_REFS >>> 2)] = refs;
    w[at + (LOST_TYPES >>> 2)] = types;
    w[this.used] = n + 1;
  }

  list(): Lost[] {
    const { w } = this.own.s;
    return Array.from({ length: w[this.used] }, (_, k) => {
      const at = this.rows.row(k);
      return { by: BEHAVIOURS[w[at + (LOST_BY >>> 2)]], mfn: w[at + (LOST_MFN >>> 2)], refs: w[at + (LOST_REFS >>> 2)], types: w[at + (LOST_TYPES >>> 2)] };
    });
  }
}
