/**
 * Reading ahead: where a batch walks for nearly every access, the level-1 entries that the next ones are likely to need come into the host's
 * cache. They are read together, for the host then waits for them together. Nothing but time depends on it: the words read are thrown away.
 */
import type { Views } from '../memory/views.ts';

/** Accesses read ahead for at once, after as many walks. */
export const GROUP = 32;

/** What the last walk that read a level-2 entry tells of the next ones. */
export class Ahead {
  /** Word index of the table it was in, in low memory; 0 = there was none. */
  table = 0;
  /** Which addresses that table translates: bits 31:30. Those above are left out, and an entry's upper address: to read amiss costs little. */
  region = 0;
  /** Walks since the last time. */
  walks = 0;
  /** ... and since the loop over walks was last tried, more or less. */
  lately = 0;
  private sink = 0;

  /** Addresses of a batch, as low and high words; the access that walks, and the first that is not to be made. */
  va: Int32Array = new Int32Array(0);
  at = 0;
  end = 0;
  /** Up to where addresses were read ahead for. */
  until = 0;

  /** Note a table of level-1 tables. @param va - low word of an address that it translates */
  enter(table: number, va: number): void {
    this.table = table;
    this.region = va >>> 30;
  }

  /** Read for the accesses that come next, four at a time: they are in the table's region together, or passed over. */
  read(s: Views, from: number): void {
    const { w, lowWord, lowFrames } = s, { table, va } = this, region = this.region << 30, to = Math.min(from + GROUP, this.end);
    let sum = 0;
    this.walks = 0;
    this.until = to;
    if (table === 0) return;
    for (let i = from; i + 4 <= to; i += 4) {
      const a = va[2 * i] ^ region, b = va[2 * i + 2] ^ region, c = va[2 * i + 4] ^ region, d = va[2 * i + 6] ^ region;
      if ((a | b | c | d) >>> 30 !== 0) continue;
      const aFrame = w[(table + (a >>> 21 << 1)) | 0] >>> 12, bFrame = w[(table + (b >>> 21 << 1)) | 0] >>> 12;
      const cFrame = w[(table + (c >>> 21 << 1)) | 0] >>> 12, dFrame = w[(table + (d >>> 21 << 1)) | 0] >>> 12;
      if (aFrame >= lowFrames || bFrame >= lowFrames || cFrame >= lowFrames || dFrame >= lowFrames) continue;
      sum ^= w[(lowWord + (aFrame << 10) + ((a >>> 11) & 0x3fe)) | 0] ^ w[(lowWord + (bFrame << 10) + ((b >>> 11) & 0x3fe)) | 0]
        ^ w[(lowWord + (cFrame << 10) + ((c >>> 11) & 0x3fe)) | 0] ^ w[(lowWord + (dFrame << 10) + ((d >>> 11) & 0x3fe)) | 0];
    }
    this.sink ^= sum;
  }
}
