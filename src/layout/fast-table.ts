/**
 * The fast table of a vCPU in functional mode: direct-mapped translations that a caller may probe inline.
 *
 * At `Vcpu.fastTable` (word VCPU_FAST of the vCPU block) stand FAST_CLASSES tables of FAST_TABLE_BYTES: FAST_READ, FAST_WRITE, FAST_FETCH,
 * then the same for user mode (+ FAST_USER). Each has FAST_ENTRIES rows of FAST_STRIDE bytes. The row of a linear address is number
 * (va >> 12) & (FAST_ENTRIES - 1). A hit is: the 64-bit word at FAST_TAG equals va & ~0xfff; then the physical address is the 64-bit word
 * at FAST_PA plus va & 0xfff. An empty row has tag FAST_EMPTY, which no page has. After a miss, call `access()`: it fills the row.
 *
 * Not for: an access that crosses a page (probe each part), an implicit supervisor or shadow-stack access, timed mode. Outside 64-bit
 * paging bits 63:32 of the address must be 0; with paging off the table stays empty. Every invalidation keeps it coherent.
 */
export const FAST_ENTRIES = 1024;
export const FAST_TAG = 0;
export const FAST_PA = 8;
export const FAST_STRIDE = 16;
export const FAST_READ = 0;
export const FAST_WRITE = 1;
export const FAST_FETCH = 2;
export const FAST_USER = 3; // added to one of the above
export const FAST_CLASSES = 6;
export const FAST_TABLE_BYTES = 16384; // FAST_ENTRIES * FAST_STRIDE
export const FAST_BYTES = 98304; //       FAST_CLASSES * FAST_TABLE_BYTES
export const FAST_EMPTY = 1;

// Bits of VCPU_FAST_USED.
export const FAST_USED = 1; //  the table is not empty
export const FAST_LARGE = 2; // ... and some row is part of a page larger than 4K
