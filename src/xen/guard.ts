/**
 * How hypercalls of several vCPUs, each in a thread of its own, keep out of each other's way. Machines with one vCPU have none of this.
 *
 * A vCPU takes the lock of its domain, if the call is to have that for itself (lock-plan.ts), and says in its block that it is inside; those that
 * are inside do not wait for each other. Who is to be alone takes HV_LOCK and waits until none is inside. Within a call, in the order of
 * layout/lock.ts: the locks of what domains grant, of their events, of freed frames and of the hypervisor's own ones.
 */
import { ConfigError, InvariantError } from '../errors.ts';
import { DOMAIN_EVENT_LOCK, DOMAIN_GRANT_LOCK, DOMAIN_ID, DOMAIN_LOCK } from '../layout/domain.ts';
import { FRAME_OWNER, FRAME_STRIDE } from '../layout/frame.ts';
import { GUEST_HOME, GUEST_OLD_TABLE } from '../layout/guest-vcpu.ts';
import { HDR_FRAME_TABLE } from '../layout/header.ts';
import { HV_FORGET, HV_HEAP_LOCK, HV_LOCK } from '../layout/hypervisor.ts';
import { EMBEDDER, RANK_DOMAIN, RANK_EVENTS, RANK_GRANTS, RANK_HEAP, RANK_HYPERVISOR } from '../layout/lock.ts';
import { VCPU_BYTES, VCPU_CALL, VCPU_CALL_ARGS, VCPU_GUEST, VCPU_INSIDE } from '../layout/vcpu.ts';
import type { Vcpu } from '../machine/vcpu.ts';
import { checkSound, declareBroken } from '../memory/broken.ts';
import type { Locks } from '../memory/locks.ts';
import type { Views } from '../memory/views.ts';
import { NO_FRAME, type Domain } from './domain.ts';
import type { OwnFrames } from './own-frames.ts';
import { ALONE, BESIDE, lockPlan, OWN } from './lock-plan.ts';

const OUTSIDE = -1;

export class Guard {
  /** What to do about domains that may be no more, alone. */
  onForget: () => void = () => {};
  private readonly s: Views;
  private readonly locks: Locks;
  private readonly block: number; // word index of the hypervisor's block
  private readonly inside: readonly number[]; // word index of VCPU_INSIDE of each vCPU
  private readonly first: number; // byte offset of the first vCPU's block
  private v = 0; // word index of the block of the vCPU that is served
  private plan = OUTSIDE;
  private home = 0; // word index of the lock of its domain

  constructor({ s, block }: OwnFrames, cpus: readonly Vcpu[]) {
    this.s = s;
    this.locks = s.locks;
    this.block = block;
    this.first = cpus[0].block;
    this.inside = cpus.map(cpu => (cpu.block + VCPU_INSIDE) >>> 2);
  }

  /** The hypercall in a vCPU's block begins. @throws BrokenError @throws ConfigError - it runs no domain */
  begin(cpu: Vcpu): void {
    const { w } = this.s, v = cpu.block >>> 2, domain = this.be(cpu);
    this.open(lockPlan(w, w[v + (VCPU_CALL >>> 2)], v + (VCPU_CALL_ARGS >>> 2), w[domain + (DOMAIN_ID >>> 2)]), domain);
  }

  /** Something else is done for a vCPU, that is about its domain only. */
  beginOwn(cpu: Vcpu): void {
    this.open(OWN, this.be(cpu));
  }

  /** What was begun is at its end. */
  end(): void {
    this.close();
    if (Atomics.load(this.s.w, this.block + (HV_FORGET >>> 2)) !== 0) this.alone(this.onForget);
    this.leave();
  }

  /** What was begun threw: after an invariant did not hold no one goes on, as after Xen's BUG(). @returns the error */
  failed(error: unknown): unknown {
    if (error instanceof InvariantError) declareBroken(this.s, `in the hypervisor: ${error.message}`);
    return error;
  }

  /** A thread that plays no vCPU is none between two calls: another thread may be. */
  private leave(): void {
    if (this.locks.waiting === undefined) this.locks.be(EMBEDDER, -1);
  }

  /** One call of a multicall, which is beside others. @param what - the call */
  sub(nr: number, at: number, what: () => number): number {
    const { w } = this.s, domain = w[(w[this.v + (VCPU_GUEST >>> 2)] >>> 2) + (GUEST_HOME >>> 2)] >>> 2;
    const plan = lockPlan(w, nr, at, w[domain + (DOMAIN_ID >>> 2)]);
    if (plan === BESIDE || this.plan !== BESIDE) return what();
    this.close();
    this.open(plan, domain);
    try {
      return what();
    } finally {
      this.close();
      this.open(BESIDE, domain);
    }
  }

  /** Do something that no vCPU asked for, alone. @throws ConfigError - in the middle of a call */
  alone<T>(what: () => T): T {
    if (this.plan === ALONE) return what();
    if (this.plan !== OUTSIDE) throw new ConfigError('thread', 'no call in progress', 'one');
    this.leave();
    this.open(ALONE, 0);
    try {
      return what();
    } catch (error) {
      throw this.failed(error);
    } finally {
      this.close();
    }
  }

