/** vCPUs of a world as threads have them: each with a machine and a hypervisor of its own on the same memory, and locks as its own. */
import { RANK_GRANTS } from '../../../src/layout/lock.ts';
import { VCPU_INSIDE } from '../../../src/layout/vcpu.ts';
import { Machine } from '../../../src/machine/machine.ts';
import type { Vcpu } from '../../../src/machine/vcpu.ts';
import { BrokenError } from '../../../src/errors.ts';
import { Hypervisor } from '../../../src/xen/hypervisor.ts';
import type { World } from './world.ts';

export class Member {
  readonly cpu: Vcpu;
  /** Is a call of it preempted, which is to be made to its end? */
  underWay = false;
  /** Does it give up a call that is preempted, as a guest may by making another one? */
  givesUp = false;
  private readonly machine: Machine;
  private xen: Hypervisor;

  constructor({ tenants: { machine, machineOptions } }: World, number: number) {
    this.machine = Machine.attach(machine.views.memory, machineOptions);
    this.cpu = this.machine.vcpus[number]!;
    this.xen = Hypervisor.attach(this.machine);
  }

  /** Memory was made what it was. */
  rewound(): void {
    this.machine.views.look();
    this.xen = Hypervisor.attach(this.machine);
    this.underWay = false;
  }

  /** No lock is held any more, whatever it was that ended an input. */
  release(): void {
    this.machine.views.locks.giveAll();
  }

  /** Does it hold a lock that is taken in the middle of calls? Who wants that one could not be stopped where nothing is half done. */
  get holdsWithin(): boolean { return this.machine.views.locks.holds(RANK_GRANTS); }

  /** Is it in the middle of a call? */
  get isInside(): boolean { return this.machine.views.w[(this.cpu.block + VCPU_INSIDE) >>> 2] !== 0; }

  call(nr: number, args: readonly bigint[]): number {
    this.xen.setCall(this.cpu, nr, ...args);
    return this.finish();
  }

  /** What is under way is made to its end. */
  finish(): number {
    for (;;) {
      const rc = this.xen.dispatchPart(this.cpu);
      this.underWay = this.xen.host.preempted && !this.givesUp;
      if (!this.underWay) return rc;
    }
  }

  /** Do what uses the world's hypervisor by its own one. */
  as<T>({ tenants }: World, what: () => T): T {
    const { xen } = tenants;
    tenants.xen = this.xen;
    try {
      return what();
    } finally {
      tenants.xen = xen;
    }
  }

  /** ... unless it would have to wait. @returns whether it is done */
  attempt(what: () => void): boolean {
    const { locks } = this.machine.views;
    locks.deadline = -Infinity;
    try {
      what();
      return true;
    } catch (error) {
      if (!(error instanceof BrokenError) || this.machine.views.isBroken) throw error;
      return false;
    } finally {
      locks.deadline = Infinity;
    }
  }
}

/** By number of the vCPU. */
const crews = new WeakMap<World, readonly Member[]>();

/** The vCPUs of a world that was rewound; its calls are made by them. */
export function crewOf(world: World): readonly Member[] {
  const { tenants } = world, { vcpus } = tenants.machine, crew = crews.get(world) ?? vcpus.map((_, k) => new Member(world, k));
  crews.set(world, crew);
  for (const member of crew) member.rewound();
  tenants.dispatch = (cpu, nr, args) => crew[vcpus.indexOf(cpu)]!.call(nr, args);
  return crew;
}
