/**
 * Reading ahead: where a batch walks for nearly every access, the level-1 entries that the next ones are likely to need come into the host's
 * cache. They are read together, for the host then waits for them together. Nothing but time depends on it: the words read are thrown away.
 */
import type { Views } from '../memory/views.ts';

/** Accesses read ahead for at once, after as many walks. */
export const GROUP = 16;

/** What the last walk that read a level-2 entry tells of the next ones. */
export class Ahead {
  /** Word index of the table it was in, in low memory; 0 = there was none. */
  table = 0;
  /** Which addresses that table translates: bits 31:30. Those above are left out, and an entry's upper address: to read amiss costs little. */
  region = 0;
  /** Walks since the last time. */
  walks = 0;
  private sink = 0;

  /** Addresses of a batch, as low and high words; the access that walks, and the first that is not to be made. */
  va: Int32Array = new Int32Array(0);
  at = 0;
  end = 0;

  /** Read for the accesses that come next. */
  read(s: Views): void {
    const { w, lowWord, lowFrames } = s, { table, region, va } = this, to = Math.min(this.at + 1 + GROUP, this.end);
    let sum = 0;
    this.walks = 0;
    if (table === 0) return;
    for (let i = this.at + 1; i < to; i++) {
      const lo = va[2 * i];
      if (lo >>> 30 !== region) continue;
      const frame = w[(table + ((lo >>> 20) & 0x3fe)) | 0] >>> 12;
      if (frame < lowFrames) sum ^= w[(lowWord + (frame << 10) + ((lo >>> 11) & 0x3fe)) | 0];
    }
    this.sink ^= sum;
  }
}
