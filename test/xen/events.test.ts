import { describe, expect, it } from 'vitest';
import { ECS_IPI, ECS_UNBOUND } from '../../src/xen/event-port.ts';
import { HYPERVISOR_event_channel_op, HYPERVISOR_sched_op, HYPERVISOR_vcpu_op } from '../../src/xen/numbers.ts';
import { Guest } from './guest.ts';

const BIND_INTERDOMAIN = 0, BIND_VIRQ = 1, CLOSE = 3, SEND = 4, ALLOC_UNBOUND = 6, BIND_VCPU = 8, UNMASK = 9, INIT_CONTROL = 11, EXPAND_ARRAY = 12, SET_PRIORITY = 13;
const SELF = 0x7ff0n, EINVAL = -22;
const LINKED = 1 << 29, MASKED = 1 << 30, PENDING = 1 << 31;
const widths = [['64-bit', true], ['32-bit', false]] as const;

/** A guest with two vCPUs, of which the second never runs. */
class World {
  readonly g: Guest;
  /** Words of the shared info, of control blocks, and of the event array. */
  readonly shared: number;
  readonly controls: number[];
  readonly array: number;

  constructor(wide: boolean) {
    const g = this.g = new Guest({ wide });
    const { xen } = g, call = xen.hypercall.bind(xen);
    xen.hypercall = (...args) => {
      const rc = call(...args);
      expect(xen.audit()).toEqual([]); // after every call, of whatever kind
      return rc;
    };
    g.domain.maxVcpus = 2;
    g.domain.addVcpu();
    [this.shared, this.array] = [g.sharedInfo, g.free(2)].map(mfn => g.xen.host.table(mfn));
    this.controls = [0, 1].map(k => g.xen.host.table(g.free(k)));
  }

  word(at: number): number { return this.g.machine.views.w[at]; }
  set(at: number, value: number): void { this.g.machine.views.w[at] = value; }

  op(command: number, ...words: bigint[]): number {
    return Number(this.g.xen.hypercall(this.g.cpu, HYPERVISOR_event_channel_op, BigInt(command), this.g.words(4, ...words, ...Array<bigint>(6 - words.length).fill(0n))));
  }

  /** Word of the structure that the last call left. */
  answer(word: number): number {
    const out = new Uint8Array(4);
    this.g.xen.read(this.g.cpu, this.g.va(0x7ff) + BigInt(word * 4), out);
    return new DataView(out.buffer).getInt32(0, true);
  }

  /** A port bound to another of the same domain. @returns `[it, the one that sends to it]` */
  pair(): [to: number, from: number] {
    expect(this.op(ALLOC_UNBOUND, SELF | (SELF << 16n))).toBe(0);
    const to = this.answer(1);
    expect(this.op(BIND_INTERDOMAIN, SELF, BigInt(to))).toBe(0);
    return [to, this.answer(2)];
  }

  useFifo(): void {
    [0, 1].forEach(vcpu => expect(this.op(INIT_CONTROL, BigInt(this.g.free(vcpu)), 0n, 0n, BigInt(vcpu))).toBe(0));
    expect(this.op(EXPAND_ARRAY, BigInt(this.g.free(2)), 0n)).toBe(0);
    this.drain(0, 7); // what binding raised
  }

  /** The selector and the upcall bit of a vCPU. */
  info(vcpu: number): [pending: number, selector: number] {
    const at = this.shared + vcpu * 16;
    return [this.word(at) & 0xff, this.word(at + (this.g.wide ? 2 : 1))];
  }

  forget(vcpu: number): void {
    this.set(this.shared + vcpu * 16, this.word(this.shared + vcpu * 16) & ~0xff);
    this.set(this.shared + vcpu * 16 + (this.g.wide ? 2 : 1), 0);
  }

  /** Take the ports out of a FIFO queue, as a guest does. */
  drain(vcpu: number, priority: number): number[] {
    const head = this.controls[vcpu] + 2 + priority, ports: number[] = [];
    for (let port = this.word(head); port !== 0;) {
      ports.push(port);
      const at = this.array + port, next = this.word(at) & 0x1ffff;
      this.set(at, this.word(at) & ~(LINKED | PENDING | 0x1ffff));
      port = next;
    }
    this.set(head, 0);
    this.set(this.controls[vcpu], this.word(this.controls[vcpu]) & ~(1 << priority));
    return ports;
  }

  /** Ready bits of a vCPU's queues. */
  ready(vcpu: number): number { return this.word(this.controls[vcpu]); }
}

