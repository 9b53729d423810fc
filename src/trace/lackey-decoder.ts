/**
 * Text printed by Valgrind's Lackey with `--trace-mem=yes`, and by `--trace-syscalls=yes` among it.
 *
 *   I  04016b84,3      instruction fetch: hexadecimal address, size in decimal
 *    L 1ffeffe7e,8     load
 *    S 04222cac,4      store
 *    M 0421f0c0,8      modify: a load and a store of the same bytes
 *   SYSCALL[pid,tid](nr) sys_name ( arguments ) --> ...
 *
 * Addresses have 1 to 16 digits, sizes are 1 to 65535. Blank lines and Valgrind's own (`==pid== ...`, `--pid-- ...`,
 * `**pid** ...`) are passed over, since both go to the same stream; any other line is malformed.
 *
 * Source: Valgrind User Manual, "Lackey: an example tool", option `--trace-mem`, and "The Commentary" for `==pid==`;
 * output of Valgrind 3.19.
 */
import { KIND_FETCH, KIND_LOAD, KIND_MODIFY, KIND_STORE } from './batch.ts';
import type { AccessBatch } from './batch.ts';
import { parseSyscall } from './lackey-syscall.ts';
import { HEX_VALUE, LineDecoder, lineEnd, lineText } from './line-decoder.ts';
import { EVENT_CAPACITY } from './trace-decoder.ts';

const SPACE = 0x20;
const COMMA = 0x2c;
const NEWLINE = 10;
const RETURN = 13;
const LETTER_I = 0x49;

const SIZE_LIMIT = 65535;

const NO_KIND = 255;
/** Kind by the letter in the second column. */
const DATA_KIND = new Uint8Array(256).fill(NO_KIND);
DATA_KIND[0x4c] = KIND_LOAD;
DATA_KIND[0x53] = KIND_STORE;
DATA_KIND[0x4d] = KIND_MODIFY;

const COMMENTARY = /^(==|--|\*\*)[0-9]+\1/;
const EXPECTED = '"I  ADDR,SIZE", " L ADDR,SIZE" (or S, M), a SYSCALL line or Valgrind\'s commentary (--skip-bad passes over a program\'s own output)';

/** Decodes Lackey's text. */
export class LackeyDecoder extends LineDecoder {
  readonly format = 'lackey';

  protected override lines(bytes: Uint8Array, start: number, end: number, batch: AccessBatch): number {
    const { va, kind, size } = batch;
    const capacity = kind.length;
    let count = batch.count;
    let line = this.line;
    let next = start;
    while (next < end && count < capacity) {
      let at = next + 3;
      const code = kindAt(bytes, next);
      let lo = 0;
      let hi = 0;
      let digit = HEX_VALUE[bytes[at]];
      // Most addresses have 8 digits, which leave the high word alone.
      const middle = next + 11;
      while (digit < 16 && at < middle) {
        lo = (lo << 4) | digit;
        digit = HEX_VALUE[bytes[++at]];
      }
      while (digit < 16) {
        hi = (hi << 4) | (lo >>> 28);
        lo = (lo << 4) | digit;
        digit = HEX_VALUE[bytes[++at]];
      }
      const digits = at - next - 3;
      let width = 0;
      if (bytes[at] === COMMA) {
        let decimal = bytes[++at] - 48;
        while (decimal >= 0 && decimal <= 9 && width <= SIZE_LIMIT) {
          width = width * 10 + decimal;
          decimal = bytes[++at] - 48;
        }
      }
      if (bytes[at] === RETURN) at++;
      const whole = digits > 0 && digits <= 16 && width > 0 && width <= SIZE_LIMIT && bytes[at] === NEWLINE;
      if (whole && code !== NO_KIND) {
        va[count * 2] = lo;
        va[count * 2 + 1] = hi;
        kind[count] = code;
        size[count] = width;
        count++;
        next = at + 1;
      } else {
        this.line = line;
        batch.count = count;
        next = this.otherLine(bytes, next, batch);
        if (batch.events.length >= EVENT_CAPACITY) {
          this.line++;
          this.full = true;
          return next;
        }
      }
      line++;
    }
    this.line = line;
    batch.count = count;
    this.full = count === capacity;
    return next;
  }

  /** A line that is no access. @returns start of the next line */
  private otherLine(bytes: Uint8Array, at: number, batch: AccessBatch): number {
    const end = lineEnd(bytes, at);
    const text = lineText(bytes, at, end);
    if (text.trim() === '' || COMMENTARY.test(text)) return end + 1;
    const call = parseSyscall(text, batch.count);
    if (call === 'malformed') return this.badLine(bytes, at, EXPECTED);
    if (call !== 'nothing') batch.events.push(call);
    return end + 1;
  }
}

/** Kind by the first three columns, or `NO_KIND`; behind a short line they hold other bytes, which cannot match. */
function kindAt(bytes: Uint8Array, at: number): number {
  if (bytes[at + 2] !== SPACE) return NO_KIND;
  if (bytes[at] === SPACE) return DATA_KIND[bytes[at + 1]];
  return bytes[at] === LETTER_I && bytes[at + 1] === SPACE ? KIND_FETCH : NO_KIND;
}
