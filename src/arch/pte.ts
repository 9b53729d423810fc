/**
 * Bits of paging-structure entries.
 *
 * A 64-bit entry is always handled as two 32-bit words, `lo` and `hi`. The 4-byte entries of 32-bit paging have the low word only.
 *
 * Source: Intel SDM vol. 3A, chapter "Paging", tables "Format of ..." of "32-Bit Paging", "PAE Paging" and
 *         "4-Level Paging and 5-Level Paging"; AMD APM vol. 2, "Page Translation and Protection".
 */

// Low word: bits 31:0.
export const PTE_P = 1 << 0; //    present
export const PTE_RW = 1 << 1; //   writable, ANDed over all levels
export const PTE_US = 1 << 2; //   user, ANDed over all levels
export const PTE_PWT = 1 << 3;
export const PTE_PCD = 1 << 4;
export const PTE_A = 1 << 5; //    accessed: set at every level that a translation used
export const PTE_D = 1 << 6; //    dirty: set in the leaf only
export const PTE_PS = 1 << 7; //   page size at levels 2 and 3; PAT at level 1; reserved at levels 4 and 5
export const PTE_G = 1 << 8; //    global, honoured in a leaf when CR4.PGE = 1
export const PTE_LO_ADDR = ~0xfff; // bits 31:12 of the physical address

// High word: bits 63:32.
export const PTE_HI_XD = 1 << 31; // bit 63: execute-disable, reserved when EFER.NXE = 0
export const PTE_HI_ADDR = 0xfffff; // bits 51:32 of the physical address
export const PTE_HI_PKEY_SHIFT = 27; // bits 62:59: protection key, in a leaf

// PAE page-directory-pointer-table entries: everything but P, PWT, PCD, bits 11:9 and the address is reserved.
export const PDPTE_LO_RESERVED = 0x1e6; // bits 2:1 and 8:5
// A 4-MByte leaf of 32-bit paging (PSE-36): bits 20:13 are address bits 39:32, bit 21 is reserved.
export const PDE4M_ADDR = ~0x3fffff;
export const PDE4M_HI_SHIFT = 13;
export const PDE4M_RESERVED = 1 << 21;

/** Index into the table of `level` (1 = page table ... 5 = PML5) for a linear address, with 8-byte entries. */
export function tableIndex(vaHi: number, vaLo: number, level: number): number {
  const shift = 3 + 9 * level; // 12, 21, 30, 39, 48
  return (shift < 32 ? (vaLo >>> shift) | (vaHi << (32 - shift)) : vaHi >>> (shift - 32)) & 0x1ff;
}
