// The frame table: one row for each machine frame from 0 up to HDR_FRAME_LIMIT, at HDR_FRAME_TABLE. Names and meanings are those of Xen's
// struct page_info (xen/arch/x86/include/asm/mm.h), in 32-bit words, so that a type with its count changes by one compare-and-swap.

export const FRAME_TYPE = 0; //      type, PGT_* and type count
export const FRAME_VALIDATED = 4; // u16, of a page table in PGT_PARTIAL: entries validated so far, and FRAME_PARTIAL_SET
export const FRAME_LINEAR = 6; //    i16, of a page table: entries that refer to tables of its level, or minus the entries of such tables that refer to it
export const FRAME_STAMP = 4; //     with several vCPUs, of a frame that is no page table in use: tick of HDR_FLUSH_CLOCK at which a use of it ended last
export const FRAME_REFS = 8; //      general references; 0 = the frame is free
export const FRAME_OWNER = 12; //    u16: domain identifier
export const FRAME_FLAGS = 14; //    u16: PGC_*
export const FRAME_STRIDE = 16;

export const PGC_ALLOCATED = 1 << 0; //the owner has not given the frame back; a general reference goes with it
export const PGC_XEN_HEAP = 1 << 1; // the hypervisor's, shared with the owner
export const PGC_HELD = 1 << 2; // no one's and not free: on its way from one owner to the next
export const FRAME_PARTIAL_SET = 1 << 15;

// Type word. A type survives a count of 0; a page table loses PGT_VALIDATED then.
export const PGT_COUNT = 0xffffff;
export const PGT_PARTIAL = 1 << 24; // validated or devalidated in part; a general and the one type reference go with it
export const PGT_PAE_XEN_L2 = 1 << 25; //a level-2 table that holds the hypervisor's entries too
export const PGT_VALIDATED = 1 << 26;
export const PGT_PINNED = 1 << 27; // a general and a type reference go with it
export const PGT_LOCKED = 1 << 28; // an entry of this table is being changed; a type reference goes with it
export const PGT_TYPE_MASK = -0x20000000; // bits 31:29
export const PGT_L1_TABLE = 0x20000000;
export const PGT_L2_TABLE = 0x40000000;
export const PGT_SEG_DESC = -0x60000000;
export const PGT_WRITABLE = -0x20000000;

// The runs take a type count up to here and references up to FRAME_REFS_MOST + 1: one bit says whether a count is beyond.
export const PGT_COUNT_MOST = 0x800000;
export const FRAME_REFS_MOST = 0x40000000;

// Entry flags as one number, as in Xen: bits 11:0 are those of the entry, bits 23:12 are its bits 63:52.
export const FLAGS_LO = 0xfff;
export const FLAGS_HI = 0xfff000;
export const FLAG_GUEST_KERNEL = 1 << 12; // bit 52: a supervisor page of a 64-bit guest, which has U/S = 1 for the processor

// A request of the hypercall mmu_update: a machine address with a command in its low bits, and a value.
export const MMU_UPDATE_BYTES = 16;
export const MMU_NORMAL_PT_UPDATE = 0;
export const MMU_PT_UPDATE_PRESERVE_AD = 2; //  A and D of the old entry are ORed
export const MMU_PT_UPDATE_NO_TRANSLATE = 3; // as 0 for a guest that gives machine frames
