import { describe, expect, it } from 'vitest';
import { HYPERVISOR_event_channel_op, HYPERVISOR_grant_table_op } from '../../src/xen/numbers.ts';
import { GNTMAP_device_map, GNTST_general_error, GNTST_no_space, GNTST_okay, GTF_permit_access } from '../../src/xen/grant-numbers.ts';
import { FIRST1, GrantWorld } from './grant-world.ts';
import { struct } from './grant-struct.ts';
import { Guest } from './guest.ts';

const ENOMEM = -12, SELF = 0x7ff0n, ALLOC_UNBOUND = 6;
const widths = [['64-bit', true], ['32-bit', false]] as const;

/** Take all pages that are left. @returns their word indices */
function exhaust(g: Guest, leave = 0): number[] {
  const { own } = g.xen.host, pages: number[] = [];
  for (let at = own.allocate(1); at !== 0; at = own.allocate(1)) pages.push(at);
  for (const at of pages.splice(0, leave)) own.free(at, 1);
  return pages;
}

describe("the hypervisor's own frames", () => {
  it('come back with the domain that was known in them', () => {
    const g = new Guest({ wide: false }), pages = exhaust(g);
    for (const at of pages) g.xen.host.own.free(at, 1);
    for (let round = 0; round < 3; round++) {
      const domain = g.xen.createDomain({ id: 5, p2m: [[0, 0x900, 4]], maxVcpus: 20, iomem: [[0x5000, 0x5001]], grants: { frames: [0x320] } });
      domain.addVcpu();
      domain.setMemoryMap(new Uint8Array(5000));
      domain.grants.maptrack.take(0);
      domain.events.pirqs.reserve(3000);
      g.xen.destroyDomain(5);
    }
    expect(g.xen.audit()).toEqual([]);
    expect(exhaust(g).length).toBe(pages.length);
  });

  it('are said to be too few', () => {
    expect(() => new Guest({ own: { first: 4096, frames: 1 } })).toThrow(/own\.frames: expected more than 1 frames/);
    expect(() => new Guest({ own: { first: 4096, frames: 9 } })).toThrow(/own\.frames/);
    expect(() => new Guest({ own: { first: 4000, frames: 1e6 } })).toThrow(/own: expected frames with bytes/);
  });

  it('are not there for another domain: it is not made, and nothing is changed', () => {
    for (let leave = 0; leave < 12; leave++) {
      const g = new Guest();
      exhaust(g, leave);
      const make = () => g.xen.createDomain({ id: 2000, p2m: [[0, 0x900, 4]], iomem: [[0x5000, 0x5001]], maxVcpus: 3 });
      if (leave >= 8) expect(make().id).toBe(2000);
      else expect(make).toThrow(/own\.frames/);
      if (leave >= 8) continue;
      const { size } = g.xen.host.domains;
      expect([size, g.xen.host.domain(2000), g.xen.host.frames.isFree(0x900), exhaust(g).length, g.xen.audit()]).toEqual([1, undefined, true, leave, []]);
    }
  });
});

describe.each(widths)('a %s guest that there is no memory for', (_, wide) => {
  it('gets no more ports: -ENOMEM', () => {
    const g = new Guest({ wide });
    exhaust(g);
    const results = Array.from({ length: 128 }, () => Number(g.xen.hypercall(g.cpu, HYPERVISOR_event_channel_op, BigInt(ALLOC_UNBOUND), g.words(4, SELF | (SELF << 16n), 0n))));
    expect([results.filter(rc => rc === 0).length, results.at(-1)]).toEqual([127, ENOMEM]); // a page of them, without port 0
    expect(g.xen.audit()).toEqual([]);
  });

  it('gets no more handles, and no larger table', () => {
    const g = new GrantWorld({ wide }), status = () => g.mapGrant(0n, GNTMAP_device_map, 9, 1).status;
    g.grant(1, 9, GTF_permit_access, 0, FIRST1 + 3);
    const pages = exhaust(g);
    expect(status()).toBe(GNTST_no_space);
    const setup = struct(wide ? [[2, 0x7ff0], [2, 0], [4, 5], [2, 0], [2, 0], [4, 0], [8, g.va(g.free(0))]] : [[2, 0x7ff0], [2, 0], [4, 5], [2, 0], [2, 0], [4, g.va(g.free(0))]]);
    g.xen.write(g.cpu, g.words(4, 0n), setup);
    expect(Number(g.xen.hypercall(g.cpu, HYPERVISOR_grant_table_op, 2n, g.words(4), 1n))).toBe(0);
    expect(new DataView(g.bytesAt(0x7ff, 8, 2).buffer).getInt16(0, true)).toBe(GNTST_general_error);
    expect([g.domain.grants.frames.length, g.xen.audit()]).toEqual([2, []]);
    for (const at of pages) g.xen.host.own.free(at, 1);
    expect(status()).toBe(GNTST_okay);
    expect(g.xen.audit()).toEqual([]);
  });
});
