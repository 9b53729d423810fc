// What a domain's grant table is used for, as the hypervisor keeps it.

// An active entry, by reference.
export const ACTIVE_PIN = 0; //        GNTPIN_*
export const ACTIVE_DOMID = 4; //      domain that uses it
export const ACTIVE_MFN = 8;
export const ACTIVE_START = 12; //     bytes of the frame that may be used
export const ACTIVE_LENGTH = 16;
export const ACTIVE_SUB_PAGE = 20; //  1 = part of a page, or another domain's grant
export const ACTIVE_TRANS_DOMID = 24;
export const ACTIVE_TRANS_REF = 28;
export const ACTIVE_BYTES = 32;

// A mapping of another domain's grant, by handle.
export const MAPTRACK_REF = 0; //      of a free handle: the next one
export const MAPTRACK_FLAGS = 4; //    GNTMAP_*, 16 bits; 0 = not in use
export const MAPTRACK_DOMID = 8;
export const MAPTRACK_VCPU = 12; //    in whose list it is when it is free
export const MAPTRACK_BYTES = 16;
