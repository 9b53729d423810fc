import { beforeEach, describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/errors.ts';
import { APIC_EOI, APIC_ID, APIC_IRR, APIC_ISR, APIC_TPR, IOAPIC_LEVEL, IOAPIC_MASKED, IOREGSEL, IOWIN } from '../../src/xen/apic.ts';
import { NOTHING, UPCALL, wayOf, type Delivery } from '../../src/xen/delivery.ts';
import { Host, Kernel } from './scenarios/kernel.ts';

const GSI = (pin: number) => BigInt(pin), INTX = (device: number, line: number) => (1n << 56n) | BigInt((device << 11) | line), VECTOR = (vector: number) => (2n << 56n) | BigInt(vector);
const EVENTS = 10, BY_APIC = 0x51;
let host: Host, guest: Kernel, sender: Kernel, port: number, from: number;

beforeEach(() => {
  host = new Host(3);
  [guest, sender] = [new Kernel(host, 1, 0, { vcpus: 2 }), new Kernel(host, 2, 2)];
  port = guest.offer(2);
  from = sender.bind(1, port);
});

describe('HVM_PARAM_CALLBACK_IRQ', () => {
  it.each([
    [0n, { type: 'none' }], [GSI(48), { type: 'none' }], [3n << 56n, { type: 'none' }], [0xffn << 56n, { type: 'none' }],
    [GSI(28), { type: 'gsi', pin: 28 }], [GSI(5), { type: 'gsi', pin: 5 }],
    [INTX(3, 0), { type: 'intx', pin: 28 }], [INTX(2, 1), { type: 'intx', pin: 25 }], [INTX(31, 3), { type: 'intx', pin: 18 }], // (4 dev + dev / 8 + line) % 32 + 16
    [VECTOR(0xf3), { type: 'vector', vector: 0xf3 }],
  ])('%s', (via, way) => {
    expect(wayOf(via)).toEqual(way);
  });
});

/** The guest sets up the entry of the line, as its driver does once. */
function program(delivery: Delivery, pin: number): (bits: number) => void {
  delivery.writeIoApic(IOREGSEL, 0x11 + pin * 2);
  delivery.writeIoApic(IOWIN, 0); // to local APIC 0
  delivery.writeIoApic(IOREGSEL, 0x10 + pin * 2);
  const write = (bits: number) => delivery.writeIoApic(IOWIN, BY_APIC | IOAPIC_LEVEL | bits);
  write(0);
  return write;
}

const clear = (delivery: Delivery) => Object.assign(delivery.exits, { apic: 0, ioapic: 0, window: 0, kick: 0 });

describe(`what ${EVENTS} events cost`, () => {
  it('by upcall: no VM exit; events are masked meanwhile', () => {
    const delivery = host.xen.deliver(guest.domain), { w } = host.machine.views, info = host.word(guest.domain.sharedInfo);
    for (let k = 0; k < EVENTS; k++) {
      sender.send(from);
      expect([delivery.take(0), delivery.take(0)]).toEqual([UPCALL, NOTHING]);
      expect(w[info]! & 0xffff).toBe(0x101);
      expect(guest.events()).toEqual([port]);
      w[info] = 0;
    }
    expect([delivery.exits, delivery.taken]).toEqual([{ apic: 0, ioapic: 0, window: 0, kick: 0 }, EVENTS]);
  });

  it('by vector: no VM exit; the vector comes for as long as events are pending', () => {
    const delivery = host.xen.deliver(guest.domain, VECTOR(0xf3));
    for (let k = 0; k < EVENTS; k++) {
      sender.send(from);
      expect([delivery.take(0), delivery.take(0), delivery.take(1)]).toEqual([0xf3, 0xf3, NOTHING]);
      expect(guest.events()).toEqual([port]);
      expect(delivery.take(0)).toBe(NOTHING);
    }
    guest.moveTo(port, 1);
    sender.send(from);
    expect([delivery.take(0), delivery.take(1)]).toEqual([NOTHING, 0xf3]);
    expect(delivery.exits).toEqual({ apic: 0, ioapic: 0, window: 0, kick: 0 });
  });

  it.each([
    ['GSI 5', GSI(5), 5, true, 5], ['GSI 28', GSI(28), 28, false, 3], ['INTA of device 3', INTX(3, 0), 28, true, 5], ['INTB of device 2', INTX(2, 1), 25, false, 3],
  ])('by %s: masked, ended, unmasked', (_, via, pin, selects, each) => {
    const delivery = host.xen.deliver(guest.domain, via), write = program(delivery, pin);
    const select = () => { if (selects) delivery.writeIoApic(IOREGSEL, 0x10 + pin * 2); };
    expect(delivery.readApic(0, APIC_ID)).toBe(0);
    clear(delivery);
    for (let k = 0; k < EVENTS; k++) {
      sender.send(from);
      expect([delivery.take(0), delivery.take(0)]).toEqual([BY_APIC, NOTHING]); // in service
      select();
      write(IOAPIC_MASKED);
      delivery.writeApic(0, APIC_EOI, 0);
      expect(guest.events()).toEqual([port]);
      select();
      write(0);
      expect(delivery.take(0)).toBe(NOTHING);
    }
    expect(delivery.exits).toEqual({ apic: EVENTS, ioapic: EVENTS * (each - 1), window: 0, kick: 0 });
  });

  it.each([['upcall', undefined], ['vector', VECTOR(0x40)], ['line', GSI(28)]])('by %s: an exit more each if the guest was running', (_, via) => {
    const delivery = host.xen.deliver(guest.domain, via), write = via === GSI(28) ? program(delivery, 28) : () => {};
    write(0);
    clear(delivery);
    for (let k = 0; k < EVENTS; k++) {
      delivery.setRunning(0, true);
      sender.send(from);
      sender.send(from); // nothing new
      delivery.take(0);
      guest.events();
      host.machine.views.w[host.word(guest.domain.sharedInfo)] = 0;
      if (via === GSI(28)) delivery.writeApic(0, APIC_EOI, 0);
    }
    expect(delivery.exits.kick).toBe(EVENTS);
  });

  it.each([['vector', VECTOR(0x40)], ['line', GSI(28)]])('by %s: an exit more each if the guest had interrupts disabled', (_, via) => {
    const delivery = host.xen.deliver(guest.domain, via);
    if (via === GSI(28)) program(delivery, 28);
    clear(delivery);
    for (let k = 0; k < EVENTS; k++) {
      sender.send(from);
      expect([delivery.take(0, false), delivery.take(0, false), delivery.take(0) > 0]).toEqual([NOTHING, NOTHING, true]);
      guest.events();
      if (via === GSI(28)) delivery.writeApic(0, APIC_EOI, 0);
    }
    expect(delivery.exits.window).toBe(EVENTS);
  });
});

describe('a line', () => {
  it('comes again if the guest ends it before it took the events, and does not stay up when the way is changed', () => {
    const delivery = host.xen.deliver(guest.domain, GSI(28)), write = program(delivery, 28);
    sender.send(from);
    expect(delivery.take(0)).toBe(BY_APIC);
    write(0); // it was delivered, and is not again before its end
    expect(delivery.readApic(0, APIC_IRR + 0x20)).toBe(0);
    delivery.writeApic(0, APIC_EOI, 0);
    expect(delivery.take(0)).toBe(BY_APIC);
    host.xen.deliver(guest.domain, VECTOR(0x40));
    expect(delivery.way).toEqual({ type: 'vector', vector: 0x40 });
    delivery.writeApic(0, APIC_EOI, 0);
    expect(delivery.take(0)).toBe(0x40);
    guest.events();
    expect(delivery.take(0)).toBe(NOTHING);
  });

  it('is for vCPU 0 only; without a way nobody is told', () => {
    const delivery = host.xen.deliver(guest.domain, GSI(28));
    program(delivery, 28);
    guest.moveTo(port, 1);
    sender.send(from);
    expect([delivery.take(0), delivery.take(1)]).toEqual([NOTHING, NOTHING]);
    host.xen.deliver(guest.domain, 0n);
    expect([delivery.take(0), delivery.take(1), guest.events(1)]).toEqual([NOTHING, NOTHING, [port]]);
    expect(() => delivery.take(2)).toThrow(ConfigError);
  });

  it('waits for the task priority, and for what is in service', () => {
    const delivery = host.xen.deliver(guest.domain, GSI(28));
    delivery.message(0xfee00000n, 0x62);
    expect(delivery.take(0)).toBe(0x62);
    program(delivery, 28);
    sender.send(from);
    expect(delivery.take(0)).toBe(NOTHING);
    expect([delivery.readApic(0, APIC_ISR + 0x30), delivery.readApic(0, APIC_IRR + 0x20)]).toEqual([1 << 2, 1 << 17]);
    delivery.writeApic(0, APIC_EOI, 0);
    delivery.writeApic(0, APIC_TPR, 0x50);
    expect([delivery.take(0), delivery.readApic(0, APIC_TPR)]).toEqual([NOTHING, 0x50]);
    delivery.writeApic(0, APIC_TPR, 0x4f);
    expect(delivery.take(0)).toBe(BY_APIC);
    delivery.message(0xfee02000n, 0x30); // local APIC 2 is vCPU 1's
    expect([delivery.take(1), delivery.readIoApic(IOWIN) & 0xff]).toEqual([0x30, BY_APIC]);
  });
});
