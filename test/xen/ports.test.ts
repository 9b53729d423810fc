/** Ports: of virtual interrupts that the embedder raises, of other domains, and used again. */
import { describe, expect, it } from 'vitest';
import { DOMID_SELF, XEN_EPERM, XEN_ENOSPC } from '../../src/xen/numbers.ts';
import { Tenants, type Tenant } from './tenants.ts';

const BIND_INTERDOMAIN = 0, BIND_VIRQ = 1, BIND_IPI = 7, CLOSE = 3, SEND = 4, STATUS = 5, ALLOC_UNBOUND = 6, BIND_VCPU = 8;
const VIRQ_TIMER = 0, VIRQ_CONSOLE = 2;
const PENDING = 0x800, UPCALL = 0, INFO_BYTES = 64;

function byteAt(t: Tenant, at: number): number {
  const data = new Uint8Array(1);
  t.world.machine.read(BigInt(t.sharedInfo * 4096 + at), data);
  return data[0]!;
}

function clearByte(t: Tenant, at: number): void { t.world.machine.write(BigInt(t.sharedInfo * 4096 + at), new Uint8Array(1)); }

const isPending = (t: Tenant, port: number): boolean => ((byteAt(t, PENDING + (port >>> 3)) >>> (port & 7)) & 1) !== 0;

describe.each([['64-bit', true], ['32-bit', false]] as const)('a virtual interrupt of a %s domain', (_, wide) => {
  it('is raised where it is bound: to its vCPU, or to the one that the port was moved to', () => {
    const { xen, list: [t] } = new Tenants({ wide, domains: 1, maxVcpus: 3 }), { domain } = t!;
    expect(xen.raiseVirq(domain, VIRQ_TIMER, 1)).toBe(false);
    const timer = t!.event(BIND_VIRQ, VIRQ_TIMER, 1).out[2]!, console_ = t!.event(BIND_VIRQ, VIRQ_CONSOLE, 0).out[2]!;
    expect(xen.raiseVirq(domain, VIRQ_TIMER, 0)).toBe(false);
    expect(xen.raiseVirq(domain, VIRQ_TIMER, 1)).toBe(true);
    expect([isPending(t!, timer), byteAt(t!, UPCALL), byteAt(t!, INFO_BYTES + UPCALL)]).toEqual([true, 0, 1]);
    expect(t!.event(BIND_VCPU, console_, 2).rc).toBe(0);
    expect(xen.raiseVirq(domain, VIRQ_CONSOLE, 1)).toBe(true);
    expect([isPending(t!, console_), byteAt(t!, UPCALL), byteAt(t!, 2 * INFO_BYTES + UPCALL)]).toEqual([true, 0, 1]);
    t!.event(CLOSE, console_);
    expect(xen.raiseVirq(domain, VIRQ_CONSOLE)).toBe(false);
    expect(t!.event(BIND_VIRQ, VIRQ_CONSOLE, 0).rc).toBe(0); // that it had been moved leaves it bound to none
    expect(xen.audit()).toEqual([]);
  });

  it('is one that the domain can have', () => {
    const { xen, list: [t] } = new Tenants({ wide, domains: 1 });
    for (const [virq, vcpu, field] of [[24, 0, 'virq'], [-1, 0, 'virq'], [0.5, 0, 'virq'], [0, 1, 'vcpu'], [0, -1, 'vcpu']] as const) {
      expect(() => xen.raiseVirq(t!.domain, virq, vcpu)).toThrow(expect.objectContaining({ name: 'ConfigError', field }));
    }
  });
});

describe('a port of another domain (evtchn_alloc_unbound())', () => {
  it('is looked for before the caller is refused', () => {
    const { list: [a, b] } = new Tenants({ maxEventPort: 63 });
    expect(a!.event(STATUS, a!.id, 63).rc).toBe(0);
    expect(a!.event(ALLOC_UNBOUND, b!.id).rc).toBe(-XEN_EPERM);
    for (let k = 1; k < 64; k++) expect(b!.event(ALLOC_UNBOUND, DOMID_SELF).rc).toBe(0);
    expect(a!.event(ALLOC_UNBOUND, b!.id).rc).toBe(-XEN_ENOSPC);
  });
});

describe('a port that is used again (evtchn_free())', () => {
  it('tells vCPU 0, whichever the one before told', () => {
    const { list: [t] } = new Tenants({ domains: 1, maxVcpus: 2 }), port = t!.event(BIND_IPI, 1).out[1]!;
    expect(t!.event(STATUS, DOMID_SELF, port).out[3]).toBe(1);
    t!.event(CLOSE, port);
    expect(t!.event(ALLOC_UNBOUND, DOMID_SELF).out[1]).toBe(port);
    expect(t!.event(STATUS, DOMID_SELF, port).out[3]).toBe(0);
  });
});

describe('an event (evtchn_2l_set_pending())', () => {
  it('tells the vCPU only if the selector did not say so before', () => {
    const { list: [a, b] } = new Tenants(), bind = (): [number, number] => {
      const remote = b!.event(ALLOC_UNBOUND, DOMID_SELF | (a!.id << 16)).out[1]!;
      return [a!.event(BIND_INTERDOMAIN, b!.id, remote).out[2]!, remote];
    };
    const [first] = bind(), [second, remote] = bind();
    expect(a!.event(SEND, first).rc).toBe(0);
    expect(byteAt(b!, UPCALL)).toBe(1);
    clearByte(b!, UPCALL); // the selector stays
    expect(a!.event(SEND, second).rc).toBe(0);
    expect([isPending(b!, remote), byteAt(b!, UPCALL)]).toEqual([true, 0]);
  });
});
