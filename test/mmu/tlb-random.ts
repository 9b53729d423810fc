/** Random numbers for tests: the same seed, the same run, on every host. */

/** A 32-bit linear congruential step, and an output function that hides its weak low bits. */
export class Random {
  private state: number;

  constructor(seed: number) {
    this.state = seed >>> 0;
  }

  /** An integer from 0 to n - 1. */
  below(n: number): number {
    this.state = (Math.imul(this.state, 1664525) + 1013904223) >>> 0;
    const mixed = Math.imul(this.state ^ (this.state >>> 15), 0x2c1b3c6d) >>> 0;
    return Math.floor(((mixed ^ (mixed >>> 13)) >>> 0) / 2 ** 32 * n);
  }

  /** True in `percent` of 100 cases; fractions count. */
  chance(percent: number): boolean {
    return this.below(1_000_000) < percent * 10_000;
  }

  pick<T>(of: readonly T[]): T {
    return of[this.below(of.length)];
  }
}
