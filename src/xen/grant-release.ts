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
import type { Host } from './host.ts';

export function releaseMappings(h: Host, domain: Domain): void {
  const { maptrack } = domain.grants;
  for (let handle = maptrack.limit - 1; handle >= 0; handle--) {
    const flags = maptrack.flags(handle), granter = h.domain(maptrack.domid(handle));
    const ref = maptrack.ref(handle);
    if ((flags & (GNTMAP_device_map | GNTMAP_host_map)) === 0 || granter === undefined || ref >= granter.grants.entries) continue;
    const { active } = granter.grants;
    releaseMapping(h, active.mfn(ref), flags, false);
    active.setPin(ref, active.pin(ref) - pinsOf(flags));
    reduceStatus(h, granter.grants, ref, (flags & GNTMAP_readonly) !== 0);
  }
  maptrack.clear();
}
