/**
 * The numbers that a record decides on: those of a random history, which then is one that an input describes. The first numbers come from the
 * record's bytes, one each where it can be, so that a byte that changes changes one choice; when they are used up, from a generator that its last four
 * bytes start.
 */
import { Random as Numbers } from '../test/mmu/tlb-random.ts';
import { Random as Choices } from '../test/wasm/engine-duel.ts';

const SEED_BYTES = 4;

export class Tape {
  private record: Uint8Array = new Uint8Array();
  private at = 0;
  private end = 0;
  private state = 1;

  /** Go on with the numbers of a record. */
  load(record: Uint8Array): void {
    this.record = record;
    this.at = 0;
    this.end = Math.max(0, record.length - SEED_BYTES);
    let seed = 0;
    for (let k = this.end; k < record.length; k++) seed = (seed << 8) | record[k]!;
    this.state = Math.imul(seed, 0x9e3779b1) | 1;
  }

  byte(): number {
    if (this.at < this.end) return this.record[this.at++]!;
    let x = this.state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.state = x;
    return (x >>> 11) & 0xff;
  }

  word(): number {
    return this.byte() | (this.byte() << 8) | (this.byte() << 16) | (this.byte() << 24);
  }

  /** 0 to n - 1. */
  below(n: number): number {
    if (n <= 0x100) return (this.byte() * n) >>> 8;
    if (n <= 0x10000) return ((this.byte() | (this.byte() << 8)) * n) >>> 16;
    return Math.floor(((this.word() >>> 0) / 2 ** 32) * n);
  }

  /** @param part - of 1 */
  chance(part: number): boolean {
    return (this.byte() | (this.byte() << 8)) < part * 0x10000;
  }
}

/** A tape for what takes a Random of test/wasm. */
export class TapeChoices extends Choices {
  private readonly tape: Tape;

  constructor(tape: Tape) {
    super(1);
    this.tape = tape;
  }

  override next(): number { return this.tape.word(); }
  override below(n: number): number { return this.tape.below(n); }
  override chance(p: number): boolean { return this.tape.chance(p); }
}

/** ... and of test/mmu. */
export class TapeNumbers extends Numbers {
  private readonly tape: Tape;

  constructor(tape: Tape) {
    super(1);
    this.tape = tape;
  }

  override below(n: number): number { return this.tape.below(n); }
  override chance(percent: number): boolean { return this.tape.chance(percent / 100); }
}
