// The second stage of translation: guest-physical to machine addresses.
//
// A vCPU that can run guests has a host block, of the shape of a vCPU block (vcpu.ts): its registers, rights, TLBs, PSCs, trail and counters
// are those of the second stage, where a guest-physical address stands for a linear one. Beyond these, in the host block:

export const NEST_FORMAT = 1672; //   NEST_EPT, NEST_NPT; 0 = no second stage is in force
export const NEST_CTL = 1676; //      NESTC_*
export const NEST_ID = 1680; //       VPID or ASID
export const NEST_REFS = 1684; //     byte offset of the list of references, and how many rows the last walk filled
export const NEST_REF_COUNT = 1688;
// Why the guest was left: EXITINFO1 or the exit qualification, and the guest-physical address.
export const NEST_EXIT_LO = 1692;
export const NEST_EXIT_HI = 1696;
export const NEST_EXIT_GPA_LO = 1700;
export const NEST_EXIT_GPA_HI = 1704;
export const NEST_HITS = 1748; //     lookups of the last walk that the second stage's TLB answered
// Guest-physical address of each guest entry of the last walk, by level - 1, and the second stage's rights to it, 0 = not looked up.
export const NEST_GPA_LO = 1708;
export const NEST_GPA_HI = 1728;
export const NEST_RIGHTS = 1752;

// Contexts: seven of the vCPU's linear addresses, by VPID and root (or ASID), then seven of guest-physical addresses, by root (or ASID). A
// context's number, from 1, is in the tags of what is cached for it; the one used longest ago makes way for a new one.
export const NEST_LINEAR = 1776;
export const NEST_PHYSICAL = 1888;
export const NEST_CONTEXTS = 7;
export const CTX_BYTES = 16;
export const CTX_ID = 0; //           VPID or ASID; format in bit 16 and up
export const CTX_ROOT_LO = 4; //      EPT: bits 51:12 of the EPT pointer
export const CTX_ROOT_HI = 8;
export const CTX_STAMP = 12; //       when it was entered last, 0 = free

export const NEST_EPT = 1;
export const NEST_NPT = 2;

export const NESTC_AD = 1 << 0; //    EPT: accessed and dirty flags
export const NESTC_XO = 1 << 1; //    EPT: execute-only translations are supported
export const NESTC_MBE = 1 << 2; //   EPT: mode-based execute control
export const NESTC_PW = 1 << 3; //    EPT: paging-write control
export const NESTC_INFO = 1 << 4; //  EPT: advanced exit information

// A row of the list of references, 24 bytes: what a walk read, in order.
export const REF_GUEST = 0; //        level of the guest entry that is read or whose table is sought; 0 = the page itself is sought
export const REF_HOST = 4; //         level of the second-stage entry, 0 = the guest's own entry
export const REF_PA_LO = 8; //        machine address, and value
export const REF_PA_HI = 12;
export const REF_VALUE_LO = 16;
export const REF_VALUE_HI = 20;
export const REF_BYTES = 24;
export const REF_MOST = 36; //        five guest levels of five entries and their own, five for the page: 35

// Rights of the second stage as TLB data: the bits of the first, read so:
export const HOSTD_NX = 1 << 0; //    EPT: no fetches (with mode-based execute control: from supervisor-mode linear addresses)
export const HOSTD_W = 1 << 1;
export const HOSTD_R = 1 << 2; //     NPT: user
export const HOSTD_NXU = 1 << 4; //   EPT: no fetches from user-mode linear addresses
export const HOSTD_TW = 1 << 5; //    EPT: as a guest's paging structure it may be written

