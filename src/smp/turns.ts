/**
 * Recording the order in which locks are taken, and keeping to it.
 *
 * A vCPU may read letters at certain places only: where it is about to take a lock, where it waits for others' invalidations, after it has worked
 * off the mailbox of a vCPU that no one played, and where its program yields. Places are numbered from 1 as they are come by, so that they mean
 * the same in each run.
 */
import { ConfigError } from '../errors.ts';
import { MAIL_LOCK } from '../layout/mailbox.ts';
import { VCPU_BYTES, VCPU_MAIL } from '../layout/vcpu.ts';
import type { Turns } from '../memory/locks.ts';
import type { Control } from './control.ts';
import type { Recording } from './recording.ts';

const NAP = 5; // milliseconds
/** Place of letters of a vCPU that no one played: who had posted them read them. */
const UNPLAYED = -1;

/** Where vCPUs' blocks are: to know one by its block. */
const numberOf = (v: number, first: number): number => (v * 4 - first) / VCPU_BYTES;

export class Recorder implements Turns {
  private readonly recording: Recording;
  private readonly control: Control;
  private readonly me: number;
  private readonly first: number;
  private at = 0;
  private for: number;
  private looking = false;
  private unplayed = false;

  /** @param me - number of the vCPU that this thread plays @param first - byte offset of the first vCPU's block */
  constructor(recording: Recording, control: Control, me: number, first: number) {
    this.recording = recording;
    this.control = control;
    this.me = this.for = me;
    this.first = first;
  }

  place(): void {
    if (!this.looking) this.control.setPlace(this.me, ++this.at);
  }

  await(): void {
    // Whoever comes first is first.
  }

  taken(what: number): void {
    this.recording.add(this.for, what, !this.looking ? 0 : this.unplayed ? UNPLAYED : this.control.place(this.for));
  }

  beginLook(v: number): boolean {
    const owner = numberOf(v, this.first);
    this.unplayed = this.control.place(owner) === 0;
    this.for = this.unplayed ? this.me : owner; // whoever plays it would have read it there
    this.looking = true;
    return true;
  }

  endLook(): void {
    this.for = this.me;
    this.looking = false;
  }

  /** What it reads of its own from here on it has read after that. */
  lookedFor(): void {
    if (this.unplayed) this.place();
  }
}

export class Replayer implements Turns {
  private readonly recording: Recording;
  private readonly own: number[] = []; // indices of this vCPU's entries
  private readonly me: number;
  private readonly first: number;
  private readonly patience: number;
  private readonly look: () => void;
  private readonly refused = { done: -1, until: 0 };
  private at = 0;
  private next = 0;
  private looking = false;

  /** @param me, first - see Recorder @param patience - milliseconds without any entry done that it waits @param look - read the letters of this vCPU */
  constructor(recording: Recording, me: number, first: number, patience: number, look: () => void) {
    this.recording = recording;
    this.me = me;
    this.first = first;
    this.patience = patience;
    this.look = look;
    for (let k = 0; k < recording.length; k++) if (recording.entry(k).vcpu === me) this.own.push(k);
  }

  /** Letters that were read here are read now. */
  place(): void {
    if (this.looking) return;
    this.at++;
    while (this.next < this.own.length && this.recording.entry(this.own[this.next]).place === this.at) {
      this.waitFor(this.own[this.next]);
      this.looking = true;
      this.look();
    }
  }

  await(what: number): void {
    const mine = this.own[this.next], entry = mine === undefined ? undefined : this.recording.entry(mine);
    if (entry?.what !== what || (entry.place === 0) === this.looking) throw new ConfigError('recording', `that of this run: vCPU ${this.me} takes the lock at word ${what}`, entry?.what);
    this.waitFor(mine);
  }

  private waitFor(index: number): void {
    const wait = { done: -1, until: 0 };
    for (let done = this.recording.done; done !== index; done = this.recording.done) {
      if (done > index || !this.isPatient(wait, done)) throw new ConfigError('recording', `that of this run: entry ${index} to be done next`, done);
      this.recording.sleep(done, NAP);
    }
  }

  /** Has something been done since this was asked last, or may it be yet? */
  private isPatient(wait: { done: number; until: number }, done: number): boolean {
    if (done === wait.done) return performance.now() <= wait.until;
    wait.done = done;
    wait.until = performance.now() + this.patience;
    return true;
  }

  taken(): void {
    this.next++;
    this.recording.advance();
  }

  /** Letters are read where they were read; by others only those of a vCPU that no one played. @throws ConfigError - nothing is done any more */
  beginLook(v: number): boolean {
    if (this.looking) return true;
    const mine = this.own[this.next], entry = mine === undefined ? undefined : this.recording.entry(mine), { done } = this.recording;
    this.looking = entry?.place === UNPLAYED && entry.what === v + ((VCPU_MAIL + MAIL_LOCK) >>> 2) && done === mine;
    const owner = numberOf(v, this.first);
    if (!this.looking && owner !== this.me && !this.isPatient(this.refused, done)) throw new ConfigError('recording', `that of this run: letters of vCPU ${owner} to be read`, done);
    return this.looking;
  }

  endLook(): void {
    this.looking = false;
  }

  /** Others' are only read here if no one played them. */
  lookedFor(): void {
    this.place();
  }
}
