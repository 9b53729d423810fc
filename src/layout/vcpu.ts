// Byte offsets inside one vCPU block.

// Registers.
export const VCPU_CR0 = 0;
export const VCPU_CR3_LO = 4;
export const VCPU_CR3_HI = 8;
export const VCPU_CR4 = 12;
export const VCPU_EFER = 16;
export const VCPU_PKRU = 20;
export const VCPU_PKRS = 24;
export const VCPU_AC = 28; //        1 = EFLAGS.AC
export const VCPU_CR2_LO = 32;
export const VCPU_CR2_HI = 36;
export const VCPU_PDPTE = 40; //     PAE: four page-directory-pointer-table entry registers, 8 bytes each
export const VCPU_CS64 = 72; //      1 = CS.L, the code segment is 64-bit (matters to some control-register writes)

// What the registers mean for a walk; recomputed whenever one of them changes.
export const VCPU_MODE = 76; //      MODE_*
export const VCPU_RSVD_HI = 80; //   bits of the high word of an entry that must be 0
export const VCPU_RSVD_LO = 84; //   low words at levels 4 and 5 that must be 0 (PS, and bit 8 by AMD's rule)
export const VCPU_CTL = 88; //       CTL_*
export const VCPU_TAG_PCID = 92; //  current PCID and context as they stand in tags
export const VCPU_ROOT_LO = 96; //   physical address of the root table
export const VCPU_ROOT_HI = 100;

// What the processor can do; written once.
export const VCPU_FEATURES = 104; // FEAT_*
export const VCPU_PABITS = 108; //   MAXPHYADDR
export const VCPU_NODE = 112; //     NUMA node
export const VCPU_TIMED = 116; //    1 = timed mode, 0 = functional

// Where this vCPU's structures are.
export const VCPU_TLB_LEVELS = 120; // number of TLB levels
export const VCPU_PROBES = 124; //   byte offset of the probe lists, see PROBE_*
export const VCPU_ARRAYS = 128; //   number of TLB arrays, and a list of their byte offsets:
export const VCPU_ARRAY_LIST = 132; //... up to 16
export const VCPU_PSC = 196; //      byte offset of the PSC of entries at level 2 (PDE), 3, 4, 5; 0 = none; indexed by level - 2
export const VCPU_FAST = 212; //     byte offset of the fast table, 0 = none
export const VCPU_FAST_USED = 216; //what the fast table holds: FAST_USED, FAST_LARGE
export const VCPU_TLB_CYCLES = 220; //cycles of a hit at TLB level 1, 2, 3
export const VCPU_CACHES = 1220; //  byte offsets of up to 3 data-cache arrays; the third is shared by all vCPUs

// Scratch, not state: what the last single translation left behind. Undefined after a batch, whose results are in its columns.
//
// Results of the last translation:
export const VCPU_OUT_LO = 232; //   physical address
export const VCPU_OUT_HI = 236;
export const VCPU_OUT_SIZE = 240; // size code of the translation used (0, 1, 2)
export const VCPU_OUT_HIT = 244; //  TLB level that hit, 1 to 3; 0 = walked, or no paging
export const VCPU_OUT_START = 248; //level of the first entry the walk read
export const VCPU_OUT_REFS = 252; // entries the walk read; stale while VCPU_OUT_HIT is not 0
export const VCPU_OUT_CYCLES = 256;
export const VCPU_OUT_LEVEL = 260; //level of the leaf in the tables
export const VCPU_OUT_DATA_LO = 264; //the translation as TLB data, see tlb.ts
export const VCPU_OUT_DATA_HI = 268;
export const VCPU_OUT_GLOBAL = 272; //TAG_GLOBAL or 0
export const VCPU_OUT_FAULT = 276; //fault at which the last batch stopped

