/** Which port each physical interrupt of a domain is bound to. */
import type { Views } from '../memory/views.ts';
import type { OwnFrames } from './own-frames.ts';
import { PagedTable } from './paged-table.ts';

const WORD_BYTES = 4;
/** Numbers that a domain's physical interrupts may have. */
export const MOST_PIRQS = 2 ** 20;

export class Pirqs {
  private readonly s: Views;
  private readonly rows: PagedTable;

  /** @param at - word index of the table's two words */
  constructor(own: OwnFrames, at: number) {
    this.s = own.s;
    this.rows = new PagedTable(own, at, WORD_BYTES, MOST_PIRQS);
  }

  /** Port of an interrupt, 0: none. */
  get(pirq: number): number {
    return pirq < this.rows.capacity ? this.s.w[this.rows.row(pirq)] : 0;
  }

  has(pirq: number): boolean {
    return this.get(pirq) !== 0;
  }

  /** Make room for an interrupt. @returns false: there is no memory for it */
  reserve(pirq: number): boolean {
    return this.rows.reserve(pirq + 1);
  }

  /** Bind an interrupt that there is room for. */
  set(pirq: number, port: number): void {
    this.s.w[this.rows.row(pirq)] = port;
  }

  delete(pirq: number): void {
    if (this.has(pirq)) this.set(pirq, 0);
  }

  clear(): void {
    this.rows.clear();
  }

  *[Symbol.iterator](): Generator<readonly [pirq: number, port: number]> {
    for (let pirq = 0; pirq < this.rows.capacity; pirq++) if (this.has(pirq)) yield [pirq, this.get(pirq)];
  }
}
