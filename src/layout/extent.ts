// One row of the extent table: a range of machine frames. Rows are sorted by base and do not overlap.

export const EXT_BASE_LO = 0; //   first frame, low 32 bits
export const EXT_BASE_HI = 4; //   ... and bits 39:32
export const EXT_FRAMES = 8; //    frames, low 32 bits
export const EXT_FRAMES_HI = 12; //... and bits 39:32
export const EXT_KIND = 16; //     EXTK_*
export const EXT_NODE = 20; //     NUMA node
export const EXT_WORD = 24; //     backed: word index of the first frame in machine memory
export const EXT_ID = 28; //       number given by the machine: finds MMIO handlers
export const EXT_STRIDE = 32;
export const EXT_MAX = 64;

export const EXTK_BACKED = 1; //   RAM with bytes
export const EXTK_UNBACKED = 2; // RAM without bytes: reads 0, writes are dropped
export const EXTK_MMIO = 3; //     callbacks
