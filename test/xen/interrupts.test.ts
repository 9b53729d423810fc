/** Interrupts of the machine, lines and messages, as events: physdev_op and bind_pirq. */
import { beforeEach, describe, expect, it } from 'vitest';
import { ECS_PIRQ } from '../../src/xen/event-port.ts';
import { HYPERVISOR_event_channel_op, HYPERVISOR_physdev_op } from '../../src/xen/numbers.ts';
import { struct } from './grant-struct.ts';
import { Guest } from './guest.ts';
import { Host, Kernel } from './scenarios/kernel.ts';

const STATUS = 5, EOI = 12, MAP = 13, UNMAP = 14, EOI_MAP_V1 = 17, GET_FREE = 23, EOI_MAP_V2 = 28, MSI = 0, GSI = 1, MULTI = 4;
const SELF = 0x7ff0, PIRQS = 40, DEVICE = 0x18, SHARE = 1, BIND_PIRQ = 2, CLOSE = 3;
let host: Host, dom0: Kernel, guest: Kernel;

beforeEach(() => {
  host = new Host(2);
  dom0 = new Kernel(host, 0, 0, { privileged: true, pirqs: PIRQS });
  guest = new Kernel(host, 1, 1, { pirqs: PIRQS });
});

const physdev = (kernel: Kernel, command: number, ...words: number[]) => kernel.call(HYPERVISOR_physdev_op, command, struct(words.map(word => [4, word] as const)));
/** Map a line or a message. @returns the PIRQ, or -XEN_E* */
function map(kernel: Kernel, domid: number, type: number, index: number, { pirq = -1, bus = 0, devfn = DEVICE, entry = 0, table = 0 } = {}): number {
  const { rc, out } = physdev(kernel, MAP, domid, type, index, pirq, bus, devfn, entry, 0, table, 0);
  return rc === 0 ? out[0]!.getInt32(12, true) : rc;
}
function bind(kernel: Kernel, pirq: number, flags = 0): number {
  const { rc, out } = kernel.call(HYPERVISOR_event_channel_op, BIND_PIRQ, struct([[4, pirq], [4, flags], [4, 0]]));
  return rc === 0 ? out[0]!.getInt32(8, true) : rc;
}
const close = (kernel: Kernel, port: number) => kernel.call(HYPERVISOR_event_channel_op, CLOSE, struct([[4, port]])).rc;
const eoi = (kernel: Kernel, pirq: number) => physdev(kernel, EOI, pirq).rc;

describe('a message of a device', () => {
  it('is an event of whoever has the device; nothing is to be ended', () => {
    host.xen.assignDevice(dom0.domain, 0, DEVICE);
    const pirq = map(dom0, SELF, MSI, -1), port = bind(dom0, pirq);
    expect([pirq, port > 0]).toEqual([PIRQS - 1, true]);
    host.xen.sendMessage(0, DEVICE + 1);
    expect(dom0.events()).toEqual([]);
    for (let k = 0; k < 5; k++) {
      host.xen.sendMessage(0, DEVICE);
      expect(dom0.events()).toEqual([port]);
    }
    expect(map(dom0, SELF, MSI, -1)).toBe(-17); // it has one already
    expect(map(dom0, SELF, MSI, -1, { entry: 3, table: 0x1000 })).toBe(PIRQS - 2); // MSI-X: another entry
    expect([close(dom0, port), physdev(dom0, UNMAP, SELF, pirq).rc, physdev(dom0, UNMAP, SELF, pirq).rc]).toEqual([0, 0, -22]);
    host.xen.sendMessage(0, DEVICE);
    expect([dom0.events(), bind(dom0, pirq)]).toEqual([[], -22]);
    expect(map(dom0, SELF, MSI, -1)).toBe(pirq);
  });

  it('goes to a domain that the device was passed through to, which may bind it and not map it', () => {
    host.xen.assignDevice(guest.domain, 0, DEVICE);
    expect([map(guest, SELF, MSI, -1), map(dom0, SELF, MSI, -1), bind(guest, PIRQS - 1)]).toEqual([-1, -19, -1]);
    const pirq = map(dom0, 1, MSI, -1), port = bind(guest, pirq);
    host.xen.sendMessage(0, DEVICE);
    expect([guest.events(), dom0.events()]).toEqual([[port], []]);
    expect(physdev(dom0, UNMAP, 1, pirq).rc).toBe(0); // while the port is bound
    host.xen.sendMessage(0, DEVICE);
    expect([guest.events(), eoi(guest, pirq), guest.domain.events!.port(port).state]).toEqual([[], 0, ECS_PIRQ]);
    expect(close(guest, port)).toBe(0);
    expect(eoi(guest, pirq)).toBe(-22);
  });
});