describe.each(widths)('events of a %s guest are not lost', (_, wide) => {
  it('when a masked port is moved to another vCPU: unmasking it tells that one', () => {
    const w = new World(wide), [to, from] = w.pair(), mask = w.shared + (wide ? 0x280 : 0x220);
    [0, 1].forEach(vcpu => w.forget(vcpu));
    w.set(w.shared + 0x200, 0);
    w.set(mask, 1 << to);
    expect(w.op(SEND, BigInt(from))).toBe(0);
    expect([w.info(0), w.info(1)]).toEqual([[0, 0], [0, 0]]);
    expect(w.op(BIND_VCPU, BigInt(to), 1n)).toBe(0);
    expect(w.op(UNMASK, BigInt(to))).toBe(0);
    expect([w.info(0), w.info(1)]).toEqual([[0, 0], [1, 1]]);
  });

  it('when a port is moved while it is in a FIFO queue: the vCPU it was told of keeps it, the next one goes to the other', () => {
    const w = new World(wide), [a, fromA] = w.pair(), [b, fromB] = w.pair();
    w.useFifo();
    w.op(SEND, BigInt(fromA));
    expect(w.op(BIND_VCPU, BigInt(a), 1n)).toBe(0);
    w.op(SEND, BigInt(fromA)); // it is in a queue: it stays there
    w.op(SEND, BigInt(fromB)); // behind it, in the same queue
    expect([w.ready(0), w.ready(1)]).toEqual([1 << 7, 0]);
    expect(w.drain(0, 7)).toEqual([a, b]);
    w.op(SEND, BigInt(fromA));
    expect([w.ready(0), w.ready(1)]).toEqual([0, 1 << 7]);
    expect(w.drain(1, 7)).toEqual([a]);
    expect(w.g.xen.audit()).toEqual([]);
  });

  it('when the port at the end of a queue is moved after it was taken out: neither queue links to what is not in it', () => {
    const w = new World(wide), [a, fromA] = w.pair(), [b, fromB] = w.pair();
    w.useFifo();
    w.op(SEND, BigInt(fromA));
    expect(w.drain(0, 7)).toEqual([a]);
    w.op(BIND_VCPU, BigInt(a), 1n);
    w.op(SEND, BigInt(fromA)); // linked again, in the queue of vCPU 1
    w.op(SEND, BigInt(fromB)); // vCPU 0's queue still knows its last port
    expect([w.drain(0, 7), w.drain(1, 7)]).toEqual([[b], [a]]);
    expect(w.g.xen.audit()).toEqual([]);
  });

  it('when one comes masked, or before its frame', () => {
    const w = new World(wide), [a, from] = w.pair();
    [0, 1].forEach(vcpu => expect(w.op(INIT_CONTROL, BigInt(w.g.free(vcpu)), 0n, 0n, BigInt(vcpu))).toBe(0));
    w.op(SEND, BigInt(from));
    w.op(BIND_VCPU, BigInt(a), 1n);
    w.set(w.array + a, MASKED);
    expect(w.op(EXPAND_ARRAY, BigInt(w.g.free(2)), 0n)).toBe(0);
    expect(w.word(w.array + a)).toBe(PENDING | MASKED);
    expect(w.op(UNMASK, BigInt(a))).toBe(0);
    expect(w.drain(1, 7)).toEqual([a]);
  });

  it('and come in order, each priority in its own queue, the highest first', () => {
    const w = new World(wide), pairs = Array.from({ length: 6 }, () => w.pair()), priorities = [3, 0, 3, 15, 0, 3];
    w.useFifo();
    pairs.forEach(([to], k) => expect(w.op(SET_PRIORITY, BigInt(to), BigInt(priorities[k]))).toBe(0));
    expect(w.op(SET_PRIORITY, BigInt(pairs[0][0]), 16n)).toBe(-22);
    for (const [, from] of pairs) w.op(SEND, BigInt(from));
    expect(w.ready(0)).toBe((1 << 0) | (1 << 3) | (1 << 15));
    const order = [0, 3, 15].flatMap(priority => w.drain(0, priority));
    expect(order).toEqual([1, 4, 0, 2, 5, 3].map(k => pairs[k][0]));
    expect(w.g.xen.audit()).toEqual([]);
  });

  it('when a vcpu_info is moved: what it said moves too, and all ports are to be looked at', () => {
    const w = new World(wide), { g } = w, mfn = g.free(3), at = g.xen.host.table(mfn) + 16;
    const register = (vcpu: number, frame: number, offset: number) =>
      Number(g.xen.hypercall(g.cpu, HYPERVISOR_vcpu_op, 10n, BigInt(vcpu), g.words(8, BigInt(frame), BigInt(offset))));
    w.set(w.shared + 12, 0x1234);
    expect(register(0, mfn, 4096 - 60)).toBe(-6);
    expect(register(0, mfn, 66)).toBe(-6);
    expect(register(2, mfn, 64)).toBe(-2);
    expect(register(1, mfn, 64)).toBe(-22); // not its own, and up
    expect(register(0, g.level1[0], 64)).toBe(-22);
    expect(register(0, mfn, 64)).toBe(0);
    expect(register(0, mfn, 64)).toBe(-22); // once and for all
    expect(w.word(at) & 0xff).toBe(1);
    expect(w.word(at + 12)).toBe(0x1234);
    expect([w.word(at + 1), w.word(at + 2), w.word(at + 3)]).toEqual(wide ? [0, -1, -1] : [-1, 0, 0]);
    expect(g.xen.audit()).toEqual([]);
    const [, from] = w.pair();
    w.set(at, 0);
    w.set(at + (wide ? 2 : 1), 0);
    w.set(w.shared + 0x200, 0);
    w.op(SEND, BigInt(from));
    expect(w.word(at) & 0xff).toBe(1);
  });

  it('looks at the runstate of its vCPUs: its own runs, the other can, one that is not up is offline', () => {
    const w = new World(wide), { g } = w, mfn = g.free(3), bytes = wide ? 48 : 44, area = g.va(g.free(3)) + 64n;
    const state = () => { const data = new Uint8Array(bytes + 4); g.machine.read(BigInt(mfn) * 4096n + 64n, data); return data; };
    const expected = (running: number) => { const data = new Uint8Array(bytes + 4).fill(0xa5); data.fill(0, 0, bytes); data[0] = running; return data; };
    const before = () => g.machine.write(BigInt(mfn) * 4096n + 64n, new Uint8Array(bytes + 4).fill(0xa5));
    for (const [vcpu, running] of [[0, 0], [1, 1]] as const) {
      before();
      expect(Number(g.xen.hypercall(g.cpu, HYPERVISOR_vcpu_op, 4n, BigInt(vcpu), area))).toBe(0);
      expect(state()).toEqual(expected(running));
      before();
      expect(Number(g.xen.hypercall(g.cpu, HYPERVISOR_vcpu_op, 5n, BigInt(vcpu), g.words(wide ? 8 : 4, area)))).toBe(0);
      expect(state()).toEqual(expected(running));
    }
    // An area that cannot be written is registered all the same, but not one among the hypervisor's addresses.
    expect(Number(g.xen.hypercall(g.cpu, HYPERVISOR_vcpu_op, 5n, 0n, g.words(wide ? 8 : 4, 0x12345000n)))).toBe(0);
    expect(Number(g.xen.hypercall(g.cpu, HYPERVISOR_vcpu_op, 5n, 0n, g.words(wide ? 8 : 4, wide ? 0xffff_8000_0000_0000n : 0xfffff000n)))).toBe(-14);
  });

  it('by a vCPU that goes to sleep', () => {
    const w = new World(wide), { g } = w, [a, from] = w.pair(), me = g.domain.vcpus[0];
    const sched = (command: number, arg = 0n) => Number(g.xen.hypercall(g.cpu, HYPERVISOR_sched_op, BigInt(command), arg));
    const poll = (...ports: number[]): number => {
      const list = g.words(4, ...ports.map(BigInt)), data = new Uint8Array(24), view = new DataView(data.buffer);
      if (wide) view.setBigUint64(0, list, true);
      else view.setUint32(0, Number(list), true);
      view.setUint32(wide ? 8 : 4, ports.length, true);
      g.xen.write(g.cpu, list + 1024n, data);
      return sched(3, list + 1024n);
    };
    expect(sched(0)).toBe(0);
    expect(sched(1)).toBe(0); // binding raised an event: no sleep
    expect(me.blocked).toBe(false);
    w.forget(0);
    w.set(w.shared + 0x200, 0);
    expect(sched(1)).toBe(0);
    expect(me.blocked).toBe(true);
    w.op(SEND, BigInt(from));
    expect(me.blocked).toBe(false);
    w.set(w.shared, 0x101); // masked: polling is what is left
    expect(poll(a)).toBe(0);
    expect(me.blocked).toBe(false); // it is pending
    w.set(w.shared + 0x200, 0);
    expect(poll(a, from)).toBe(0);
    expect([me.blocked, me.pollPort]).toEqual([true, -1]);
    expect(poll(a)).toBe(0);
    expect([me.blocked, me.pollPort]).toEqual([true, a]);
    w.op(SEND, BigInt(a)); // the other end
    expect(me.blocked).toBe(true);
    w.op(SEND, BigInt(from));
    expect(me.blocked).toBe(false);
    expect(poll(63)).toBe(-22);
    expect(sched(2, g.words(4, 3n))).toBe(0);
    expect([g.domain.isShutDown, g.domain.shutdownCode]).toEqual([true, 3]);
    expect(sched(9)).toBe(-38);
  });
});

