/**
 * Bits of EPT entries, of the EPT pointer and of exit qualifications; error-code bits of nested page faults.
 *
 * Source: Intel SDM vol. 3C, "The Extended Page Table Mechanism (EPT)" ("EPT Translation Mechanism", tables "Format of an EPT ..."),
 *         "Extended-Page-Table Pointer (EPTP)", "Exit Qualification for EPT Violations", "Basic VM-Exit Information" (exit reasons);
 *         AMD APM vol. 2, "Nested Table Walk", "Nested versus Guest Page Faults, Fault Ordering" and "SVM Intercept Codes".
 */

// An EPT entry, low word.
export const EPT_R = 1 << 0;
export const EPT_W = 1 << 1;
export const EPT_X = 1 << 2; //        fetches; with mode-based execute control those from supervisor-mode linear addresses
export const EPT_RWX = EPT_R | EPT_W | EPT_X;
export const EPT_MEMTYPE = 7 << 3; //  of a leaf; elsewhere reserved, with bit 6
export const EPT_MEMTYPE_SHIFT = 3;
export const EPT_IPAT = 1 << 6;
export const EPT_PS = 1 << 7;
export const EPT_A = 1 << 8; //        where the EPT pointer enables accessed and dirty flags
export const EPT_D = 1 << 9;
export const EPT_XU = 1 << 10; //      mode-based execute control: fetches from user-mode linear addresses
// High word.
export const EPT_HI_PW = 1 << 26; //   bit 58, of a leaf: as a guest's paging structure it may be written

// The EPT pointer, low word.
export const EPTP_MEMTYPE = 7;
export const EPTP_LEVELS_SHIFT = 3; // bits 5:3: levels - 1
export const EPTP_AD = 1 << 6;

// Exit qualification of an EPT violation.
export const EPTQ_READ = 1 << 0;
export const EPTQ_WRITE = 1 << 1;
export const EPTQ_FETCH = 1 << 2;
export const EPTQ_READABLE = 1 << 3; //  ANDed over the entries used
export const EPTQ_WRITABLE = 1 << 4;
export const EPTQ_EXECUTABLE = 1 << 5;
export const EPTQ_USER_EXECUTABLE = 1 << 6; // undefined, here 0, without mode-based execute control
export const EPTQ_LINEAR = 1 << 7; //    the guest linear-address field is valid
export const EPTQ_FINAL = 1 << 8; //     the access was to the translation of a linear address, not to a paging structure on the way
// With advanced exit information, where bits 7 and 8 are set: of the guest's translation.
export const EPTQ_USER_PAGE = 1 << 9;
export const EPTQ_WRITABLE_PAGE = 1 << 10;
export const EPTQ_XD_PAGE = 1 << 11;
export const EPTQ_SHADOW_STACK = 1 << 13;

// High word of the error code of a nested page fault (EXITINFO1); the low word is as of a #PF.
export const NPF_HI_FINAL = 1 << 0; // bit 32: while translating the final address
export const NPF_HI_TABLE = 1 << 1; // bit 33: while translating the address of a guest's table
