/**
 * Locks in machine memory, as one thread takes them (layout/lock.ts): for what several vCPUs change and no single compare-and-swap can.
 *
 * Who does not get one tries again for a while, and then sleeps. Both look into the thread's own mailbox by and by, so that two who wait for
 * each other's locks and translations never wait for ever. What a vCPU holds is in its block: if its thread ends, others know which locks are
 * left. Locks are taken in the order of layout/lock.ts, which is checked each time.
 */
import { BrokenError, invariant } from '../errors.ts';
import { HOLDER, WAITED } from '../layout/lock.ts';
import { HELD_MOST, VCPU_HELD, VCPU_HELD_LOCKS } from '../layout/vcpu.ts';
import { checkSound } from './broken.ts';
import type { Views } from './views.ts';

const TRIES = 400;
/** Milliseconds after which a sleeper looks by himself: at what is broken, at letters. */
const NAP = 5;

/** Who decides in which order locks are taken, or remembers it. `what` is the word index of the lock, `v` that of a vCPU's block. */
export interface Turns {
  /** The thread is at a place where it may look into its mailbox: the same places whenever it does the same. */
  place(): void;
  /** Before a lock is taken. */
  await(what: number): void;
  /** Once it is. */
  taken(what: number): void;
  /** May this thread look into the mailbox of a vCPU now? If so, what it takes is taken for that one, until `endLook()`. */
  beginLook(v: number): boolean;
  endLook(): void;
}

/** How a thread that waits lets others invalidate what its vCPU has cached. */
export interface Waiting {
  /** Look into the mailbox. */
  look(): void;
  /** From here on others may do it. */
  sleep(): void;
  /** From here on no one else may. */
  wake(): void;
}

export class Locks {
  /** Who this thread is in locks: a vCPU's number + 1, or EMBEDDER. */
  me = 0;
  waiting: Waiting | undefined;
  turns: Turns | undefined;
  /** Time of `performance.now()` up to which this thread waits for a lock, or for another vCPU. */
  deadline = Infinity;
  private readonly s: Views;
  private v = -1; // word index of the vCPU's block
  private held = 0;
  private readonly ranks = new Int32Array(HELD_MOST);
  private readonly words = new Int32Array(HELD_MOST);

  constructor(s: Views) {
    this.s = s;
  }

  /** This thread is now that of a vCPU, or of none. @param v - word index of the block, -1 */
  be(me: number, v: number): void {
    if (this.me === me) return;
    invariant(this.held === 0, 'who holds locks stays who he is');
    this.me = me;
    this.v = v;
  }

  /** Does this thread hold any? */
  get any(): boolean { return this.held > 0; }

  /** ... one of a rank, or of a higher one? */
  holds(rank: number): boolean { return this.held > 0 && this.ranks[this.held - 1] >= rank; }

  /**
   * @param at - word index of the lock @param settle - called when it is held, and done before it counts as taken
   * @throws BrokenError - held still, if by `settle` @throws InvariantError - out of order
   */
  take(at: number, rank: number, settle?: () => void): void {
    const { held, s: { w } } = this;
    if (held > 0) invariant(rank > this.ranks[held - 1] || (rank === this.ranks[held - 1] && at > this.words[held - 1]), 'locks are taken in their order');
    this.turns?.place();
    this.turns?.await(at);
    this.note(at, rank);
    if (Atomics.compareExchange(w, at, 0, this.me) !== 0) this.contend(at);
    settle?.();
    this.turns?.taken(at);
  }

  /** The lock that was taken last is free again. */
  give(at: number): void {
    const { s: { w } } = this;
    invariant(this.held > 0 && this.words[this.held - 1] === at, 'the lock that was taken last is given back first');
    if ((Atomics.exchange(w, at, 0) & WAITED) !== 0) Atomics.notify(w, at);
    this.forget();
  }

