/**
 * A domain that dies gives up its mappings of others' grants. What its page tables map goes with them; the grants are not in use any more at once.
 *
 * Source: facts of Xen 4.17, gnttab_release_mappings() (xen/common/grant_table.c), gnttab_release_host_mappings()
 *         (xen/arch/x86/include/asm/grant_table.h).
 */
import { pinsOf } from './active-grants.ts';
import type { Domain } from './domain.ts';
import { reduceStatus } from './grant-entry.ts';
import { GNTMAP_device_map, GNTMAP_host_map, GNTMAP_readonly } from './grant-numbers.ts';
import { releaseMapping } from './grant-unmap.ts';
import { MAPTRACK_PER_PAGE } from './maptrack.ts';
import type { Host } from './host.ts';
import { DOMID_INVALID } from './numbers.ts';

/** @param from - handles, from the highest down, that are done already @returns how many are done after a preemption, or -1: all */
export function releaseMappings(h: Host, domain: Domain, from: number): number {
  const { maptrack } = domain.grants;
  for (let handle = maptrack.limit - from - 1; handle >= 0; handle--) {
    if (handle + from + 1 < maptrack.limit && handle % MAPTRACK_PER_PAGE === MAPTRACK_PER_PAGE - 1 && h.preemptCheck()) return maptrack.limit - handle - 1;
    const flags = maptrack.flags(handle), granter = h.domain(maptrack.domid(handle)), ref = maptrack.ref(handle);
    if ((flags & (GNTMAP_device_map | GNTMAP_host_map)) === 0 || granter === undefined || ref >= granter.grants.entries) continue;
    const { active } = granter.grants, mfn = active.mfn(ref);
    active.setPin(ref, active.pin(ref) - pinsOf(flags));
    reduceStatus(h, granter.grants, ref, (flags & GNTMAP_readonly) !== 0);
    releaseMapping(h, mfn, flags, false);
    maptrack.setFlags(handle, 0);
    maptrack.give(handle);
  }
  maptrack.clear();
  return -1;
}

/**
 * A domain is made with a number that another had. Handles to grants of that one, left by whoever overwrote such a mapping, are not for grants of
 * this one. (Xen leaves it to the toolstack not to use a number again soon.)
 */
export function disownMappings(h: Host, id: number): void {
  for (const { grants: { maptrack } } of h.domains.values()) {
    for (let handle = 0; handle < maptrack.limit; handle++) {
      if (maptrack.flags(handle) !== 0 && maptrack.domid(handle) === id) maptrack.set(handle, DOMID_INVALID, maptrack.ref(handle), maptrack.flags(handle));
    }
  }
}
