/**
 * A pending event's port is moved to another vCPU with EVTCHNOP_bind_vcpu. Two ways to lose it, each beside the one that does not.
 *
 * Source: Linux, rebind_irq_to_cpu() (drivers/xen/events/events_base.c), which masks the event meanwhile; Xen, commit e33d4257fc,
 *         "evtchn/fifo: don't corrupt queues if an old tail is linked".
 */
import { describe, expect, it } from 'vitest';
import { Host, Kernel } from './kernel.ts';

const LINKED = 1 << 29, PENDING = 1 << 31, LINK = 0x1ffff, PRIORITY = 7, HEADS = 2;

/** A domain with two vCPUs and one that sends to it. */
function world(): { host: Host; guest: Kernel; sender: Kernel; pair: () => readonly [port: number, from: number] } {
  const host = new Host(3), guest = new Kernel(host, 1, 0, { vcpus: 2 }), sender = new Kernel(host, 2, 2);
  const pair = () => {
    const port = guest.offer(2);
    return [port, sender.bind(1, port)] as const;
  };
  return { host, guest, sender, pair };
}

describe('two levels: a kernel whose vCPUs look only at the ports that are theirs', () => {
  /** Move a port, as the kernel's own table and the hypervisor have it. @param careful - masked meanwhile, unmasked by the hypervisor */
  const move = (guest: Kernel, owners: number[], port: number, careful: boolean) => {
    if (careful) guest.setMask(port);
    guest.moveTo(port, 1);
    owners[port] = 1;
    if (careful) guest.unmask(port);
  };
  const take = (guest: Kernel, owners: number[], vcpu: number) =>
    guest.events(vcpu, word => owners.reduce((bits, owner, port) => (owner === vcpu && port >>> 5 === word ? bits | (1 << (port & 31)) : bits), 0));

  it.each([
    ['without masking it: neither sees the event, nor any that comes after', false, [[], []], 0],
    ['masked, and unmasked by hypercall: the new one sees it', true, [[], ['port']], 1],
  ])('a port is moved %s', (_, careful, seen, next) => {
    const { guest, sender, pair } = world(), [port, from] = pair(), owners: number[] = [];
    owners[port] = 0;
    sender.send(from);
    move(guest, owners, port, careful);
    const got = [take(guest, owners, 0), take(guest, owners, 1)];
    expect(got).toEqual(seen.map(list => list.map(() => port)));
    sender.send(from); // pending already, if it was not seen: nobody is told
    expect([take(guest, owners, 0), take(guest, owners, 1)].flat()).toHaveLength(next);
  });
});

describe('FIFO: a queue whose last port was moved away', () => {
  /** Take the ports out of a queue, as a guest does. */
  function drain({ host }: { host: Host }, control: number, array: number): number[] {
    const { w } = host.machine.views, ports: number[] = [];
    for (let port = Atomics.exchange(w, control + HEADS + PRIORITY, 0); port !== 0;) {
      ports.push(port);
      const word = Atomics.and(w, array + port, ~(LINKED | PENDING | LINK));
      port = word & LINK;
    }
    Atomics.and(w, control, ~(1 << PRIORITY));
    return ports;
  }

  it.each([
    ['is known to be empty: all three events come', false, true],
    ['is taken to end with it still, as before Xen 4.4.0-rc2: one event is in no queue, and never comes', true, false],
  ])('%s', (_, forgetful, all) => {
    const w = world(), { guest, sender, pair } = w, [[a, fromA], [b, fromB], [c, fromC]] = [pair(), pair(), pair()] as const;
    const { controls: [zero, one], array } = guest.useFifo(2);
    const seen = () => [...drain(w, zero!, array), ...drain(w, one!, array)];
    seen(); // what was pending before
    sender.send(fromA);
    expect(drain(w, zero!, array)).toEqual([a]);
    guest.moveTo(a, 1);
    guest.moveTo(c, 1);
    sender.send(fromA); // in the queue of vCPU 1
    if (forgetful) guest.domain.events.fifoVcpu(0).setTail(PRIORITY, a); // what noting a port's last queue is there to prevent
    sender.send(fromB); // in that of vCPU 0, unless it is thought to end with the first port: then behind that one, in the other queue
    sender.send(fromC); // behind the first port, in place of what is there
    expect(seen().sort((x, y) => x - y)).toEqual(all ? [a, b, c] : [a, c]);
    sender.send(fromB);
    expect(seen()).toEqual(all ? [b] : []); // it is linked, it says: no one links it again
  });
});
