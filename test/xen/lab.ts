/** Random histories of a guest that makes every kind of call, and hypervisors that are attached to the same memory and take the parts of its calls in turn. */
import { Machine } from '../../src/machine/machine.ts';
import { Vcpu } from '../../src/machine/vcpu.ts';
import { GNTMAP_device_map, GNTMAP_host_map, GTF_permit_access } from '../../src/xen/grant-numbers.ts';
import { Hypervisor } from '../../src/xen/hypervisor.ts';
import { DOMID_SELF, HYPERVISOR_event_channel_op, HYPERVISOR_sched_op, HYPERVISOR_set_trap_table, HYPERVISOR_vcpu_op } from '../../src/xen/numbers.ts';
import { FIRST1, GrantWorld } from './grant-world.ts';
import { entryOf, machineOptions, DATA, P, READ, TABLE, US } from './guest.ts';
import { DECREASE, INCREASE, memoryOp, putList, reservation, poke, SELF } from './memory-calls.ts';

export type Random = (below: number) => number;
const ENGINE = 'ts';
const POOL = 12; // frames that tables are made of
const GRANTED = 30; // ... that grants are mapped at, and copied to
const GIVEN = 60; //    ... that are given back, and come again

/** A generator of numbers, the same for the same seed. */
export function lcg(seed: number): Random {
  let x = seed;
  return below => {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    return Math.floor((x / 2 ** 32) * below);
  };
}

/** Calls of whoever uses it go to these in turn, part by part if they are preempted. */
function inTurn(all: readonly Hypervisor[]): Hypervisor {
  let turn = 0;
  const next = () => all[turn++ % all.length]!;
  const cpuOf = (xen: Hypervisor, argument: unknown) => (argument instanceof Vcpu ? xen.host.machine.vcpus[0] : argument);
  const hypercall = (_cpu: Vcpu, nr: number, ...args: bigint[]): bigint => {
    const first = next();
    first.setCall(first.host.machine.vcpus[0]!, nr, ...args);
    for (;;) {
      const xen = next(), rc = xen.dispatchPart(xen.host.machine.vcpus[0]!);
      if (!xen.host.preempted) return BigInt(rc);
    }
  };
  return new Proxy(all[0]!, {
    get(_, name) {
      if (name === 'hypercall') return hypercall;
      const xen = next(), value: unknown = Reflect.get(xen, name);
      return typeof value === 'function' ? (...args: unknown[]) => value.apply(xen, args.map(argument => cpuOf(xen, argument))) : value;
    },
  });
}

export class Lab extends GrantWorld {
  /** Hypervisors that take its calls. */
  hypervisors: readonly Hypervisor[];

  constructor(wide: boolean, attached = 0, budget = 2) {
    super({ wide, budget, engine: ENGINE, free: true, grants: { maxMaptrackFrames: 2 } });
    this.domain.maxPages += 8;
    this.hypervisors = [this.xen];
    for (let k = 0; k < attached; k++) {
      const machine = k % 2 === 0 ? this.machine : Machine.attach(this.machine.views.memory, machineOptions(ENGINE));
      this.hypervisors = [...this.hypervisors, Hypervisor.attach(machine)];
    }
    Object.assign(this, { xen: inTurn(this.hypervisors) });
  }

  /** The same on a copy of its memory. */
  onCopy(): Lab {
    const { buffer } = this.machine.views.memory, memory = new WebAssembly.Memory({ initial: buffer.byteLength / 65536, maximum: 65536, shared: true });
    new Uint8Array(memory.buffer).set(new Uint8Array(buffer));
    const machine = Machine.attach(memory, machineOptions(ENGINE)), xen = Hypervisor.attach(machine);
    const twin = Object.assign(Object.create(Lab.prototype) as Lab, this);
    return Object.assign(twin, { machine, xen: inTurn([xen]), hypervisors: [xen], cpu: machine.vcpus[0]!, domain: xen.host.domain(0)!, others: [1, 2].map(id => xen.host.domain(id)!) });
  }

  bytesNow(): Uint8Array { return this.machine.views.u8; }

  /** One random operation. @returns what it answered */
  step(r: Random): unknown {
    switch (r(5)) {
      case 0: return this.pageTables(r);
      case 1: case 2: return this.grantUses(r);
      case 3: return this.eventChannels(r);
      default: return this.otherCalls(r);
    }
  }

  private pageTables(r: Random): number {
    const some = this.free(r(POOL)), slot = r(4), other = this.free(r(POOL));
    const value = [0n, entryOf(some, P | US), entryOf(some, TABLE), entryOf(some, DATA), entryOf(this.free(20 + r(4)), READ), entryOf(this.tables[r(4)]!, P | US)][r(6)]!;
    switch (r(7)) {
      case 0: case 1: return this.map(this.va(some), entryOf(some, r(2) ? DATA : READ));
      case 2: case 3: return this.update([some, slot, value, [0, 0, 2, 3][r(4)]!], [other, r(4), value]);
      case 4: return this.pin(1 + r(this.wide ? 4 : 3), some);
      case 5: return this.unpin(some);
      default: return this.wide ? this.ext(15, BigInt(r(2) ? some : 0)) : this.ext(16, BigInt(some));
    }
  }

