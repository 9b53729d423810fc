/** What the writers of text have in common: a buffer of ASCII bytes that is handed on when it is full. */
import type { ByteSink } from './trace-writer.ts';

const BUFFER = 1 << 16;
/** Bytes of the longest line: `room()` promises as many. */
const LINE = 64;

const DIGITS = new TextEncoder().encode('0123456789abcdef');

/** Collects lines: ask `room`, `flush()` if there is none, then put the line. */
export class TextWriter {
  private readonly sink: ByteSink;
  private readonly buffer = new Uint8Array(BUFFER);
  private length = 0;

  constructor(sink: ByteSink) {
    this.sink = sink;
  }

  /** Whether a line fits without `flush()`. */
  get room(): boolean {
    return this.length + LINE <= BUFFER;
  }

  async flush(): Promise<void> {
    await this.sink(this.buffer.subarray(0, this.length));
    this.length = 0;
  }

  byte(code: number): void {
    this.buffer[this.length++] = code;
  }

  /** An address in lower-case hexadecimal of at least `width` digits, up to 16. */
  hex(lo: number, hi: number, width: number): void {
    const needed = hi !== 0 ? 16 - (Math.clz32(hi) >> 2) : 8 - (Math.clz32(lo) >> 2);
    for (let digit = Math.max(needed, width) - 1; digit >= 0; digit--) {
      const word = digit >= 8 ? hi : lo;
      this.byte(DIGITS[(word >>> ((digit & 7) * 4)) & 15]);
    }
  }

  decimal(value: number): void {
    if (value >= 10) this.decimal(Math.trunc(value / 10));
    this.byte(DIGITS[value % 10]);
  }

  /** Text of any length, behind what is in the buffer. */
  async text(text: string): Promise<void> {
    await this.flush();
    await this.sink(new TextEncoder().encode(text));
  }
}
