/** The input that a thread is at, in memory that its watchdog sees: which one it was when the thread hung or died. */
import type { Input } from './input.ts';

const BYTES = 1 << 20;
const COUNT = 0, HEAD = 1, RECORD = 2, RECORDS = 3, WORDS = 4;

export class Heart {
  readonly buffer: SharedArrayBuffer;
  private readonly words: Int32Array;
  private readonly data: Uint8Array;

  constructor(buffer = new SharedArrayBuffer(BYTES)) {
    this.buffer = buffer;
    this.words = new Int32Array(buffer, 0, WORDS);
    this.data = new Uint8Array(buffer, WORDS * 4);
  }

  /** Inputs so far. */
  get beats(): number {
    return Atomics.load(this.words, COUNT);
  }

  beat({ head, records }: Input): void {
    const width = records[0]?.length ?? 0, fits = Math.min(records.length, width === 0 ? 0 : Math.floor((this.data.length - head.length) / width));
    this.data.set(head);
    for (let k = 0; k < fits; k++) this.data.set(records[k]!, head.length + k * width);
    this.words[HEAD] = head.length;
    this.words[RECORD] = width;
    this.words[RECORDS] = fits;
    Atomics.add(this.words, COUNT, 1);
  }

  /** The last input, as far as there was room for it. */
  get input(): Input {
    const [, head, width, count] = this.words as unknown as [number, number, number, number];
    return { head: this.data.slice(0, head), records: Array.from({ length: count }, (_, k) => this.data.slice(head + k * width, head + (k + 1) * width)) };
  }
}
