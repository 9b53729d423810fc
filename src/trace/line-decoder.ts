/** What the decoders of line-oriented text have in common: where lines end, and how long one may be. */
import type { AccessBatch } from './batch.ts';
import { printable, TraceDecoder } from './trace-decoder.ts';

/** Bytes in a line, at most. System calls print paths of up to 4096 bytes; no format has longer lines than those. */
const LINE_LIMIT = 1 << 16;

const NEWLINE = 10;
const RETURN = 13;

/** Values of hexadecimal digits by character code; 255 for every other byte, so that a newline ends every scan. */
export const HEX_VALUE = new Uint8Array(256).fill(255);
for (let value = 0; value < 16; value++) {
  const digit = value.toString(16);
  HEX_VALUE[digit.charCodeAt(0)] = value;
  HEX_VALUE[digit.toUpperCase().charCodeAt(0)] = value;
}

/** Decodes lines: finds whole ones, the format takes them. Lines too long are malformed. */
export abstract class LineDecoder extends TraceDecoder {
  readonly longest = LINE_LIMIT;
  /** Lines before the one at hand. */
  protected line = 0;
  /** Inside a line too long, already counted as malformed. */
  private discarding = false;

  /**
   * Takes lines from `bytes[start, end)`, which ends with a newline, until the end or `full`. Keeps `line`.
   * @returns start of the first line not taken
   */
  protected abstract lines(bytes: Uint8Array, start: number, end: number, batch: AccessBatch): number;

  override decode(bytes: Uint8Array, start: number, end: number, final: boolean, batch: AccessBatch): number {
    this.full = false;
    let from = start;
    if (this.discarding) {
      from = this.discard(bytes, start, end);
      if (this.discarding) return end;
    }
    let stop = bytes.subarray(from, end).lastIndexOf(NEWLINE) + 1 + from;
    if (final && stop < end) {
      bytes[end] = NEWLINE;
      stop = end + 1;
    }
    const next = stop > from ? this.lines(bytes, from, stop, batch) : from;
    if (next < stop) return next;
    if (next > end) return end;
    if (end - next <= LINE_LIMIT) return next;
    this.bad(this.where(), `a line of at most ${LINE_LIMIT} bytes`, printable(bytes, next, end));
    this.discarding = true;
    return end;
  }

  /** A malformed line from `at`: an error, or counted. @returns start of the next line */
  protected badLine(bytes: Uint8Array, at: number, expected: string): number {
    const end = lineEnd(bytes, at);
    this.bad(this.where(), expected, printable(bytes, at, contentEnd(bytes, at, end)));
    return end + 1;
  }

  protected where(): string {
    return `line ${this.line + 1}`;
  }

  private discard(bytes: Uint8Array, start: number, end: number): number {
    const newline = bytes.subarray(start, end).indexOf(NEWLINE);
    if (newline < 0) return end;
    this.discarding = false;
    this.line++;
    return start + newline + 1;
  }
}

/** @returns index of the newline that ends the line at `at`; there must be one */
export function lineEnd(bytes: Uint8Array, at: number): number {
  return bytes.indexOf(NEWLINE, at);
}

/** @returns `end`, or one less where a carriage return stands before the newline */
function contentEnd(bytes: Uint8Array, start: number, end: number): number {
  return end > start && bytes[end - 1] === RETURN ? end - 1 : end;
}

/** The line without its ending as text, bytes as Latin-1 characters. */
export function lineText(bytes: Uint8Array, start: number, end: number): string {
  const stop = contentEnd(bytes, start, end);
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, stop - start).toString('latin1');
}
