// Byte offsets in the header at offset 0 of machine memory.

export const MAGIC_VALUE = 0x6b6c7770; // 'pwlk'
export const LAYOUT_VERSION = 16;

export const HDR_MAGIC = 0;
export const HDR_VERSION = 4;
export const HDR_BYTES_USED = 8; //    end of the last region, in 64 KiB pages
export const HDR_VCPUS = 12; //        number of vCPU blocks
export const HDR_VCPU_BASE = 16; //    byte offset of the first
export const HDR_EXTENTS = 20; //      number of extents in use
export const HDR_EXTENT_BASE = 24; //  byte offset of the first extent row
export const HDR_OPEN_BUS = 28; //     a word of bytes read where nothing answers
export const HDR_DATA_CACHES = 32; //  number of data-cache levels
export const HDR_CACHE_CYCLES = 48; // load-to-use cycles of up to 3 levels
export const HDR_MEMORY_CYCLES = 60; //load-to-use cycles of local memory
export const HDR_REMOTE_CYCLES = 64; //added per local distance (10) beyond local
export const HDR_LINE_SHIFT = 68; //   log2 of the line size
export const HDR_WALK_CYCLES = 72; //  fixed cost of a walk
export const HDR_NODES = 76; //        NUMA nodes, 1 to 8
export const HDR_DISTANCE = 80; //     8 x 8 bytes, SLIT units (10 = local)
export const HDR_ATOMIC = 144; //      1 = entries change by compare-and-swap
export const HDR_HOST_LEVEL = 148; //  largest leaf level that the host backs: 1 = 4K, 2 = 2M, 3 = 1G
export const HDR_DATA = 152; //        1 = data accesses are priced too
export const HDR_HOST = 156; //        1 = a host that scatters 4K frames, see cost/host-model.ts
export const HDR_HOST_CYCLES = 160; // its fixed cost per host entry of a walk
export const HDR_LOW_FRAMES = 164; // frames from address 0 up that have bytes, 0 if frame 0 has none; and the byte offset of frame 0:
export const HDR_LOW_BYTES = 168;
export const HDR_FRAME_TABLE = 172; // byte offset of the frame table, 0 = none; see frame.ts
export const HDR_FRAME_LIMIT = 176; // frames it has rows for
export const HDR_HYPERVISOR = 180; //byte offset of the hypervisor's block, 0 = none; see hypervisor.ts
export const HDR_BROKEN = 184; //  characters of the reason why the machine can go on no more, 0 = it can; then a byte each:
export const HDR_BROKEN_TEXT = 188;
export const BROKEN_MOST = 244;
export const HDR_FLUSH_CLOCK = 512; // ticks with each invalidation of everything; 0 = it has ended, and tells nothing any more
export const HDR_PLAN = 516; //       tells machines apart that were made with other options: fingerprint() of memory/plan.ts
export const HDR_BYTES = 4096;
