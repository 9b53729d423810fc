/** Memory as it was: only its blocks that are not all zero are kept, which are few. */

const BLOCK = 1 << 14;

export class Pristine {
  private readonly length: number;
  private readonly blocks: { readonly at: number; readonly data: Uint8Array }[] = [];

  constructor(memory: Uint8Array) {
    this.length = memory.length;
    const zeros = Buffer.alloc(BLOCK);
    for (let at = 0; at < memory.length; at += BLOCK) {
      const data = memory.slice(at, at + BLOCK);
      if (zeros.compare(data, 0, data.length, 0, data.length) !== 0) this.blocks.push({ at, data });
    }
  }

  /** Make memory of the same length what it was. */
  restore(memory: Uint8Array): void {
    if (memory.length !== this.length) throw new RangeError(`memory of ${memory.length} bytes, which had ${this.length}`);
    new Float64Array(memory.buffer, memory.byteOffset, memory.length >>> 3).fill(0); // shared memory is written element by element: bytes take eight times as long
    for (const { at, data } of this.blocks) memory.set(data, at);
  }
}