  private grantUses(r: Random): unknown {
    const id = 1 + r(2), ref = 8 + r(12), frame = this.free(GRANTED + r(12));
    switch (r(6)) {
      case 0: return this.grant(id, ref, [GTF_permit_access, GTF_permit_access | 4, 0][r(3)]!, 0, FIRST1 + (id - 1) * 0x100 + r(32));
      case 1: case 2: return this.mapGrant(this.va(frame), GNTMAP_host_map | (r(3) ? 0 : GNTMAP_device_map) | (r(2) ? 4 : 0), ref, id);
      case 3: return this.unmapGrant(this.va(frame), r(2) ? (FIRST1 + r(32)) * 4096 : 0, r(24));
      case 4: return this.copies(r, id, ref, frame);
      default: return r(4) ? this.map(this.va(frame), entryOf(frame, DATA)) : [this.op(6, [Uint8Array.of(0xf0, 0x7f, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)]).rc];
    }
  }

  private copies(r: Random, id: number, ref: number, frame: number): number[] {
    const grant = ['ref', ref, id, r(64)] as const, own = ['frame', frame, DOMID_SELF, 0] as const;
    return this.copy(r(2) === 0 ? [grant, own, 64] : [own, grant, 64], [own, own, 8]);
  }

  private eventChannels(r: Random): unknown {
    const self = BigInt(DOMID_SELF), port = BigInt(r(20));
    const call = (command: number, ...words: bigint[]) => Number(this.xen.hypercall(this.cpu, HYPERVISOR_event_channel_op, BigInt(command), this.words(4, ...words, ...Array<bigint>(6 - words.length).fill(0n))));
    switch (r(12)) {
      case 0: return call(6, self | (self << 16n));
      case 1: return call(6, 1n | (self << 16n));
      case 2: return call(0, self, port);
      case 3: return call(0, 1n, port);
      case 4: return call(3, port);
      case 5: case 6: return call(4, port);
      case 7: return r(2) ? call(1, BigInt(r(24)), 0n) : call(7, 0n);
      case 8: return call(9, port);
      case 9: return call(13, port, BigInt(r(16)));
      case 10: return r(5) === 0 ? call(10, self) : call(8, port, 0n);
      default: return r(2) ? call(11, BigInt(this.free(50)), 0n, 0n, 0n) : call(12, BigInt(this.free(51)), 0n);
    }
  }

  private otherCalls(r: Random): unknown {
    const frame = this.free(GIVEN + r(6)), sched = (command: number) => Number(this.xen.hypercall(this.cpu, HYPERVISOR_sched_op, BigInt(command), this.words(4, 0n)));
    const trap = (vector: number) => (this.wide ? this.words(8, BigInt(vector) | (0xe033n << 16n), 0x1000n, 0x20en, 0x2000n, 0n, 0n) : this.words(4, BigInt(vector) | (0xe019n << 16n), 0x1000n, 0xen, 0x2000n, 0n, 0n));
    switch (r(8)) {
      case 0: {
        if (r(2)) return this.reserve(DECREASE); // what came last
        const rc = this.map(this.va(frame), 0n);
        putList(this, [frame]);
        return [rc, this.reserve(DECREASE)];
      }
      case 1: return this.reserve(INCREASE);
      case 2: return Number(this.xen.hypercall(this.cpu, HYPERVISOR_set_trap_table, r(5) ? trap(r(256)) : 0n));
      case 3: return sched(r(2));
      case 4: return Number(this.xen.hypercall(this.cpu, HYPERVISOR_vcpu_op, 10n, 0n, this.words(8, BigInt(this.free(52)), 64n)));
      case 5: return this.xen.counters();
      case 6: return this.xen.audit();
      default: return this.restart(r);
    }
  }

  private reserve(command: number): number {
    const at = this.va(0x7fa);
    poke(this, at, reservation(this, { count: 1, domid: SELF }));
    return memoryOp(this, command, at);
  }

  /** A domain goes, and comes again as another where nothing of it is left. */
  private restart(r: Random): unknown {
    const { host } = this.xen, first = 0xb00, id = 3;
    if (host.domain(id) === undefined) return this.xen.createDomain({ id, is32: r(2) === 0, p2m: [[0, first, 8]], maxVcpus: 1 + r(20) }).serial;
    if (r(3) !== 0) return [host.domain(id)!.addVcpu().number, this.xen.host.domain(id)!.vcpus.length];
    while (!this.xen.destroyDomainPart(id)); // part by part, each by another
    return host.domains.size;
  }
}
