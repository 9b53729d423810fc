/**
 * XSA-358, "FIFO event channels control block related ordering" (CVE-2020-29570).
 *
 * In the FIFO format each vCPU has a control block with the heads of its queues, which the guest gives. An event for a vCPU whose block is only about to
 * be set, from another processor, saw that there is a block, and followed the pointers to the queues' heads before they were there.
 *
 * Calls are made one after the other here, so that a block is there wholly or not at all. What remains: until a vCPU has its block, not a byte
 * changes by an event for it, whatever priority the event has, and whether setting the block failed in between; after that it arrives. Both widths.
 */
import { describe, expect, it } from 'vitest';
import { Tenants } from '../xen/tenants.ts';
import { ARRAY, BIND_IPI, CONTROL, INIT_CONTROL, SEND, UNMASK, useFifo } from './ports.ts';
import { EINVAL, WIDTHS } from './world.ts';

const SET_PRIORITY = 13, PENDING = 1 << 31, LINKED = 1 << 29;

describe.each(WIDTHS)('XSA-358: a %s guest', (_, wide) => {
  it('sends events to a vCPU that has no control block', () => {
    const world = new Tenants({ wide, maxVcpus: 2, running: 2 }), [attacker] = world.list, { views } = world.machine, at = world.xen.host.table(attacker.frame(ARRAY));
    useFifo(attacker, 1);
    const ports = [0, 7, 15].map(priority => {
      const { rc, out } = attacker.event(BIND_IPI, 1);
      expect([rc, attacker.event(SET_PRIORITY, out[1], priority).rc]).toEqual([0, 0]);
      return out[1];
    });
    const whole = (): Buffer => Buffer.concat([views.u8.slice(0, 256), world.state()]); // with the state's first words, where an index that is none leads
    const silent = (): void => {
      for (const command of [SEND, UNMASK]) for (const port of ports) {
        attacker.event(command, port);
        const before = whole();
        expect([attacker.event(command, port).rc, Buffer.compare(before, whole())]).toEqual([0, 0]);
        expect(views.w[at + port]).toBe(0);
      }
    };
    silent();
    for (const [frame, offset] of [[attacker.level1, 0], [0x50, 0], [attacker.frame(CONTROL + 1), 4096 - 64], [attacker.frame(CONTROL + 1), 4]]) {
      expect(attacker.event(INIT_CONTROL, frame, 0, offset, 1).rc).toBe(EINVAL);
      silent();
    }
    expect(attacker.event(INIT_CONTROL, attacker.frame(CONTROL + 1), 0, 4096 - 72, 1).rc).toBe(0);
    const block = world.xen.host.table(attacker.frame(CONTROL + 1)) + (4096 - 72) / 4;
    for (const port of ports) expect([attacker.event(SEND, port).rc, views.w[at + port]]).toEqual([0, PENDING | LINKED]);
    expect([views.w[block], ...[0, 7, 15].map(priority => views.w[block + 2 + priority])]).toEqual([(1 << 0) | (1 << 7) | (1 << 15), ...ports]);
  });
});
