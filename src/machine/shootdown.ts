/**
 * Shootdowns: invalidations that one vCPU asks of others.
 *
 * Letters are posted into the others' mailboxes (layout/mailbox.ts); then whoever asked waits until all are done. A vCPU that a thread plays
 * does what its letters say when that thread looks, between two accesses: until then it goes on using what it has cached, as a processor does
 * until the interrupt comes. Of a vCPU that no thread plays, or whose thread sleeps, the mailbox is worked off by who waits.
 *
 * Source: facts of Xen 4.17, flush_area_mask(), invalidate_interrupt() (xen/arch/x86/smp.c).
 */
import type { Accelerator } from '../accel/engine.ts';
import { HOLDER, RANK_MAIL } from '../layout/lock.ts';
import {
  LETTER_BYTES, LETTER_HI, LETTER_ID, LETTER_LO, LETTER_PAGES, LETTER_SCOPE, MAIL_COUNT, MAIL_DONE, MAIL_FIRST, MAIL_LEFT, MAIL_LETTERS, MAIL_LOCK, MAIL_POSTED,
  MAIL_RUN, RUN_CLAIMED, RUN_PLAYED, RUN_QUIET,
} from '../layout/mailbox.ts';
import { VCPU_MAIL, VCPU_NEST } from '../layout/vcpu.ts';
import type { Views } from '../memory/views.ts';
import { flushAsid, TLB_FLUSH_ALL } from '../virt/invalidate.ts';
import { apply, EVERYTHING, type Scope } from './scope.ts';

const CLAIM_SHIFT = 8;

export class Shootdowns {
  private readonly s: Views;
  private readonly wasm: Accelerator | undefined;
  private readonly letter: Scope = { ...EVERYTHING };
  private readonly asked: number[] = []; // word indices of blocks, and up to which letter each has to come
  private readonly tickets: number[] = [];
  private played = -1; // word index of the block that this thread plays

  constructor(s: Views, wasm: Accelerator | undefined) {
    this.s = s;
    this.wasm = wasm;
  }

  /** Invalidate here, on the vCPU that asks, or where there is but one. @param v - word index of the block, as everywhere here */
  here(v: number, scope: Readonly<Scope>): void {
    apply(this.s, v, this.wasm, scope);
  }

  /** Ask another vCPU for an invalidation. The next `wait()` waits for it. */
  post(v: number, scope: Readonly<Scope>): void {
    const { w } = this.s, box = v + (VCPU_MAIL >>> 2), at = (offset: number): number => box + (offset >>> 2);
    this.s.locks.take(at(MAIL_LOCK), RANK_MAIL);
    const count = w[at(MAIL_COUNT)];
    if (count < MAIL_LETTERS) {
      const letter = box + ((MAIL_FIRST + count * LETTER_BYTES) >>> 2);
      w[letter + (LETTER_SCOPE >>> 2)] = scope.kind;
      w[letter + (LETTER_ID >>> 2)] = scope.id;
      w[letter + (LETTER_HI >>> 2)] = scope.hi;
      w[letter + (LETTER_LO >>> 2)] = scope.lo;
      w[letter + (LETTER_PAGES >>> 2)] = scope.pages;
    }
    w[at(MAIL_COUNT)] = Math.min(count + 1, MAIL_LETTERS + 1);
    const ticket = Atomics.add(w, at(MAIL_POSTED), 1) + 1;
    this.s.locks.give(at(MAIL_LOCK));
    this.asked.push(v);
    this.tickets.push(ticket | 0);
  }

  /** Wait until all that was posted by this thread is done. @throws BrokenError */
  wait(): void {
    this.s.locks.turns?.place();
    while (this.asked.length > 0) {
      const v = this.asked[this.asked.length - 1];
      this.waitFor(v, this.tickets[this.asked.length - 1]);
      this.asked.pop();
      this.tickets.pop();
    }
  }

  /** Is something that was posted by this thread not done yet? */
  get pending(): boolean {
    return this.asked.some((v, k) => !this.isDone(v, this.tickets[k]));
  }

  private isDone(v: number, ticket: number): boolean {
    return ((Atomics.load(this.s.w, v + ((VCPU_MAIL + MAIL_DONE) >>> 2)) - ticket) | 0) >= 0;
  }

  private waitFor(v: number, ticket: number): void {
    const { w, locks } = this.s, done = v + ((VCPU_MAIL + MAIL_DONE) >>> 2), run = v + ((VCPU_MAIL + MAIL_RUN) >>> 2);
    for (let tries = 0; !this.isDone(v, ticket); tries++) {
      const now = Atomics.load(w, done);
      if (Atomics.load(w, run) === RUN_QUIET && this.hasMail(v) && Atomics.compareExchange(w, run, RUN_QUIET, this.claim) === RUN_QUIET) {
        this.look(v);
        Atomics.store(w, run, RUN_QUIET);
        Atomics.notify(w, run);
      } else if (((now - ticket) | 0) < 0) locks.pause(done, now, tries);
    }
  }

  private get claim(): number {
    return RUN_CLAIMED | this.s.locks.me << CLAIM_SHIFT;
  }

