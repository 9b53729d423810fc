/**
 * Bits of the registers that control paging.
 *
 * Source: Intel SDM vol. 3A, "Control Registers"; vol. 4, "IA32_EFER"; vol. 3A, "Protection Keys"; vol. 1, "Control-Flow Enforcement".
 */
export const CR0_PE = 1 << 0;
export const CR0_MP = 1 << 1;
export const CR0_EM = 1 << 2;
export const CR0_TS = 1 << 3;
export const CR0_ET = 1 << 4; //  always 1
export const CR0_NE = 1 << 5;
export const CR0_WP = 1 << 16;
export const CR0_AM = 1 << 18;
export const CR0_NW = 1 << 29;
export const CR0_CD = 1 << 30;
export const CR0_PG = 1 << 31;
/** Bits that exist; the others of the low word read as 0 and are ignored when written. */
export const CR0_DEFINED =
  CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG;

export const CR4_PSE = 1 << 4;
export const CR4_PAE = 1 << 5;
export const CR4_PGE = 1 << 7;
export const CR4_LA57 = 1 << 12;
export const CR4_PCIDE = 1 << 17;
export const CR4_SMEP = 1 << 20;
export const CR4_SMAP = 1 << 21;
export const CR4_PKE = 1 << 22;
export const CR4_CET = 1 << 23;
export const CR4_PKS = 1 << 24;
/** Bits that do not concern paging and are accepted: VME PVI TSD DE MCE PCE OSFXSR OSXMMEXCPT UMIP VMXE SMXE FSGSBASE OSXSAVE. */
export const CR4_OTHER = 0x0005_6f4f;

export const CR3_LO_PCID = 0xfff; //      when CR4.PCIDE = 1; else bits 3 and 4 are PWT and PCD
export const CR3_HI_NOFLUSH = 1 << 31; // bit 63, when CR4.PCIDE = 1: keep cached translations

export const EFER_SCE = 1 << 0;
export const EFER_LME = 1 << 8;
export const EFER_LMA = 1 << 10; // read-only: LME and paging on
export const EFER_NXE = 1 << 11;
/** AMD's SVME, LMSLE, FFXSR and TCE: reserved on Intel processors, accepted and without effect on the walk by AMD's rules. */
export const EFER_AMD = (1 << 12) | (1 << 13) | (1 << 14) | (1 << 15);