describe.each(widths)('events of a %s guest', (_, wide) => {
  it('are seen nowhere in a domain without shared info, or by a vCPU that has no vcpu_info', () => {
    const w = new World(wide), { g } = w, header = g.machine.views.u8.slice(0, 4096);
    g.xen.createDomain({ id: 3, is32: !wide, p2m: [[0, 0x900, 4]] }).addVcpu();
    expect(w.op(ALLOC_UNBOUND, 3n | (SELF << 16n))).toBe(0);
    expect(w.op(BIND_INTERDOMAIN, 3n, BigInt(w.answer(1)))).toBe(0);
    expect(w.op(SEND, BigInt(w.answer(2)))).toBe(0);
    expect(Buffer.compare(g.machine.views.u8.slice(0, 4096), header)).toBe(0);
    g.domain.maxVcpus = 40;
    const [to, from] = w.pair(), masks = g.machine.views.w.slice(w.shared + 512, w.shared + 1024);
    expect([w.op(BIND_VCPU, BigInt(to), 39n), w.op(CLOSE, 60n), w.op(SEND, BigInt(from))]).toEqual([0, EINVAL, 0]);
    masks[to >>> 5] |= 1 << to; // the port's own bit
    expect(g.machine.views.w.slice(w.shared + 512, w.shared + 1024)).toEqual(masks);
    expect(g.xen.audit()).toEqual([]);
  });
});