  /**
   * The thread of a vCPU ended in the middle of a call: what it held is this thread's, which is alone as soon as the others are outside.
   *
   * @param holder - who it is in locks @param v - word index of its block @throws BrokenError - not in time
   */
  inherit<T>(holder: number, v: number, what: () => T): T {
    const lock = this.block + (HV_LOCK >>> 2);
    this.leave();
    Atomics.store(this.s.w, v + (VCPU_INSIDE >>> 2), 0);
    if (!this.locks.inherit(lock, RANK_HYPERVISOR, holder)) this.locks.take(lock, RANK_HYPERVISOR);
    this.awaitOthers();
    this.plan = ALONE;
    try {
      return what();
    } finally {
      this.close();
    }
  }

  /** Locks within a call. What is taken is given back in the reverse order. */
  takeGrants(domain: Domain): void { this.locks.take(domain.at + (DOMAIN_GRANT_LOCK >>> 2), RANK_GRANTS); }
  giveGrants(domain: Domain): void { this.locks.give(domain.at + (DOMAIN_GRANT_LOCK >>> 2)); }
  takeEvents(domain: Domain): void { this.locks.take(domain.at + (DOMAIN_EVENT_LOCK >>> 2), RANK_EVENTS); }
  giveEvents(domain: Domain): void { this.locks.give(domain.at + (DOMAIN_EVENT_LOCK >>> 2)); }
  takeHeap(): void { this.locks.take(this.block + (HV_HEAP_LOCK >>> 2), RANK_HEAP); }
  giveHeap(): void { this.locks.give(this.block + (HV_HEAP_LOCK >>> 2)); }

  /** A domain that is dead may have lost its last frame: that is looked at when the call is over. */
  forgetLater(): void {
    Atomics.store(this.s.w, this.block + (HV_FORGET >>> 2), 1);
  }

  /** Number of the vCPU that is served. */
  get number(): number { return (this.v * 4 - this.first) / VCPU_BYTES; }

  /** Is a call in progress that others may be beside? */
  get isBeside(): boolean { return this.plan === BESIDE || this.plan === OWN; }

  /** This thread is that vCPU's now. @returns word index of the block of its domain */
  private be(cpu: Vcpu): number {
    const { w } = this.s, guest = w[(cpu.block + VCPU_GUEST) >>> 2] >>> 2;
    if (guest === 0) throw new ConfigError('cpu', 'a vCPU that runs a domain', undefined);
    this.v = cpu.block >>> 2;
    this.locks.be((cpu.block - this.first) / VCPU_BYTES + 1, this.v);
    return w[guest + (GUEST_HOME >>> 2)] >>> 2;
  }

  /** In a recording, and when it is replayed, no one is beside others who may use the same frames: their counts have no order but that of locks. */
  private open(wish: number, domain: number): void {
    const plan = wish === OWN && (this.locks.turns !== undefined || this.owesForeign(domain)) ? ALONE : wish;
    checkSound(this.s);
    this.home = domain + (DOMAIN_LOCK >>> 2);
    try {
      if (plan === OWN) this.locks.take(this.home, RANK_DOMAIN);
      if (plan === ALONE) this.emptyOut();
      else this.goIn();
    } catch (error) {
      this.locks.giveAll();
      throw error;
    }
    this.plan = plan;
  }

  /** Is a table of another domain still to be put for the vCPU, before anything else is done for it? */
  private owesForeign(domain: number): boolean {
    const { w } = this.s, mfn = w[(w[this.v + (VCPU_GUEST >>> 2)] + GUEST_OLD_TABLE) >>> 2];
    return mfn !== NO_FRAME && (w[(w[HDR_FRAME_TABLE >>> 2] + mfn * FRAME_STRIDE + FRAME_OWNER) >>> 2] & 0xffff) !== w[domain + (DOMAIN_ID >>> 2)];
  }

  private close(): void {
    const { plan } = this;
    if (plan === OUTSIDE) return;
    this.plan = OUTSIDE;
    this.locks.giveAbove(RANK_HYPERVISOR);
    if (plan === ALONE) this.locks.give(this.block + (HV_LOCK >>> 2));
    else this.goOut();
    if (plan === OWN) this.locks.give(this.home);
  }

  private goIn(): void {
    const { w } = this.s, mine = this.v + (VCPU_INSIDE >>> 2), lock = this.block + (HV_LOCK >>> 2);
    this.locks.turns?.place();
    this.locks.turns?.await(mine);
    for (let tries = 0; ; tries++) {
      Atomics.store(w, mine, 1);
      const holder = Atomics.load(w, lock);
      if (holder === 0) break;
      this.goOut();
      this.locks.pause(lock, holder, tries);
    }
    this.locks.turns?.taken(mine);
  }

  private goOut(): void {
    const { w } = this.s, mine = this.v + (VCPU_INSIDE >>> 2);
    Atomics.store(w, mine, 0);
    if (Atomics.load(w, this.block + (HV_LOCK >>> 2)) !== 0) Atomics.notify(w, mine);
  }

  /** In a recording the lock is taken when no one is inside any more: those who are may be noted after this began. */
  private emptyOut(): void {
    this.locks.take(this.block + (HV_LOCK >>> 2), RANK_HYPERVISOR, () => this.awaitOthers());
  }

  private awaitOthers(): void {
    const { w } = this.s;
    for (const at of this.inside) for (let tries = 0; Atomics.load(w, at) !== 0; tries++) this.locks.pause(at, 1, tries);
  }
}
