/** What is fuzzed: something that makes the operations of an input, and throws what does not hold. */
import type { Input } from './input.ts';

export interface Target {
  readonly name: string;
  /** What it holds to what, in a line. */
  readonly about: string;
  readonly headBytes: number;
  readonly recordBytes: number;
  /** Records of an input, at most. */
  readonly most: number;
  /** Milliseconds after which an input counts as one that hangs. Default 60,000. */
  readonly hangMs?: number;
  /** Inputs to begin with, besides those in files. */
  seeds?(): readonly Input[];
  /** A record in words, and back, where operations have names. @throws ConfigError - they are none */
  explain?(record: Uint8Array): string;
  parse?(words: string): Uint8Array;
  /**
   * Make the operations of an input: the same, with the same end, each time.
   *
   * @param notes - what happened, for who looks for inputs in which something new does
   * @param careful - check after every operation, not after some: for an input that is already known to find something
   * @returns how many operations were made @throws what was found
   */
  run(input: Input, notes: Notes, careful: boolean): number | Promise<number>;
  /** No more inputs will come: what is left outside of memory goes. */
  end?(): void;
}

/** What does not hold. */
export class Finding extends Error {
  override readonly name = 'Finding';
}

const BITS = 16;

/** What happened in one input: a set of pairs of numbers, by their hashes. */
export class Notes {
  private readonly seen = new Uint8Array(1 << BITS);
  private list: number[] = [];

  note(what: number, how: number): void {
    const hash = Math.imul(Math.imul(what | 0, 0x9e3779b1) ^ (how | 0), 0x85ebca6b) >>> (32 - BITS);
    if (this.seen[hash] !== 0) return;
    this.seen[hash] = 1;
    this.list.push(hash);
  }

  /** What was noted since the last time. */
  take(): readonly number[] {
    const { list } = this;
    for (const hash of list) this.seen[hash] = 0;
    this.list = [];
    return list;
  }
}
