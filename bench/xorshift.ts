/** xorshift32, as limit.c steps it: 32-bit words, the same for the same seed. */
export class Xorshift {
  private state: number;

  /** @param seed - not 0 */
  constructor(seed: number) {
    this.state = seed | 0;
  }

  next(): number {
    let x = this.state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (this.state = x);
  }
}