  /** Take a lock over from who left it. @param holder - who that was @returns false, with nothing changed: it is not his */
  inherit(at: number, rank: number, holder: number): boolean {
    const { w } = this.s;
    this.note(at, rank);
    for (let now = Atomics.load(w, at); (now & HOLDER) === holder; now = Atomics.load(w, at)) {
      if (Atomics.compareExchange(w, at, now, this.me | WAITED) === now) return true;
    }
    this.forget();
    return false;
  }

  private forget(): void {
    const k = --this.held;
    if (this.v < 0) return;
    this.s.w[this.v + (VCPU_HELD_LOCKS >>> 2) + k] = 0;
    Atomics.store(this.s.w, this.v + (VCPU_HELD >>> 2), k);
  }

  /** Locks above a rank are free again: what threw left them. */
  giveAbove(rank: number): void {
    while (this.held > 0 && this.ranks[this.held - 1] > rank) this.give(this.words[this.held - 1]);
  }

  /** All are free again. */
  giveAll(): void {
    while (this.held > 0) this.give(this.words[this.held - 1]);
  }

  /** Before it is taken, so that none is ever held and not noted. */
  private note(at: number, rank: number): void {
    const { w } = this.s, k = this.held;
    invariant(k < HELD_MOST, 'a thread holds so many locks at once');
    this.held++;
    this.ranks[k] = rank;
    this.words[k] = at;
    if (this.v < 0) return;
    w[this.v + (VCPU_HELD_LOCKS >>> 2) + k] = at << 2;
    Atomics.store(w, this.v + (VCPU_HELD >>> 2), k + 1);
  }

  private contend(at: number): void {
    const { w } = this.s;
    for (let mine = this.me; ; mine |= WAITED) {
      for (let tries = 0; tries < TRIES; tries++) {
        if (Atomics.load(w, at) === 0 && Atomics.compareExchange(w, at, 0, mine) === 0) return;
        this.waiting?.look();
      }
      const now = Atomics.load(w, at);
      if (now !== 0 && Atomics.compareExchange(w, at, now, now | WAITED) === now) this.sleep(at, now | WAITED);
      if (this.s.isBroken || performance.now() > this.deadline) {
        this.forget();
        this.check();
      }
    }
  }

  /**
   * Wait until a word of machine memory is no longer `value`, or for a moment: the caller looks again.
   *
   * @param tries - how often it was looked at already; the first few times nothing sleeps
   * @throws BrokenError
   */
  pause(at: number, value: number, tries: number): void {
    this.waiting?.look();
    if (tries < TRIES) return;
    this.sleep(at, value);
    this.check();
  }

  /** In the middle of what takes long: others' invalidations are done here, if this thread plays a vCPU, as a processor takes interrupts between two instructions. */
  pass(): void {
    if (this.waiting === undefined) return;
    this.turns?.place();
    this.waiting.look();
  }

  private check(): void {
    checkSound(this.s);
    if (performance.now() > this.deadline) throw new BrokenError('a lock was not free, or a vCPU not ready, in time');
  }

  private sleep(at: number, value: number): void {
    this.waiting?.sleep();
    this.nap(at, value);
    this.waiting?.wake();
  }

  /** Wait until a word is no longer `value`, or for a moment. */
  nap(at: number, value: number): void {
    try {
      Atomics.wait(this.s.w, at, value, NAP);
    } catch {
      // The main thread of a browser may not sleep, nor may anyone where the memory is not shared: then it tries on.
    }
  }
}

/** A lock that its holder left behind is free. @param holder - who that was @returns whether it was his */
export function breakLock(s: Views, at: number, holder: number): boolean {
  for (let now = Atomics.load(s.w, at); (now & HOLDER) === holder; now = Atomics.load(s.w, at)) {
    if (Atomics.compareExchange(s.w, at, now, 0) !== now) continue;
    Atomics.notify(s.w, at);
    return true;
  }
  return false;
}
