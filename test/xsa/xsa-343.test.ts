/**
 * XSA-343, "races with evtchn_reset()" (CVE-2020-25599).
 *
 * EVTCHNOP_reset closes all ports and goes back to two levels; it did not keep the domain's other vCPUs from opening ports meanwhile, by the format that
 * was about to end. The attacker has one vCPU reset while others bind, send and poll: ports stay open that the format cannot have, their
 * bits are written by offsets into pages that are let go.
 *
 * A reset is preempted, and the other vCPU acts between its parts: a second one is -EBUSY, ports that are opened behind it have it end with -EAGAIN and
 * the format as it is, and the next reset closes them. After each part each bound port has its peer (audit). Both widths.
 */
import { describe, expect, it } from 'vitest';
import { HYPERVISOR_event_channel_op } from '../../src/xen/numbers.ts';
import { struct } from '../xen/grant-struct.ts';
import { Tenants } from '../xen/tenants.ts';
import { ALLOC_UNBOUND, BIND_INTERDOMAIN, BIND_IPI, CLOSE, fillPorts, INIT_CONTROL, interdomain, leaveEvent, RESET, RESET_CONT, SELF, SEND, unbound, UNBOUND_SELF, UNMASK, useFifo } from './ports.ts';
import { EBUSY, EINVAL, WIDTHS } from './world.ts';

const EAGAIN = -11, PORTS = 700;

describe.each(WIDTHS)('XSA-343: a %s guest', (_, wide) => {
  function scene(fifo: boolean) {
    const world = new Tenants({ wide, budget: 0, maxVcpus: 2, running: 2 }), [attacker, other] = world.list, second = world.machine.vcpus[2];
    if (fifo) useFifo(attacker, 1);
    const theirs = [1, 2].map(() => unbound(other, attacker.id));
    const early = interdomain(attacker, other.id, theirs[0]);
    fillPorts(attacker, PORTS);
    const late = interdomain(attacker, other.id, theirs[1]), { host } = world.xen;
    /** The other vCPU's call; its structure is apart from the reset's. */
    const act = (command: number, ...words: number[]): number => {
      const at = attacker.leave(struct(Array.from({ length: 6 }, (_x, k) => [4, words[k] ?? 0] as const)));
      const rc = Number(world.xen.hypercall(second, HYPERVISOR_event_channel_op, BigInt(command), at));
      world.check();
      return rc;
    };
    /** A reset in parts. @returns its result */
    const reset = (between: (part: number) => void): number => {
      leaveEvent(attacker, RESET, SELF);
      for (let part = 1; part < 100; part++) {
        const rc = world.xen.dispatchPart(attacker.cpu);
        world.check();
        if (!host.preempted) return rc;
        between(part);
      }
      throw new Error('a reset without end');
    };
    return { world, attacker, other, events: attacker.domain.events, early, late, theirs, act, reset };
  }

  it.each([['two levels', false], ['FIFO', true]] as const)('resets (%s) while its other vCPU uses its ports', (_what, fifo) => {
    const { events, early, late, theirs, other, act, reset } = scene(fifo);
    let parts = 0;
    expect(reset(part => {
      parts = part;
      expect([act(SEND, early), act(CLOSE, early), act(UNMASK, early), act(SEND, late), act(UNMASK, late)]).toEqual([EINVAL, EINVAL, 0, 0, 0]);
      expect([act(RESET, SELF), events.fifo !== undefined]).toEqual([EBUSY, fifo]);
      if (fifo) expect(act(INIT_CONTROL, 0, 0, 0, 0)).toBe(EINVAL);
    })).toBe(0);
    expect([parts, events.active(), events.fifo]).toEqual([10, 0, undefined]);
    expect(theirs.map(port => other.event(SEND, port).rc)).toEqual([0, 0]);
  });

  it.each([['two levels', false], ['FIFO', true]] as const)('opens ports while it resets (%s)', (_what, fifo) => {
    const { events, theirs, act, other, reset } = scene(fifo);
    expect(reset(part => {
      if (part === 2) expect([act(ALLOC_UNBOUND, UNBOUND_SELF), act(BIND_IPI, 1), act(BIND_INTERDOMAIN, other.id, theirs[0])]).toEqual([0, 0, 0]);
    })).toBe(EAGAIN);
    expect([events.active(), events.fifo !== undefined]).toEqual([3, fifo]);
    expect([reset(() => {}), events.active(), events.fifo]).toEqual([0, 0, undefined]);
  });

  it('goes on with a reset that is not, or is its other vCPU\'s', () => {
    const { events, act, reset } = scene(true);
    expect(act(RESET_CONT, SELF)).toBe(EBUSY);
    expect(reset(part => { if (part === 3) expect(act(RESET_CONT, SELF)).toBe(0); })).toBe(EBUSY);
    expect([events.active(), events.fifo]).toEqual([0, undefined]);
  });
});
