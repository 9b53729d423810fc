// A domain's block, a page. Tables are as in hypervisor.ts; frames are machine frame numbers.

export const DOMAIN_ID = 0;
export const DOMAIN_IS32 = 4;
export const DOMAIN_PRIVILEGED = 8;
export const DOMAIN_MAX_PAGES = 12;
export const DOMAIN_TOTAL_PAGES = 16;
export const DOMAIN_XEN_PAGES = 20;
export const DOMAIN_DYING = 24;
export const DOMAIN_DEAD = 28;
export const DOMAIN_ASSISTS = 32; //     bits VMASST_TYPE_* below 32
export const DOMAIN_M2P_STRICT = 36;
export const DOMAIN_SHARED_INFO = 40; // -1 = none
export const DOMAIN_SHUTDOWN_CODE = 44; //-1 = none
export const DOMAIN_SHUT_DOWN = 48;
export const DOMAIN_MAX_VCPUS = 52;
export const DOMAIN_COMPAT_START = 56;
export const DOMAIN_MAX_EVENT_PORT = 60;
export const DOMAIN_PIRQS = 64; //       physical interrupts it has numbers for
export const DOMAIN_VCPUS = 68; //       vCPUs that were started
export const DOMAIN_VCPU_TABLE = 72; //  table of GUEST blocks
export const DOMAIN_IOMEM = 80; //       table of ranges, and how many
export const DOMAIN_IOMEM_USED = 88;
export const DOMAIN_MEMORY_MAP = 92; //  byte offset of its pages, and bytes used
export const DOMAIN_MEMORY_MAP_BYTES = 96;

// Its grant table.
export const DOMAIN_GRANT_MAX_FRAMES = 100;
export const DOMAIN_GRANT_MAX_VERSION = 104;
export const DOMAIN_GRANT_VERSION = 108;
export const DOMAIN_GRANT_V2_USES = 112; //uses in progress of grants that only version 2 can express
export const DOMAIN_GRANT_LIST = 116; //  byte offset of a list: DOMAIN_GRANT_MAX_FRAMES frames of entries, then those of their status
export const DOMAIN_GRANT_FRAMES = 120; //of these, how many
export const DOMAIN_STATUS_FRAMES = 124;
export const DOMAIN_ACTIVE = 128; //      table of ACTIVE rows
export const DOMAIN_MAPTRACK = 136; //    table of MAPTRACK rows
export const DOMAIN_MAPTRACK_LIMIT = 144;//handles there are,
export const DOMAIN_MAPTRACK_MOST = 148; //... and may be

// Its event channels.
export const DOMAIN_PORTS = 152; //       table of PORT rows
export const DOMAIN_PORTS_VALID = 160; // ports below this exist
export const DOMAIN_PIRQ_TABLE = 164; //  table of words: the port of each physical interrupt, 0 = none
export const DOMAIN_FIFO = 172; //        1 = the FIFO format is in use
export const DOMAIN_FIFO_FRAMES = 176; // frames of the event array
export const DOMAIN_SERIAL = 180; //      differs from that of every other domain that was ever there
export const DOMAIN_NEXT_RESET = 184; //  where a reset of event channels that was preempted goes on, 0 = none is under way
export const DOMAIN_CLAIMED = 188; //     frames that are kept free for it
export const DOMAIN_TEARDOWN_STAGE = 192; //how far its end has come
export const DOMAIN_TEARDOWN_FROM = 196;
export const DOMAIN_EOI_FRAME = 200; //   frame in which it sees which physical interrupts have to be ended, -1 = none; and whether the end unmasks
export const DOMAIN_EOI_UNMASKS = 204;
export const DOMAIN_SHARED_AT = 208; //   byte offset of the bytes of DOMAIN_SHARED_INFO, 0 = none
export const DOMAIN_LOCK = 256; //        see lock.ts; each in a line of caches of its own
export const DOMAIN_GRANT_LOCK = 320;
export const DOMAIN_EVENT_LOCK = 384;
export const DOMAIN_FIFO_LIST = 512; //   up to 128 of them

export const DOMAIN_CRASHED = 1024; //    characters of the reason why it was stopped, then a byte each
export const DOMAIN_CRASHED_TEXT = 1028;
export const CRASHED_MOST = 252;

export const DOMAIN_BYTES = 4096;

// A range of frames that are no memory: two 64-bit floating-point numbers.
export const IOMEM_FIRST = 0;
export const IOMEM_LAST = 8;
export const IOMEM_BYTES = 16;
