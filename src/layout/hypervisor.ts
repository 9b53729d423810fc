// The hypervisor's block, in the last of its own frames, and behind it a bit for each of those frames: 1 = in use. Found by HDR_HYPERVISOR.
// Offsets of other blocks and of tables are byte offsets in machine memory, 0 = none.

export const HV_OWN_FIRST = 0; //   its own frames: the first, and how many
export const HV_OWN_FRAMES = 4;
export const HV_OWN_NEXT = 8; //    frames handed out from the start, for tables that processors or guests see; all others come from the end
export const HV_FRAMES = 12; //     frames of the machine that are memory, from 0 up
export const HV_EPOCH = 16; //      changes whenever a domain or a vCPU of one is made or goes
export const HV_BEHAVIOUR = 20; //  HVB_*
export const HV_BUDGET = 24; //     entries that a call looks at before it is preempted, -1 = never
export const HV_FREED = 28; //      1 = frames were freed since all vCPUs were last flushed
export const HV_SOURCE_NEXT = 32; //the default source of frames: where it looks next
export const HV_M2P_LEVEL3 = 36; // machine-to-physical table: frame of its window's level-3 table,
export const HV_M2P_WIDE = 40; //   first frame of its 8-byte form,
export const HV_M2P_NARROW = 44; // ... of its 4-byte form
export const HV_IO = 48; //         blocks of the domains that stand for devices and for the hypervisor
export const HV_XEN = 52;
export const HV_DOMAINS = 56; //    domains there are
export const HV_XEN_SLOTS = 60; //  a table of XEN_SLOT rows, and how many
export const HV_XEN_SLOTS_USED = 68;
export const HV_COMPAT_SLOTS = 72; //likewise; -1 rows: those of the window
export const HV_COMPAT_SLOTS_USED = 80;
export const HV_LOST = 84; //       a table of LOST rows, and how many
export const HV_LOST_USED = 92;
export const HV_CLAIMED = 96; //    frames that are kept free for domains, all together
export const HV_GSIS = 100; //      interrupt lines of the machine's I/O APICs
export const HV_LOCK = 104; //      held by who is alone in the hypervisor; see lock.ts
export const HV_FORGET = 108; //    1 = a domain that is dead may have lost its last frame
export const HV_ACCOUNTS = 112; //  machines with several vCPUs: byte offset of a page for each, with HV_COUNTERS to HV_SHOOTDOWNS as here; 0 = all is counted here
export const HV_DIRECTORY = 128; // byte offsets of 32 pages, in each the byte offset of a domain's block for each of 1024 domain identifiers
export const HV_COUNTERS = 256; //  64-bit floating-point numbers: 16 counters, then for each hypercall how often it was done, and entered
export const HV_CALLS = 384;
export const HV_ENTRIES = 896;
export const HV_WORK = 1408; //     work by kind: how often, and its price; cycles by cause that no call was charged with yet
export const HV_PRICES = 1536;
export const HV_OPEN = 1664;
export const HV_CYCLES = 1696; //   cycles by cause of 68 accounts: hypercalls, and what else
export const HV_SHOOTDOWNS = 3872; //invalidations that other vCPUs were asked for, by 5 causes, then those that a look at the clock made unnecessary
export const HV_HEAP_LOCK = 3952; // see lock.ts
export const HV_LOST_LOCK = 3956;
export const HV_FREED_AT = 3960; // tick of HDR_FLUSH_CLOCK at which HV_FREED was set last
export const HV_BYTES = 3968;

export const HVB_LINEAR_PAGE_TABLES = 1;
export const HVB_LEAK_PARTIAL_TABLES = 2;
export const HVB_PV32 = 4;
export const HVB_SCRUB_DOMHEAP = 8;
export const HVB_CHECK_EACH_COPY = 16;
export const HVB_LEAK_PREEMPTED_TABLES = 32;

// A table that grows by pages, two words wherever it is kept:
export const TABLE_DIRECTORY = 0; //byte offset of a list of byte offsets of pages
export const TABLE_PAGES = 4; //    pages there are
export const TABLE_BYTES = 8;

// An entry that the hypervisor puts into every root table.
export const XEN_SLOT_INDEX = 0;
export const XEN_SLOT_LO = 4;
export const XEN_SLOT_HI = 8;
export const XEN_SLOT_BYTES = 16;

// References that nothing holds any more, as the real Xen loses them.
export const LOST_BY = 0; //        0 = leakPartialTables, 1 = shared compat table, 2 = leakPreemptedTables
export const LOST_MFN = 4;
export const LOST_REFS = 8;
export const LOST_TYPES = 12;
export const LOST_BYTES = 16;
