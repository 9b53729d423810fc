/**
 * Exceptions of a translation, and how an access is described.
 *
 * Source: Intel SDM vol. 3A, "Page-Fault Exceptions" and figure "Page-Fault Error Code"; "Interrupt 14 - Page-Fault Exception (#PF)";
 *         vol. 1, "Canonical Addressing".
 */
export const PFEC_P = 1 << 0; //    0 = no translation, 1 = translation found but refused
export const PFEC_W = 1 << 1; //    write
export const PFEC_U = 1 << 2; //    user-mode access
export const PFEC_RSVD = 1 << 3; // reserved bit set in an entry
export const PFEC_I = 1 << 4; //    instruction fetch
export const PFEC_PK = 1 << 5; //   protection key
export const PFEC_SS = 1 << 6; //   shadow-stack access

/**
 * An access is described with the error-code bits it would report, so the code of a refused access is
 * `access & ACCESS_CODE | PFEC_P`. Bits above the code say what else the rules need to know.
 */
export const ACCESS_READ = 0;
export const ACCESS_WRITE = PFEC_W;
export const ACCESS_USER = PFEC_U; //            CPL = 3 and not implicit
export const ACCESS_FETCH = PFEC_I;
export const ACCESS_SHADOW_STACK = PFEC_SS; //   CET: made by CALL, RET, WRSS, ...
export const ACCESS_IMPLICIT = 1 << 7; //        supervisor access to a system structure (GDT, TSS, ...): SMAP ignores EFLAGS.AC
export const ACCESS_STACK = 1 << 8; //           through SS, or by PUSH, CALL, ...: #SS instead of #GP when not canonical
/** Bits of an access that its error code repeats. */
export const ACCESS_CODE = PFEC_W | PFEC_U | PFEC_I | PFEC_SS;
/** Bits that choose the rights of an access; `(access & ACCESS_RIGHTS) >>> 1` is the row of the vCPU's rights table. */
export const ACCESS_RIGHTS = ACCESS_CODE | ACCESS_IMPLICIT;
/** All bits that describe an access. */
export const ACCESS_ALL = ACCESS_RIGHTS | ACCESS_STACK;

/** A fault as one number: `vector << 16 | error code`; 0 is no fault. */
export const FAULT_NONE = 0;
export const FAULT_UD = 6 << 16;
export const FAULT_SS = 12 << 16;
export const FAULT_GP = 13 << 16;
export const FAULT_PF = 14 << 16;
// Exits from a guest to its hypervisor, above every vector; what they say more is in the host block, see layout/nested.ts.
export const EXIT_NPF = 0x100 << 16; //           AMD: nested page fault
export const EXIT_EPT_VIOLATION = 0x101 << 16; // Intel
export const EXIT_EPT_MISCONFIG = 0x102 << 16;

export const faultVector = (fault: number): number => fault >>> 16;
export const faultCode = (fault: number): number => fault & 0xffff;
