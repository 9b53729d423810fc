/**
 * The traditional `din` text of Dinero: `label address` a line, the rest of the line a comment.
 *
 *   label    0 read, 1 write, 2 instruction fetch; 3 (unknown) and 4 (flush the cache) are no accesses and passed over
 *   address  1 to 16 hexadecimal digits, with or without 0x
 *
 * The format has no sizes: every access gets 4 bytes. Blank lines are passed over.
 *
 * Source: R. Peel, "Dinero File Format", University of Surrey, 2001. It has addresses of up to 8 digits and no 0x;
 * traces of 64-bit programs have more, and some tools write 0x.
 */
import { KIND_FETCH, KIND_LOAD, KIND_STORE } from './batch.ts';
import type { AccessBatch } from './batch.ts';
import { HEX_VALUE, LineDecoder, lineEnd, lineText } from './line-decoder.ts';

/** Bytes of every access. */
const DIN_SIZE = 4;

const EXPECTED = '"LABEL ADDRESS" with a label from 0 to 4 and a hexadecimal address';

const TAB = 9;
const NEWLINE = 10;
const RETURN = 13;
const SPACE = 0x20;
const LETTER_X = 0x78;

const NO_KIND = 255;
const KIND = Uint8Array.of(KIND_LOAD, KIND_STORE, KIND_FETCH, NO_KIND, NO_KIND);

/** Decodes `din` text. */
export class DinDecoder extends LineDecoder {
  readonly format = 'din';

  protected override lines(bytes: Uint8Array, start: number, end: number, batch: AccessBatch): number {
    const { va, kind, size } = batch;
    const capacity = kind.length;
    let count = batch.count;
    let next = start;
    while (next < end && count < capacity) {
      let at = next;
      while (bytes[at] === SPACE || bytes[at] === TAB) at++;
      const label = bytes[at] - 0x30;
      const spaces = ++at;
      while (bytes[at] === SPACE || bytes[at] === TAB) at++;
      const spaced = at > spaces;
      if (bytes[at] === 0x30 && bytes[at + 1] === LETTER_X) at += 2;
      const first = at;
      let lo = 0;
      let hi = 0;
      let digit = HEX_VALUE[bytes[at]];
      while (digit < 16) {
        hi = (hi << 4) | (lo >>> 28);
        lo = (lo << 4) | digit;
        digit = HEX_VALUE[bytes[++at]];
      }
      const after = bytes[at];
      const closed = after === NEWLINE || after === RETURN || after === SPACE || after === TAB;
      if (label >= 0 && label <= 4 && spaced && at > first && at - first <= 16 && closed) {
        if (KIND[label] !== NO_KIND) {
          va[count * 2] = lo;
          va[count * 2 + 1] = hi;
          kind[count] = KIND[label];
          size[count] = DIN_SIZE;
          count++;
        }
        next = after === NEWLINE ? at + 1 : lineEnd(bytes, at) + 1;
      } else {
        const stop = lineEnd(bytes, next);
        next = lineText(bytes, next, stop).trim() === '' ? stop + 1 : this.badLine(bytes, next, EXPECTED);
      }
      this.line++;
    }
    batch.count = count;
    this.full = count === capacity;
    return next;
  }
}