describe('a line', () => {
  it('that is level-triggered comes again only when all who share it are done', () => {
    const a = map(dom0, SELF, GSI, 17), b = map(dom0, 1, GSI, 17);
    expect([a, b, map(dom0, SELF, GSI, 17), map(dom0, SELF, GSI, 17, { pirq: 20 })]).toEqual([16, 16, 16, -17]);
    const [pa, pb] = [bind(dom0, a, SHARE), bind(guest, b, SHARE)], both = () => [dom0.events(), guest.events()];
    expect(physdev(guest, STATUS, b, 0).out[0]!.getInt32(4, true)).toBe(3);
    host.xen.setLine(17, true);
    expect(both()).toEqual([[pa], [pb]]);
    host.xen.setLine(17, true);
    expect([both(), eoi(dom0, a), both()]).toEqual([[[], []], 0, [[], []]]);
    expect([eoi(guest, b), both()]).toEqual([0, [[pa], [pb]]]); // it is still up
    host.xen.setLine(17, false);
    expect([eoi(dom0, a), eoi(guest, b), both()]).toEqual([0, 0, [[], []]]);
    host.xen.setLine(17, true);
    expect([both(), eoi(dom0, a), close(guest, pb!), both()]).toEqual([[[pa], [pb]], 0, 0, [[pa], []]]); // who closes is done
    host.destroy(guest);
    expect([eoi(dom0, a), both()[0]]).toEqual([0, [pa]]);
  });

  it('that is edge-triggered comes each time', () => {
    const port = bind(dom0, map(dom0, SELF, GSI, 4));
    for (let k = 0; k < 3; k++) {
      host.xen.setLine(4, true);
      expect(dom0.events()).toEqual([port]);
    }
  });

  it('is not shared with who does not share', () => {
    const [a, b] = [map(dom0, SELF, GSI, 17), map(dom0, 1, GSI, 17)], port = bind(dom0, a);
    expect([bind(guest, b, SHARE), close(dom0, port), bind(dom0, a, SHARE) > 0, bind(guest, b), bind(guest, b, SHARE) > 0]).toEqual([-16, 0, true, -16, true]);
    expect(bind(dom0, a, SHARE)).toBe(-17);
  });
});

it('bad input gets Xen\'s errors, and leaves nothing', () => {
  host.xen.assignDevice(dom0.domain, 0, DEVICE);
  const refused = [
    map(dom0, 7, GSI, 17), map(guest, SELF, GSI, 17), map(guest, 0, GSI, 17), map(dom0, SELF, GSI, -1), map(dom0, SELF, GSI, 24), map(dom0, SELF, GSI, 0),
    map(dom0, SELF, GSI, 17, { pirq: PIRQS }), map(dom0, SELF, 2, 17), map(dom0, SELF, MSI, 5), map(dom0, SELF, MSI, -1, { devfn: 1 }),
    map(dom0, SELF, MSI, -1, { pirq: PIRQS }), map(dom0, SELF, MULTI, -1, { entry: 0 }), map(dom0, SELF, MULTI, -1, { entry: 33 }),
    map(dom0, SELF, MULTI, -1, { entry: 4 }), map(dom0, SELF, MULTI, -1, { entry: 1, table: 0x1000 }),
  ];
  expect(refused).toEqual([-3, -1, -1, -22, -22, -22, -22, -22, -22, -19, -22, -33, -33, -95, -22]);
  expect([UNMAP, 99].map(command => physdev(dom0, command, SELF, 17).rc)).toEqual([-22, -38]);
  expect([eoi(dom0, 17), eoi(dom0, PIRQS), eoi(dom0, -1), physdev(dom0, STATUS, PIRQS, 0).rc]).toEqual([-22, -22, -22, -22]);
  expect([bind(dom0, PIRQS), bind(dom0, 17), bind(guest, 17)]).toEqual([-22, -22, -1]);
  expect(Number(host.xen.hypercall(dom0.cpu, HYPERVISOR_physdev_op, BigInt(MAP), 0xffff_8000_0000_0000n))).toBe(-14);
  const numbers = Array.from({ length: PIRQS }, () => physdev(dom0, GET_FREE, GSI, 0)).filter(({ rc }) => rc === 0);
  expect(numbers).toHaveLength(8 + 16); // those of lines from 16 up, then those beyond the lines
  expect([physdev(dom0, GET_FREE, GSI, 0).rc, map(dom0, SELF, GSI, 17)]).toEqual([-28, -28]);
});

