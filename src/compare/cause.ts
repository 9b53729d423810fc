/** Cycles by cause, in words and in the groups that tables and charts show. */
import type { CycleAccount } from '../guest/index.ts';

interface CauseGroup {
  readonly name: string;
  readonly causes: readonly (keyof CycleAccount)[];
}

/** Every cause is in one group. */
export const CAUSE_GROUPS: readonly CauseGroup[] = [
  { name: 'TLB and starting walks', causes: ['tlb', 'walkStart'] },
  { name: 'loads of walks', causes: ['walkLoads'] },
  { name: 'data', causes: ['data'] },
  { name: 'exceptions and system calls', causes: ['exceptions', 'systemCalls'] },
  { name: 'CR3 and INVLPG', causes: ['rootLoads', 'invlpgs'] },
  { name: 'pages cleared and copied', causes: ['pages', 'hypervisorPopulate'] },
  { name: 'world switches', causes: ['hypervisorTrap'] },
  { name: 'validation and emulation', causes: ['hypervisorValidate', 'hypervisorEmulate'] },
  { name: 'shadow tables', causes: ['hypervisorShadow', 'hypervisorSync'] },
  { name: 'hypervisor\'s flushes', causes: ['hypervisorFlush'] },
];

/** Cycles of each group, in the order of `CAUSE_GROUPS`. */
export function groupCycles(cycles: CycleAccount): number[] {
  return CAUSE_GROUPS.map(({ causes }) => causes.reduce((sum, cause) => sum + cycles[cause], 0));
}

/** A group of causes, and cycles. */
export interface Amount {
  readonly name: string;
  readonly cycles: number;
}

/** What one account has more than another, by groups: the largest amounts, of whichever sign, first. */
export function moreBy(account: CycleAccount, than: CycleAccount): Amount[] {
  const there = groupCycles(than);
  return groupCycles(account).map((cycles, k) => ({ name: CAUSE_GROUPS[k].name, cycles: cycles - there[k] }))
    .filter(({ cycles }) => cycles !== 0).sort((a, b) => Math.abs(b.cycles) - Math.abs(a.cycles));
}

/** An account of so many parts as one of a part. */
export function share(account: CycleAccount, parts: number): CycleAccount {
  return Object.fromEntries(Object.entries(account).map(([cause, cycles]) => [cause, cycles / parts])) as unknown as CycleAccount;
}
