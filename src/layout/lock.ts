// A lock is a word: 0, or who holds it.

export const HOLDER = 0xffff; //     a vCPU's number + 1, or
export const EMBEDDER = 0x7fff; //   a thread that plays none
export const WAITED = 1 << 16; //    someone may sleep until it is free

// The order in which locks are taken: of two of the same rank, that at the lower address first.
export const RANK_DOMAIN = 0; //     DOMAIN_LOCK: page tables of a domain, its vCPUs, its handles of grants
export const RANK_HYPERVISOR = 1; // HV_LOCK: alone in the hypervisor
export const RANK_GRANTS = 2; //     DOMAIN_GRANT_LOCK: what others use of what it grants
export const RANK_EVENTS = 3; //     DOMAIN_EVENT_LOCK: its queues of events
export const RANK_LOST = 4; //       HV_LOST_LOCK
export const RANK_HEAP = 5; //       HV_HEAP_LOCK: frames that become free, the hypervisor's own frames
export const RANK_MAIL = 6; //       MAIL_LOCK of a vCPU
