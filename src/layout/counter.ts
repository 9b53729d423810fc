// Counters of a vCPU: 64-bit little-endian numbers at VCPU_COUNTERS + 8 * CNT_*.

export const CNT_SLOW = 0; //           translations that level 1 (or the fast table) did not answer, by service: load, store, fetch
export const CNT_HITS = 3; //           TLB hits: 3 levels x 3 services
export const CNT_MISS_SIZE = 12; //     misses by size code of the page found: 3 levels x 3 sizes
export const CNT_DEPTH = 22; //         walks by entries read: 0 to 5
export const CNT_FAULTS = 28; //        translations that ended in a fault
export const CNT_REF_HITS = 29; //      entries read by where they hit: data-cache level 1, 2, 3, memory
export const CNT_WALK_CYCLES = 34; //   fixed cost of walks (that of hits follows from their number)
export const CNT_LOAD_CYCLES = 35; //   loads of entries
export const CNT_DATA_CYCLES = 36; //   the accesses themselves
export const CNT_DATA_HITS = 37; //     data accesses by where they hit: 3 levels, memory
export const CNT_AD_SETS = 41; //       entries changed to set A or D
export const CNT_REMOTE = 42; //        loads from memory of another node
export const CNT_HOST_HITS = 43; //     host entries read by where they hit: 3 levels, memory
export const CNT_HYPERVISOR_CYCLES = 47; // work of a hypervisor for the guest that runs here
export const CNT_COUNT = 48;
