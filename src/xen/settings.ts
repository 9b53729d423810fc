/** What an embedder decides of a hypervisor once and for all, kept in its block: whoever attaches to the machine does as decided. */
import { ConfigError } from '../errors.ts';
import {
  HVB_CHECK_EACH_COPY, HVB_LEAK_PARTIAL_TABLES, HVB_LEAK_PREEMPTED_TABLES, HVB_LINEAR_PAGE_TABLES, HVB_PV32, HVB_SCRUB_DOMHEAP, HV_BEHAVIOUR, HV_BUDGET, HV_COMPAT_SLOTS,
  HV_COMPAT_SLOTS_USED, HV_GSIS, HV_XEN_SLOTS, HV_XEN_SLOTS_USED, XEN_SLOT_BYTES, XEN_SLOT_HI, XEN_SLOT_INDEX, XEN_SLOT_LO,
} from '../layout/hypervisor.ts';
import type { OwnFrames } from './own-frames.ts';
import { PagedTable } from './paged-table.ts';

/** What of the real Xen's behaviour can be turned off. */
export interface Behaviour {
  /** CONFIG_PV_LINEAR_PT: a guest may use a table as a table of the next lower level. */
  readonly linearPageTables: boolean;
  /** Release builds leave a level-2 table partial for good if its validation, and that of the tables above, fails in certain slots. */
  readonly leakPartialTables: boolean;
  /**
   * A table whose validation is preempted in slot 0 holds a general reference of the table there. If the latter is refused when the call is
   * continued, and is not the one that is put later, no one puts that reference: get_page_and_type_from_mfn() leaves it to its caller
   * (PTF_partial_set), and promote_l4_table() remembers nothing of a failure in slot 0.
   */
  readonly leakPreemptedTables: boolean;
  /** CONFIG_PV32: there may be 32-bit guests. */
  readonly pv32: boolean;
  /** Boot parameter scrub-domheap: frames are cleared whenever they are freed, not only those of dying domains and those exchanged. */
  readonly scrubDomheap: boolean;
  /**
   * GNTTABOP_copy: that a frame named by its number is the caller's own is checked for each operation, as distributors' builds of 4.17.7 do.
   * 4.17.7 as released (gnttab_copy_lock_domain()) checks it only where it looks the domains up: after an operation that named a domain and a
   * grant of it, the next one may name any frame of that domain.
   */
  readonly checkEachCopy: boolean;
}

const BITS: Readonly<Record<keyof Behaviour, number>> = {
  linearPageTables: HVB_LINEAR_PAGE_TABLES, leakPartialTables: HVB_LEAK_PARTIAL_TABLES, leakPreemptedTables: HVB_LEAK_PREEMPTED_TABLES, pv32: HVB_PV32, scrubDomheap: HVB_SCRUB_DOMHEAP,
  checkEachCopy: HVB_CHECK_EACH_COPY,
};
const DEFAULTS: Behaviour = { linearPageTables: true, leakPartialTables: true, leakPreemptedTables: true, pv32: true, scrubDomheap: false, checkEachCopy: true };
export const BEHAVIOURS = Object.keys(BITS) as (keyof Behaviour)[];
const SLOTS_MOST = 512;
const DEFAULT_GSIS = 24;

/** Entries that the hypervisor puts into every root table: `[slot, low word, high word]`. */
export type XenSlot = readonly [slot: number, lo: number, hi: number];

/** What is decided; undefined as by default. */
export interface Decisions extends Partial<Behaviour> {
  readonly budget?: number;
  readonly gsis?: number;
  readonly xenSlots?: readonly XenSlot[];
  readonly compatSlots?: readonly XenSlot[];
}

/** What was decided. */
export interface Settings {
  readonly behaviour: Behaviour;
  /** Entries that a call looks at before it is preempted; Infinity: never preempted. */
  readonly budget: number;
  /** Interrupt lines of the machine's I/O APICs. */
  readonly gsis: number;
  /** The hypervisor's entries in root tables of 64-bit guests. */
  readonly xenSlots: readonly XenSlot[];
  /** ... and in the level-2 table of the fourth GiB of 32-bit guests; undefined: the window on the machine-to-physical table. */
  readonly compatSlots: readonly XenSlot[] | undefined;
}

/** Write them down. @throws ConfigError - there is no memory for them */
export function laySettings(own: OwnFrames, decided: Decisions): void {
  const { s: { w }, block } = own, { budget = Infinity } = decided;
  let bits = 0;
  for (const [name, bit] of Object.entries(BITS)) if (decided[name as keyof Behaviour] ?? DEFAULTS[name as keyof Behaviour]) bits |= bit;
  w[block + (HV_BEHAVIOUR >>> 2)] = bits;
  w[block + (HV_BUDGET >>> 2)] = budget === Infinity ? -1 : budget;
  w[block + (HV_GSIS >>> 2)] = decided.gsis ?? DEFAULT_GSIS;
  laySlots(own, HV_XEN_SLOTS, HV_XEN_SLOTS_USED, decided.xenSlots ?? []);
  laySlots(own, HV_COMPAT_SLOTS, HV_COMPAT_SLOTS_USED, decided.compatSlots);
}

/** Read them. */
export function readSettings(own: OwnFrames): Settings {
  const { s: { w }, block } = own, bits = w[block + (HV_BEHAVIOUR >>> 2)], budget = w[block + (HV_BUDGET >>> 2)];
  const behaviour = Object.fromEntries(Object.entries(BITS).map(([name, bit]) => [name, (bits & bit) !== 0])) as unknown as Behaviour;
  return {
    behaviour, gsis: w[block + (HV_GSIS >>> 2)], budget: budget < 0 ? Infinity : budget,
    xenSlots: readSlots(own, HV_XEN_SLOTS, HV_XEN_SLOTS_USED) ?? [], compatSlots: readSlots(own, HV_COMPAT_SLOTS, HV_COMPAT_SLOTS_USED),
  };
}

const slotTable = (own: OwnFrames, table: number): PagedTable => new PagedTable(own, own.block + (table >>> 2), XEN_SLOT_BYTES, SLOTS_MOST);

function laySlots(own: OwnFrames, table: number, used: number, slots: readonly XenSlot[] | undefined): void {
  const { s: { w }, block } = own, rows = slotTable(own, table);
  w[block + (used >>> 2)] = slots?.length ?? -1;
  if (slots === undefined) return;
  if (!rows.reserve(slots.length)) throw new ConfigError('own.frames', 'frames for the entries of root tables', own.frames);
  slots.forEach(([slot, lo, hi], k) => {
    const at = rows.row(k);
    w[at + (XEN_SLOT_INDEX >>> 2)] = slot;
    w[at + (XEN_SLOT_LO >>> 2)] = lo;
    w[at + (XEN_SLOT_HI >>> 2)] = hi;
  });
}

function readSlots(own: OwnFrames, table: number, used: number): XenSlot[] | undefined {
  const { s: { w }, block } = own, rows = slotTable(own, table), count = w[block + (used >>> 2)];
  if (count < 0) return undefined;
  return Array.from({ length: count }, (_, k) => {
    const at = rows.row(k);
    return [w[at + (XEN_SLOT_INDEX >>> 2)], w[at + (XEN_SLOT_LO >>> 2)], w[at + (XEN_SLOT_HI >>> 2)]] as const;
  });
}
