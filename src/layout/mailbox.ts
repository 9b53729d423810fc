// The mailbox of a vCPU, at VCPU_MAIL of its block: invalidations that others ask of it.

export const MAIL_LOCK = 0; //    see lock.ts
export const MAIL_POSTED = 4; //  invalidations that were asked for, ever,
export const MAIL_DONE = 8; //    ... and those of them that were done: a thread that waits for one sleeps on this word
export const MAIL_COUNT = 12; //  letters that are there; MAIL_LETTERS + 1: too many, everything is to be invalidated
export const MAIL_RUN = 16; //    RUN_*: who may use what the vCPU has cached
export const MAIL_FLUSHED = 20; //tick of HDR_FLUSH_CLOCK at which everything was invalidated last
export const MAIL_LEFT = 24; //   1 = a thread ended that was at what the vCPU has cached: all that is to go, whatever letters say
export const MAIL_FIRST = 32; //  the first letter
export const MAIL_LETTERS = 8;

export const RUN_QUIET = 0; //    no thread plays it, or that one sleeps: whoever wants something invalidated does it himself
export const RUN_PLAYED = 1; //   a thread does, and looks into the mailbox by and by
export const RUN_CLAIMED = 2; //  someone else is at it; above, from bit 8 up, who: as in a lock

// A letter.
export const LETTER_SCOPE = 0; // SCOPE_*
export const LETTER_ID = 4; //    PCID, VPID, ASID
export const LETTER_HI = 8; //    linear address
export const LETTER_LO = 12;
export const LETTER_PAGES = 16;
export const LETTER_BYTES = 24;

export const SCOPE_EVERYTHING = 1; // of the vCPU's current context, global translations too
export const SCOPE_NON_GLOBAL = 2;
export const SCOPE_PCID = 3; //      one PCID, without global translations
export const SCOPE_PAGES = 4; //     4K pages from an address up, global and of the current PCID, as INVLPG does
export const SCOPE_PCID_PAGES = 5; //... of one PCID, as INVPCID does
export const SCOPE_VPID = 6; //      all that a VPID has
export const SCOPE_VPID_PAGES = 7;
export const SCOPE_ASID = 8;