describe('the audit of events', () => {
  const breaks: [rule: string, what: string, (w: World, a: number) => void][] = [
    ['XE1', 'a port without its peer', (w, a) => { w.g.domain.events.port(a).remotePort = 9; }],
    ['XE1', 'a port whose peer is another\'s', (w, a) => { w.g.domain.events.port(a).remoteDomid = 5; }],
    ['XE1', 'a port whose peer is unbound', (w, a) => { const events = w.g.domain.events; events.port(events.port(a).remotePort).state = ECS_UNBOUND; }],
    ['XE2', 'a VIRQ without its port', (w) => { w.g.domain.events.setVirqPort(1, 3, 5); }],
    ['XE2', 'a port without its VIRQ', (w) => { w.g.domain.events.setVirqPort(0, 2, 0); }],
    ['XE3', 'a PIRQ without its port', (w, a) => { const { pirqs } = w.g.domain.events; pirqs.reserve(4); pirqs.set(4, a); }],
    ['XE4', 'a vCPU that there is not', (w, a) => { w.g.domain.events.port(a).vcpu = 2; }],
    ['XE4', 'a bound port 0', w => { w.g.domain.events.port(0).state = ECS_IPI; }],
    ['XE5', 'a tail of another queue', (w, a) => { w.g.domain.events.port(a).lastPriority = 3; }],
    ['XA1', 'a lost control block', w => { w.g.xen.host.frames.getAgain(w.g.free(0)); }],
  ];
  it.each(breaks)('tells by %s of %s', (rule, _what, breakIt) => {
    const w = new World(true), [a, from] = w.pair();
    expect(w.op(BIND_VIRQ, 2n, 0n)).toBe(0);
    w.useFifo();
    w.op(SEND, BigInt(from));
    expect(w.g.xen.audit()).toEqual([]);
    breakIt(w, a);
    expect(w.g.xen.audit().map(text => text.slice(0, 3))).toContain(rule);
  });

  it('has no complaint when ports are closed', () => {
    const w = new World(true), [a, from] = w.pair();
    expect(w.op(CLOSE, BigInt(a))).toBe(0);
    expect(w.op(SEND, BigInt(from))).toBe(0); // unbound again: silent
    expect(w.g.xen.audit()).toEqual([]);
  });
});
