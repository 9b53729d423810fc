/**
 * What a cluster and its threads tell each other without messages, in memory of its own: a row of words for each vCPU. Not part of the machine's
 * state, which does not tell how long anything took.
 */
const MEETING_MS = 50;
const ALL = 2 ** 30;
const ROW = 16; // words: a line of the host's caches
const BEATS = 0;
const STOP = 1;
const PLACE = 2;
const READY = 3; // in the first row: threads that are ready to begin together

export class Control {
  readonly words: Int32Array;

  /** @param of - number of vCPUs, or the words of another thread */
  constructor(of: number | Int32Array) {
    this.words = typeof of === 'number' ? new Int32Array(new SharedArrayBuffer(of * ROW * 4)) : of;
  }

  /** A step was done. */
  beat(vcpu: number): void { Atomics.add(this.words, vcpu * ROW + BEATS, 1); }
  /** Steps that were done, modulo 2^32. */
  beats(vcpu: number): number { return Atomics.load(this.words, vcpu * ROW + BEATS) >>> 0; }
  isStopping(vcpu: number): boolean { return Atomics.load(this.words, vcpu * ROW + STOP) !== 0; }
  setStopping(vcpu: number, stopping: boolean): void { Atomics.store(this.words, vcpu * ROW + STOP, stopping ? 1 : 0); }
  /** From here on threads are to meet again. */
  open(): void { Atomics.store(this.words, READY, 0); }

  /** Wait until so many threads are here. */
  meet(threads: number): void {
    const ready = Atomics.add(this.words, READY, 1) + 1;
    Atomics.notify(this.words, READY);
    for (let now = ready; now < threads; now = Atomics.load(this.words, READY)) Atomics.wait(this.words, READY, now, MEETING_MS);
  }

  /** No one waits for others any more: one of them may have ended before it was ready. */
  release(): void {
    Atomics.store(this.words, READY, ALL);
    Atomics.notify(this.words, READY);
  }

  /** Where a vCPU that is played is, 0: it is not played. See turns.ts. */
  place(vcpu: number): number { return Atomics.load(this.words, vcpu * ROW + PLACE); }
  setPlace(vcpu: number, place: number): void { Atomics.store(this.words, vcpu * ROW + PLACE, place); }
}
