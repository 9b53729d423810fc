/**
 * A recording of a parallel run: in which order locks were taken, as words `[vCPU, what, place]`. Whoever does the same again in the same order
 * leaves the same bytes, as long as vCPUs do not change each other's memory but by hypercalls.
 *
 * Letters are part of it: a mailbox is locked when they are read, and `place` tells where its vCPU was then (turns.ts).
 */
import { ConfigError } from '../errors.ts';

const HEAD = 2; // words: how many entries there are, how many of them are done again
const COUNT = 0;
const DONE = 1;
const ENTRY = 3;

export interface Entry {
  readonly vcpu: number;
  /** Word index of a lock, or of the word that says that a vCPU is inside the hypervisor. */
  readonly what: number;
  readonly place: number;
}

export class Recording {
  readonly words: Int32Array;

  /** Room for so many entries. */
  static create(entries: number): Recording {
    if (!Number.isInteger(entries) || entries < 1 || entries > 2 ** 26) throw new ConfigError('record', 'an integer from 1 to 2^26', entries);
    return new Recording(new Int32Array(new SharedArrayBuffer((HEAD + entries * ENTRY) * 4)));
  }

  /** A recording, or that of another thread, by its words. @throws ConfigError - they are none */
  constructor(words: Int32Array) {
    if (!(words instanceof Int32Array && words.buffer instanceof SharedArrayBuffer && words.length > HEAD && (words.length - HEAD) % ENTRY === 0)) {
      throw new ConfigError('words', 'an Int32Array in shared memory, two words and three for each entry', Object.prototype.toString.call(words));
    }
    this.words = words;
  }

  /** Entries there are. @throws ConfigError - there were more than it has room for */
  get length(): number {
    const count = Atomics.load(this.words, COUNT), most = (this.words.length - HEAD) / ENTRY;
    if (count < 0) throw new ConfigError('record', 'a count of entries', count);
    if (count > most) throw new ConfigError('record', `room for all ${count} entries`, most);
    return count;
  }

  entry(k: number): Entry {
    const at = HEAD + k * ENTRY;
    return { vcpu: this.words[at], what: this.words[at + 1], place: this.words[at + 2] };
  }

  add(vcpu: number, what: number, place: number): void {
    const at = HEAD + Atomics.add(this.words, COUNT, 1) * ENTRY;
    if (at + ENTRY > this.words.length) return; // `length` tells
    this.words[at] = vcpu;
    this.words[at + 1] = what;
    this.words[at + 2] = place;
  }

  /** Entries that were done again. */
  get done(): number { return Atomics.load(this.words, DONE); }

  advance(): void {
    Atomics.add(this.words, DONE, 1);
    Atomics.notify(this.words, DONE);
  }

  /** Sleep until more than `done` entries were done again, or for a moment. */
  sleep(done: number, milliseconds: number): void {
    Atomics.wait(this.words, DONE, done, milliseconds);
  }

  /** Begin to do it again. */
  rewind(): void {
    Atomics.store(this.words, DONE, 0);
  }
}
