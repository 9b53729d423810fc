import { describe, expect, it } from 'vitest';
import { writeEntry } from '../../src/memory/entry.ts';
import { ECS_IPI } from '../../src/xen/event-port.ts';
import { GNTMAP_device_map, GNTMAP_host_map, GNTMAP_readonly, GTF_permit_access } from '../../src/xen/grant-numbers.ts';
import { PGC_ALLOCATED } from '../../src/layout/frame.ts';
import { DATA, entryOf, RW } from './guest.ts';
import { FIRST1, FIRST2, GrantWorld } from './grant-world.ts';
import { SPARE, Tenants, type Tenant } from './tenants.ts';

/** Domain 1's grant 9, mapped by domain 0 for the processor and for a device. */
function world(): GrantWorld {
  const g = new GrantWorld();
  g.grant(1, 9, GTF_permit_access, 0, FIRST1 + 3);
  g.mapGrant(g.va(g.free(0)), GNTMAP_host_map | GNTMAP_device_map, 9, 1);
  return g;
}

/** A level-1 table of domain 2, which is not privileged, that maps a frame of domain 1. */
function foreignEntry(g: GrantWorld): void {
  const { frames } = g.xen.host, table = FIRST2 + 1;
  frames.setType(table, 0x24000001);
  frames.setRefs(table, 2);
  writeEntry(g.machine.views, table * 4096, entryOf(FIRST1 + 3, DATA));
}

/** Domain 1 is dead; domain 0 has a frame of it mapped. */
function afterDeath(): GrantWorld {
  const g = world();
  g.xen.destroyDomain(1);
  return g;
}

/** A domain without privilege that has mapped another's grant, to read, and has a status frame. */
function reader(): Tenants {
  const world = new Tenants(), [t, other] = world.list;
  other.grant(9, GTF_permit_access, t.id, other.frame(20));
  t.mapGrant(t.va(SPARE), GNTMAP_host_map | GNTMAP_readonly, 9, other.id);
  t.setVersion(2);
  return world;
}

describe('the audit of grants', () => {
  it('has no complaint of grants in use', () => expect(world().xen.audit()).toEqual([]));

  const breaks: [rule: string, what: string, (g: GrantWorld) => void][] = [
    ['XG1', 'a pin too many', g => g.others[0].grants.active.setPin(9, g.pins(1, 9) + 1)],
    ['XG1', 'a pin of no one', g => g.others[0].grants.active.setPin(10, 1)],
    ['XG1', 'a handle less', g => g.domain.grants.maptrack.setFlags(0, GNTMAP_host_map)],
    ['XA1', "a device's reference less", g => g.domain.grants.maptrack.setFlags(0, GNTMAP_host_map)],
    ['XG1', 'a use that goes on', g => { g.others[0].grants.v2Operations++; }],
    ['XG1', 'a reference beyond the table', g => g.domain.grants.maptrack.set(0, 1, 4096, GNTMAP_host_map)],
    ['XG2', 'another user', g => g.others[0].grants.active.begin(9, 2, FIRST1 + 3, 0, 4096, false, 1, 9)],
    ['XG2', 'bytes beyond the frame', g => g.others[0].grants.active.begin(9, 0, FIRST1 + 3, 1, 4096, false, 1, 9)],
    ['XG3', 'an entry without a handle', foreignEntry],
    ['XA4', 'an entry without a grant', foreignEntry],
    ['XG4', 'a frame that is not shared', g => g.xen.host.frames.setOwner(g.domain.grants.frames[0], 0, PGC_ALLOCATED)],
    ['XG4', 'status frames without need', g => { g.domain.grants.addStatus([g.domain.grants.frames[1]]); }],
    ['XG5', 'a handle twice free', g => g.domain.grants.maptrack.give(4)],
    ['XG5', 'a handle nowhere', g => { g.domain.grants.maptrack.take(0); }],
  ];
  const deaths: [rule: string, what: string, (g: GrantWorld) => void][] = [
    ['XG6', 'a frame that is allocated', g => g.xen.host.frames.setOwner(FIRST1 + 3, 1, PGC_ALLOCATED)],
    ['XG6', 'a frame that is a page table', g => g.xen.host.frames.setType(FIRST1 + 3, 0x24000001)],
    ['XG6', 'handles', g => { g.others[0].grants.maptrack.take(0); }],
    ['XG6', 'a vCPU', g => { g.others[0].addVcpu(); }],
    ['XG6', 'no frames any more', g => { g.others[0].totalPages = 0; }],
    ['XA7', 'a page too many', g => { g.others[0].totalPages++; }],
    ['XA7', 'a shared page too many', g => { g.others[0].xenPages++; }],
    ['XE6', 'a port', g => { g.others[0].events.port(1).state = ECS_IPI; }],
    ['XG1', 'a use of a grant', g => { g.domain.grants.active.begin(9, 1, FIRST1 + 3, 0, 4096, false, 0, 9); g.domain.grants.active.setPin(9, 1); }],
    ['XG1', 'a grant that is in use no more', g => { g.others[0].grants.active.setPin(9, 0); }],
    ['XA1', 'a reference that no one holds', g => { g.xen.host.frames.getAgain(FIRST1 + 3); }],
  ];
  it.each(deaths)('tells by %s of a dead domain with %s', (rule, _what, breakIt) => {
    const g = afterDeath();
    expect(g.xen.audit()).toEqual([]);
    breakIt(g);
    expect(g.xen.audit().map(text => text.slice(0, 3))).toContain(rule);
  });

  const readers: [rule: string, what: string, (world: Tenants, t: Tenant) => void][] = [
    ['XG3', 'an entry that writes, by a handle to read', (w, t) => writeEntry(w.machine.views, t.level1 * 4096 + SPARE * 8, t.entry(SPARE) | RW)],
    ['XG3', 'an entry too many', (w, t) => writeEntry(w.machine.views, t.level1 * 4096 + (SPARE + 1) * 8, t.entry(SPARE))],
    ['XA1', 'an entry less', (w, t) => writeEntry(w.machine.views, t.level1 * 4096 + SPARE * 8, 0n)],
    ['XG3', 'a handle for devices only', (_w, t) => t.domain.grants.maptrack.setFlags(0, GNTMAP_device_map | GNTMAP_readonly)],
    ['XG4', 'a status frame that is not shared', (w, t) => w.xen.host.frames.setOwner(t.domain.grants.statusFrames[0], t.id, PGC_ALLOCATED)],
    ['XG4', 'a status frame that is missing', (_w, t) => { t.domain.grants.clearStatus(); }],
    ['XG5', 'a handle in use that is free', (_w, t) => { t.domain.grants.maptrack.setFlags(7, GNTMAP_host_map); }],
  ];
  it.each(readers)('tells by %s of %s', (rule, _what, breakIt) => {
    const w = reader();
    expect(w.xen.audit()).toEqual([]);
    breakIt(w, w.list[0]);
    expect(w.xen.audit().map(text => text.slice(0, 3))).toContain(rule);
  });

  it.each(breaks)('tells by %s of %s', (rule, _what, breakIt) => {
    const g = world();
    breakIt(g);
    expect(g.xen.audit().map(text => text.slice(0, 3))).toContain(rule);
  });
});