it.each([[1, EOI_MAP_V1], [2, EOI_MAP_V2]])('a page tells which PIRQs have to be ended (version %i)', (version, command) => {
  host.xen.assignDevice(dom0.domain, 0, DEVICE);
  const frame = dom0.take(), bits = new Uint32Array(dom0.bytes(frame).buffer, dom0.page(frame).offset, 2);
  expect([physdev(dom0, command, frame, 0).rc, physdev(dom0, command, frame, 0).rc, physdev(dom0, command, 5, 0).rc]).toEqual([0, -16, -22]);
  const [line, message] = [map(dom0, SELF, GSI, 17), map(dom0, SELF, MSI, -1)], port = bind(dom0, line);
  bind(dom0, message);
  expect([line, [...bits]]).toEqual([16, [1 << 16, 0]]);
  dom0.setMask(port);
  host.xen.setLine(17, true);
  expect(dom0.events()).toEqual([]);
  host.xen.setLine(17, false);
  eoi(dom0, line);
  expect(dom0.events()).toEqual(version === 1 ? [port] : []); // version 1 unmasks the port, too
  host.destroy(dom0);
  expect(host.xen.host.frames.isFree(frame)).toBe(true);
});

describe('a guest with virtual hardware', () => {
  const EVENTS = 10, VECTOR = 0x61;

  it('is told of a message of an emulated device by an event: no VM exit, where an interrupt takes one to be ended', () => {
    const delivery = host.xen.deliver(guest.domain, (2n << 56n) | 0xf3n), pirq = physdev(guest, GET_FREE, MSI, 0).out[0]!.getUint32(4, true), port = bind(guest, pirq);
    for (let k = 0; k < EVENTS; k++) {
      expect(delivery.message(0xfee00000n, VECTOR)).toBe(true);
      expect(delivery.take(0)).toBe(VECTOR);
      delivery.writeApic(0, 0xb0, 0);
    }
    expect(delivery.exits).toEqual({ apic: EVENTS, ioapic: 0, window: 0, kick: 0 });
    const address = 0xfee00000n | (BigInt(pirq & 0xff) << 12n) | (BigInt(pirq & 0xffffff00) << 32n);
    for (let k = 0; k < EVENTS; k++) {
      expect(delivery.message(address, 0)).toBe(true);
      expect([delivery.take(0), guest.events(), delivery.take(0)]).toEqual([0xf3, [port], -1]);
    }
    expect(delivery.exits.apic).toBe(EVENTS);
    expect([delivery.message(address + 0x1000n, 0), delivery.message(0xfeeff000n, VECTOR)]).toEqual([false, false]);
  });
});

it('a 32-bit guest has a structure of its own', () => {
  const g = new Guest({ wide: false });
  g.domain.pirqs = PIRQS;
  g.xen.assignDevice(g.domain, 0, DEVICE);
  const ask = (entry: number, table: bigint) => {
    const at = g.words(4, BigInt(SELF), BigInt(MSI), -1n, -1n, 0n, BigInt(DEVICE), BigInt(entry), table & 0xffffffffn, table >> 32n, 0x77n), out = new Uint8Array(40);
    const rc = Number(g.xen.hypercall(g.cpu, HYPERVISOR_physdev_op, BigInt(MAP), at)), view = new DataView(out.buffer);
    g.xen.read(g.cpu, at, out);
    return [rc, view.getInt32(12, true), view.getInt32(36, true)];
  };
  expect([ask(3, 0x1000n), ask(3, 1n << 32n), ask(3, 0n), ask(0, 0n)]).toEqual([[0, PIRQS - 1, 0x77], [-17, -1, 0x77], [0, PIRQS - 2, 0x77], [-17, -1, 0x77]]);
  expect(Number(g.xen.hypercall(g.cpu, HYPERVISOR_physdev_op, BigInt(EOI_MAP_V2), g.words(4, BigInt(g.free(0)), -1n)))).toBe(0);
  expect(g.xen.audit()).toEqual([]);
});