// ... and of the last walk: physical address of each entry read and its value, by level - 1.
export const VCPU_TRAIL_LO = 288;
export const VCPU_TRAIL_HI = 308;
export const VCPU_TRAIL_WORD = 328; //word index of the entry in machine memory, -1 if it has no bytes
export const VCPU_TRAIL_VALUE_LO = 348;
export const VCPU_TRAIL_VALUE_HI = 368;
export const VCPU_TRAIL_ACC = 388; // rights accumulated down to and including the entry
export const VCPU_SCRATCH = 232; //  first byte of all this, and the first after it:
export const VCPU_SCRATCH_END = 408;

// Memos: the entry of the first TLB level touched last, so that repeating the hit need not search. Three slots of 16 bytes: the linear address
// with bits 11:0 set (0 = none), then the entry: TLB data narrowed to the 4K frame of that address, without the bits of TLBD_HI_* above the
// address, and its size code at MEMO_SIZE_SHIFT of the high word.
export const VCPU_MEMO = 416;
export const VCPU_MEMO_OF = 464; //  for load, store, fetch: byte offset of the slot they use; that of the block = none: CR0 has no address's bits 11:0
export const MEMO_BYTES = 16;
export const MEMO_ENTRY = 8; //      offset of the entry in a slot
export const MEMO_SIZE_SHIFT = 28;

// An entry that no table holds any more, 0 = none: a run over the frame table leaves it where putting its references is not the common case.
export const VCPU_OWED = 408;
// 1 = the guest that it runs waits for an event: a thread that plays this vCPU sleeps on this word (Atomics.wait) until it is 0.
export const VCPU_WAITS = 412;

// Counters: 64-bit, low word first. See counter.ts.
export const VCPU_COUNTERS = 512;

// What a service needs of a TLB of the most usual shape, gathered from the arrays' headers: two levels, each of which holds 4K pages in one
// set-associative array of 4, 8 or 12 ways and a power of two sets, the first replaced by a tree in one word, the second by LRU; data accesses
// are not priced. Written once; 3 services.
export const VCPU_PLAIN = 1024;
export const PLAIN_BYTES = 64;
export const PLAIN_A = 0; //         byte offset of the first level's array, 0 = another shape
export const PLAIN_TAGS = 4; //      ... of its tags, data, replacement state, touch masks (not for LRU); its sets - 1 and ways
export const PLAIN_DATA = 8;
export const PLAIN_REPL = 12;
export const PLAIN_TOUCH = 16;
export const PLAIN_MASK = 20;
export const PLAIN_WAYS = 24;
export const PLAIN_NEXT = 28; //     the same seven words for the second level: PLAIN_NEXT + PLAIN_*
export const VCPU_PLAIN_PSC = 1232; // the caches of entries at level 2 and 3, where both are of 4 ways, LRU, and a power of two sets: five words each:
export const PSC_A = 0; //           byte offset of the array, 0 = another shape; of its tags, data and stamps; its sets - 1
export const PSC_TAGS = 4;
export const PSC_DATA = 8;
export const PSC_STAMPS = 12;
export const PSC_MASK = 16;
export const PSC_BYTES = 20;
// What a batch has done on that short way and not counted yet, 0 between batches: for each service, in steps of PLAIN_BYTES, three numbers:
export const VCPU_TALLY = 1472;
export const TALLY_SECOND = 0; //    hits of the second level
export const TALLY_SHORT = 4; //     walks that read one entry
export const TALLY_LONG = 8; //      ... two
export const VCPU_UNPLAIN = 1216; // what keeps accesses off that short way: UNPLAIN_*
export const UNPLAIN_LARGE = 1; //   an entry of a page larger than 4K may be held: set by fills, cleared when everything is dropped
export const UNPLAIN_KEYS = 2; //    protection keys are in force
export const UNPLAIN_NESTED = 4; //  a second stage is in force

