import { describe, expect, it } from 'vitest';
import { writeEntry } from '../../src/memory/entry.ts';
import { GNTMAP_device_map, GNTMAP_host_map, GTF_permit_access } from '../../src/xen/grant-numbers.ts';
import { PGC_ALLOCATED } from '../../src/layout/frame.ts';
import { DATA, entryOf } from './guest.ts';
import { FIRST1, FIRST2, GrantWorld } from './grant-world.ts';

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
  it.each(breaks)('tells by %s of %s', (rule, _what, breakIt) => {
    const g = world();
    breakIt(g);
    expect(g.xen.audit().map(text => text.slice(0, 3))).toContain(rule);
  });
});
