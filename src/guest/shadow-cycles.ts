/** What shadow paging cost, by cause. */
import type { ShadowCounts, WorkName } from '../virt/shadow/work.ts';

/** Parts of a CycleAccount. */
export interface ShadowCycles {
  hypervisorTrap: number;
  hypervisorEmulate: number;
  hypervisorShadow: number;
  hypervisorSync: number;
  hypervisorFlush: number;
}

/** What each kind of work is for. */
export const SHADOW_CAUSES: Readonly<Record<WorkName, keyof ShadowCycles>> = {
  exitPageFault: 'hypervisorTrap', exitCr0: 'hypervisorTrap', exitCr3: 'hypervisorTrap', exitCr4: 'hypervisorTrap', exitEfer: 'hypervisorTrap',
  exitInvlpg: 'hypervisorTrap', exitInvpcid: 'hypervisorTrap', fastNotPresent: 'hypervisorTrap', guestFault: 'hypervisorTrap',
  emulatedWrite: 'hypervisorEmulate', emulatedWp: 'hypervisorEmulate', mmio: 'hypervisorEmulate',
  shadowFill: 'hypervisorShadow', wpFlip: 'hypervisorShadow', setAccessed: 'hypervisorShadow', setDirty: 'hypervisorShadow', logDirty: 'hypervisorShadow',
  unshadowCleared: 'hypervisorShadow', unshadowFlood: 'hypervisorShadow', unshadowNotEntries: 'hypervisorShadow', unshadowUser: 'hypervisorShadow', unshadowRemapped: 'hypervisorShadow',
  walkReference: 'hypervisorShadow', entryShadowed: 'hypervisorShadow', tableMade: 'hypervisorShadow', tableFreed: 'hypervisorShadow',
  poolReclaim: 'hypervisorShadow', writableGuessed: 'hypervisorShadow', writableScanned: 'hypervisorShadow', scannedEntry: 'hypervisorShadow',
  unsync: 'hypervisorSync', resync: 'hypervisorSync',
  flush: 'hypervisorFlush', invlpg: 'hypervisorFlush',
};

/** All of it. @param prices - in cycles */
export function shadowCycles(counts: ShadowCounts, prices: Readonly<Record<WorkName, number>>): ShadowCycles {
  const cycles: ShadowCycles = { hypervisorTrap: 0, hypervisorEmulate: 0, hypervisorShadow: 0, hypervisorSync: 0, hypervisorFlush: 0 };
  for (const [name, cause] of Object.entries(SHADOW_CAUSES)) cycles[cause] += counts[name as WorkName] * prices[name as WorkName];
  return cycles;
}
