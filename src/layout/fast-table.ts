// The fast table of a vCPU in functional mode: direct-mapped translations that a caller may probe inline.
//
// FAST_CLASSES tables one after another (FAST_READ, FAST_WRITE, FAST_FETCH, then the same for user mode), each of FAST_ENTRIES rows of
// 16 bytes. The row of a linear address is number (va >> 12) & (FAST_ENTRIES - 1). A hit is: the 64-bit word at FAST_TAG equals
// va & ~0xfff. Then the physical address is the 64-bit word at FAST_PA plus va & 0xfff. An empty row has tag 1, which no address has.

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
