// What the tags and data of TLB and paging-structure-cache entries mean.
//
// Tag, low word: page number bits 31:0 (linear address >> 12, 21 or 30; for a PSC >> 21, 30, 39 or 48).
// Tag, high word: the other bits of the page number, and:
export const TAG_VPN_HI = 0x1fff; //        bits 44:32 of the page number
export const TAG_PCID_SHIFT = 13; //        PCID, 12 bits; 0 in a global entry
export const TAG_PCID = 0x1ffe000;
export const TAG_SIZE_SHIFT = 25; //        size code: 0 = 4K, 1 = 2M, 2 = 1G
export const TAG_SIZE = 0x6000000;
export const TAG_GLOBAL = 1 << 27;
export const TAG_CONTEXT = 7 << 28; //       whose translation: 0 = the host's, else a guest's, see layout/nested.ts
export const TAG_VALID = 1 << 31;

// Data, low word: bits 31:12 of the frame's address (of the table's, in a PSC), and the rights:
export const TLBD_XD = 1 << 0; //           ORed over all levels
export const TLBD_RW = 1 << 1; //           ANDed over all levels
export const TLBD_US = 1 << 2; //           ANDed over all levels
export const TLBD_SSTK = 1 << 3; //         shadow-stack page: leaf R/W = 0 and D = 1, R/W = 1 above
export const TLBD_NOFETCH = 1 << 4; //      the second stage forbids fetches
export const TLBD_NOREAD = 1 << 5; //       ... and reads (execute-only)
export const TLBD_D = 1 << 6; //            leaf D
export const TLBD_PKEY_SHIFT = 8; //        protection key, 4 bits
// Data, high word: bits 51:32 of the address, and:
export const TLBD_HI_ADDR = 0xfffff;
export const TLBD_HI_LEVEL_SHIFT = 20; //   level of the leaf in the tables: 1, 2, 3 (size of the page before fracturing)
export const TLBD_HI_4M = 1 << 23; //       the leaf is a 4-MByte page of 32-bit paging

// PSC data, low word: bits as above (XD, RW, US accumulated down to the entry).
