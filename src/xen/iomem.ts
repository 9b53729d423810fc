/** Ranges of frames that are no memory and that a domain may map. */
import { DOMAIN_IOMEM, DOMAIN_IOMEM_USED, IOMEM_BYTES, IOMEM_FIRST, IOMEM_LAST } from '../layout/domain.ts';
import type { Views } from '../memory/views.ts';
import type { OwnFrames } from './own-frames.ts';
import { PagedTable } from './paged-table.ts';

const MOST = 2 ** 16;

export class IomemRanges {
  private readonly s: Views;
  private readonly rows: PagedTable;
  private readonly used: number;

  /** @param domain - word index of the domain's block */
  constructor(own: OwnFrames, domain: number) {
    this.s = own.s;
    this.rows = new PagedTable(own, domain + (DOMAIN_IOMEM >>> 2), IOMEM_BYTES, MOST);
    this.used = domain + (DOMAIN_IOMEM_USED >>> 2);
  }

  get length(): number {
    return this.s.w[this.used];
  }

  /** @returns false: there is no memory for more */
  add(first: number, last: number): boolean {
    const n = this.length;
    if (!this.rows.reserve(n + 1)) return false;
    const at = this.rows.row(n) >>> 1;
    this.s.d[at + (IOMEM_FIRST >>> 3)] = first;
    this.s.d[at + (IOMEM_LAST >>> 3)] = last;
    this.s.w[this.used] = n + 1;
    return true;
  }

  has(mfn: number): boolean {
    const { d } = this.s;
    for (let k = 0; k < this.length; k++) {
      const at = this.rows.row(k) >>> 1;
      if (mfn >= d[at + (IOMEM_FIRST >>> 3)] && mfn <= d[at + (IOMEM_LAST >>> 3)]) return true;
    }
    return false;
  }

  clear(): void {
    this.rows.clear();
    this.s.w[this.used] = 0;
  }
}
