/** vCPUs that have no vcpu_info: beyond the 32 of the shared info, or of a domain that has no shared info. */
import { describe, expect, it } from 'vitest';
import { HYPERVISOR_vcpu_op } from '../../src/xen/numbers.ts';
import { VCPUOP_register_vcpu_info } from '../../src/xen/vcpu-op.ts';
import { ALLOC_UNBOUND, BIND_INTERDOMAIN, BIND_IPI, BIND_VCPU, CLOSE, SEND, UNMASK } from '../xsa/ports.ts';
import { struct } from './grant-struct.ts';
import { Tenants, type Tenant } from './tenants.ts';

const LAST = 99;

/** Bytes of the whole state that a call changes, but for its own structure, what its vCPU keeps of it, and what the hypervisor keeps in its own frames. */
function changes(t: Tenant, call: () => void): number[] {
  const { machine: { views: { u8 }, vcpus }, xen } = t.world, but = new Set([xen.host.table(t.frame(63)) * 4, ...vcpus.map(({ block }) => block)].map(at => at >>> 12)), found: number[] = [];
  const before = u8.slice(), { own } = xen.host, first = own.wordAt(own.first) >>> 10;
  for (let page = first; page < first + own.frames; page++) but.add(page);
  call();
  for (let page = 0; page < u8.length >>> 12; page++) {
    const at = page << 12;
    if (but.has(page) || Buffer.compare(u8.subarray(at, at + 4096), before.subarray(at, at + 4096)) === 0) continue;
    for (let k = at; k < at + 4096; k++) if (u8[k] !== before[k]) found.push(k);
  }
  return found;
}

describe.each([['64-bit', true], ['32-bit', false]] as const)('a %s guest', (_, wide) => {
  it('sends events to vCPUs beyond those of the shared info: only the port is marked, until they have a vcpu_info', () => {
    const world = new Tenants({ wide, maxVcpus: LAST + 1 }), [t] = world.list, pending = world.xen.host.table(t.sharedInfo) * 4 + 0x800;
    for (const vcpu of [32, 63, 64, LAST]) {
      const { rc, out: [, port] } = t.event(BIND_IPI, vcpu);
      expect([rc, port]).toEqual([0, 1]);
      expect(changes(t, () => { expect(t.event(SEND, port).rc).toBe(0); })).toEqual([pending]);
      expect(changes(t, () => { expect(t.event(UNMASK, port).rc).toBe(0); })).toEqual([]);
      expect(changes(t, () => { expect(t.event(CLOSE, port).rc).toBe(0); })).toEqual([pending]);
    }
    const { out: [, port] } = t.event(BIND_IPI, 0);
    expect(changes(t, () => { t.event(SEND, port); }).length).toBe(3); // the upcall and the selector too
  });

  it('sends events to a domain that has no shared info: nothing changes', () => {
    const world = new Tenants({ wide, privileged: [0] }), [t] = world.list, silent = world.xen.createDomain({ id: 5, is32: !wide, p2m: [[0, 0x100, 4]], maxVcpus: 2 });
    const { rc, out: [, remote] } = t.event(ALLOC_UNBOUND, silent.id | (t.id << 16));
    expect([rc, remote]).toEqual([0, 1]);
    const bound = t.event(BIND_INTERDOMAIN, silent.id, remote);
    expect([bound.rc, t.event(BIND_VCPU, bound.out[2], 0).rc]).toEqual([0, 0]);
    expect(changes(t, () => { expect(t.event(SEND, bound.out[2]).rc).toBe(0); })).toEqual([]);
    world.xen.destroyDomain(silent.id);
    world.check();
  });

  it('gives a vCPU beyond those of the shared info its vcpu_info: events arrive there', () => {
    const world = new Tenants({ wide, maxVcpus: 40 }), [t] = world.list, at = world.xen.host.table(t.frame(30)), { w } = world.machine.views;
    t.domain.dropVcpus(1); // the others are down
    expect(t.call(HYPERVISOR_vcpu_op, BigInt(VCPUOP_register_vcpu_info), 33n, t.leave(struct([[8, t.frame(30)], [4, 0], [4, 0]])))).toBe(0);
    expect(w[at] & 0xffff).toBe(0x101); // pending, and masked
    const { out: [, port] } = t.event(BIND_IPI, 33), selector = at + (wide ? 2 : 1);
    w[at] = w[selector] = 0;
    expect([t.event(SEND, port).rc, w[at] & 0xff, w[selector]]).toEqual([0, 1, 1]);
  });
});