// A hypercall and its five arguments, 8 bytes each, as a guest of the hypervisor leaves them in its registers; the result replaces the number.
export const VCPU_CALL = 1280;
export const VCPU_CALL_ARGS = 1288;
export const VCPU_SUBCALL = 1328; // the same for a call made by another one
export const VCPU_GUEST = 1408; //   byte offset of the block of the guest's vCPU that it runs (guest-vcpu.ts), 0 = none

// The second stage, see nested.ts:
export const VCPU_NEST = 1664; //    byte offset of the host block, 0 = none
export const VCPU_NESTED = 1668; //  1 = a second stage is in force

// Of a machine with several vCPUs (not in host blocks). Locks that this one holds or is about to take: how many, and their byte offsets in order.
export const VCPU_HELD = 1680;
export const VCPU_HELD_LOCKS = 1684;
export const HELD_MOST = 7;
export const VCPU_INSIDE = 1712; //  INSIDE, or INSIDE_ENDED
export const INSIDE = 1; //          in the hypervisor, beside others
export const INSIDE_ENDED = 2; //    its thread ended: no one is alone but who looks into what it left
export const VCPU_MAIL = 1728; //    its mailbox, see mailbox.ts

export const VCPU_TAG_GLOBAL = 2000; // TAG_GLOBAL and the current context, as they stand in tags of global entries

// Rights of an access, by (access & ACCESS_RIGHTS) >>> 1: 128 rows of 4 words.
export const VCPU_RIGHTS = 2048;
export const RIGHTS_NEED = 0; //     TLBD_* bits that must be set
export const RIGHTS_FORBID = 4; //   TLBD_* bits that must be clear
export const RIGHTS_PKEY_USER = 8; //bit k set = key k is refused on a user page
export const RIGHTS_PKEY_SUPER = 12; //... on a supervisor page
export const RIGHTS_STRIDE = 16;

export const VCPU_BYTES = 4096;

export const MODE_NONE = 0; //       paging off
export const MODE_FLAT = 1; //       paging off in a guest: guest-physical addresses, translated by the second stage
export const MODE_LEGACY = 2; //     32-bit paging
export const MODE_PAE = 3;
export const MODE_4LEVEL = 4;
export const MODE_5LEVEL = 5;

export const CTL_NXE = 1 << 0; //    EFER.NXE
export const CTL_PGE = 1 << 1; //    CR4.PGE
export const CTL_PSE = 1 << 2; //    4-MByte pages exist in 32-bit paging
export const CTL_FETCH_CODE = 1 << 3; // error codes tell fetches: (CR4.PAE and EFER.NXE) or CR4.SMEP

export const FEAT_PSE = 1 << 0;
export const FEAT_PAE = 1 << 1;
export const FEAT_PGE = 1 << 2;
export const FEAT_PSE36 = 1 << 3;
export const FEAT_NX = 1 << 4;
export const FEAT_PAGE1G = 1 << 5;
export const FEAT_LONG = 1 << 6;
export const FEAT_LA57 = 1 << 7;
export const FEAT_PCID = 1 << 8;
export const FEAT_INVPCID = 1 << 9;
export const FEAT_SMEP = 1 << 10;
export const FEAT_SMAP = 1 << 11;
export const FEAT_PKU = 1 << 12;
export const FEAT_PKS = 1 << 13;
export const FEAT_CET = 1 << 14;
export const FEAT_AMD = 1 << 15; //  vendor rules of AMD, else Intel's

// Probe lists: for each service (load, store, fetch) and TLB level, the arrays to search.
export const PROBE_LEVEL_BYTES = 32; //a count, then for size code 0, 1, 2 the byte offset of the array that holds it (0 = none)
export const PROBE_SIZE = 4; //      offset of the three array offsets within a level
export const PROBE_FILL = 16; //     for a leaf of size code 0, 1, 2: the size code to hold it as, -1 = not held
export const PROBE_SERVICE_BYTES = 96; //3 levels
export const PROBE_BYTES = 288; //   3 services
export const SERVICE_LOAD = 0;
export const SERVICE_STORE = 1;
export const SERVICE_FETCH = 2;