  /**
   * Do what the letters of a vCPU say. For the thread that plays it, and for who waits where none does.
   *
   * @param evenEmpty - someone else may have been faster the first time, and is to be again
   */
  look(v: number, evenEmpty = false): void {
    const { w, locks } = this.s, box = v + (VCPU_MAIL >>> 2);
    if (!(evenEmpty || this.hasMail(v)) || locks.turns?.beginLook(v) === false) return;
    locks.take(box + (MAIL_LOCK >>> 2), RANK_MAIL);
    this.workOff(v);
    locks.give(box + (MAIL_LOCK >>> 2));
    locks.turns?.endLook();
    Atomics.notify(w, box + (MAIL_DONE >>> 2));
  }

  /** Is there anything to look at? */
  private hasMail(v: number): boolean {
    const { w } = this.s, box = v + (VCPU_MAIL >>> 2);
    return Atomics.load(w, box + (MAIL_POSTED >>> 2)) !== w[box + (MAIL_DONE >>> 2)];
  }

  private workOff(v: number): void {
    const { w } = this.s, box = v + (VCPU_MAIL >>> 2), count = w[box + (MAIL_COUNT >>> 2)], first = box + (MAIL_FIRST >>> 2);
    const posted = Atomics.load(w, box + (MAIL_POSTED >>> 2)); // before that is looked at which settleMail(), without the lock, leaves before it posts
    if (Atomics.exchange(w, box + (MAIL_LEFT >>> 2), 0) !== 0) this.forget(v);
    else if (count > MAIL_LETTERS) this.here(v, EVERYTHING);
    else for (let at = first; at < first + count * (LETTER_BYTES >>> 2); at += LETTER_BYTES >>> 2) this.obey(v, at);
    w.fill(0, first, first + MAIL_LETTERS * (LETTER_BYTES >>> 2));
    w[box + (MAIL_COUNT >>> 2)] = 0;
    Atomics.store(w, box + (MAIL_DONE >>> 2), posted);
  }

  /** @param at - word index of a letter */
  private obey(v: number, at: number): void {
    const { s: { w }, letter } = this;
    letter.kind = w[at + (LETTER_SCOPE >>> 2)];
    letter.id = w[at + (LETTER_ID >>> 2)];
    letter.hi = w[at + (LETTER_HI >>> 2)];
    letter.lo = w[at + (LETTER_LO >>> 2)];
    letter.pages = w[at + (LETTER_PAGES >>> 2)];
    this.here(v, letter);
  }

  /** All that a vCPU has cached goes, of guests under a second stage too. */
  private forget(v: number): void {
    this.here(v, EVERYTHING);
    if (this.s.w[v + (VCPU_NEST >>> 2)] !== 0) flushAsid(this.s.w, v, TLB_FLUSH_ALL, 0);
  }

  /** From here on this thread plays a vCPU, and none that it played before: no other invalidates anything of it. @param number - of the vCPU */
  play(v: number, number: number): void {
    const { locks } = this.s;
    this.sleep();
    locks.be(number + 1, v);
    this.played = v;
    this.wake();
    locks.waiting = { look: () => this.lookSafely(), sleep: () => this.sleep(), wake: () => this.wake() };
  }

  /** ... plays it no more. @param embedder - who it is in locks then */
  rest(embedder: number): void {
    const { locks } = this.s;
    this.sleep();
    locks.waiting = undefined;
    locks.giveAll();
    locks.be(embedder, -1);
    this.played = -1;
  }

  /** While a mailbox is locked by this thread it looks into none. */
  private lookSafely(): void {
    if (this.played >= 0 && !this.s.locks.holds(RANK_MAIL)) this.look(this.played);
  }

  /** Others may invalidate what the vCPU of this thread has cached. */
  sleep(): void {
    if (this.played >= 0) Atomics.store(this.s.w, this.played + ((VCPU_MAIL + MAIL_RUN) >>> 2), RUN_QUIET);
  }

  /** They may no more, and none is at it. */
  wake(): void {
    if (this.played < 0) return;
    const { w } = this.s, run = this.played + ((VCPU_MAIL + MAIL_RUN) >>> 2);
    for (let now; (now = Atomics.compareExchange(w, run, RUN_QUIET, RUN_PLAYED)) > RUN_PLAYED;) this.s.locks.nap(run, now);
    this.lookSafely();
  }
}

/**
 * The thread of a vCPU ended. Of that one, and of others that it was invalidating something of, what is cached may be half changed: all of it is to
 * go, by who comes next.
 *
 * @param own - the vCPU at `v` is the one @param holder - as in locks
 */
export function settleMail(s: Views, v: number, own: boolean, holder: number): void {
  const { w } = s, box = v + (VCPU_MAIL >>> 2), run = box + (MAIL_RUN >>> 2), state = Atomics.load(w, run), isClaimed = state === (RUN_CLAIMED | holder << CLAIM_SHIFT);
  if (own || isClaimed || (Atomics.load(w, box + (MAIL_LOCK >>> 2)) & HOLDER) === holder) {
    Atomics.store(w, box + (MAIL_LEFT >>> 2), 1);
    Atomics.add(w, box + (MAIL_POSTED >>> 2), 1);
  }
  if (isClaimed || (own && state === RUN_PLAYED)) Atomics.compareExchange(w, run, state, RUN_QUIET);
}
