// What the model of `.pwt` traces (src/trace/pwt-model.ts) has learned: byte offsets from where it is, and room for a block that is
// read or written. A segment is a run of accesses that recurs as a whole; its slots are its data accesses.

// The state, all zero at first. Places in the history are from 0; where 0 must mean none, they are stored plus one.
export const PWT_SEGMENTS = 0; //     segments known; they are numbered from 1
export const PWT_USED = 4; //         their accesses
export const PWT_SLOTS = 8; //        their slots
export const PWT_HERE = 12; //        place in the history of the next segment
export const PWT_DATA_HERE = 16; //   ... of its first data address
export const PWT_MATCH = 20; //       place of the segment that is foreseen, + 1; 0 = none
export const PWT_CONTEXT = 24; //     the last three segments, hashed
export const PWT_BEFORE = 28; //      the last segment
export const PWT_PATH = 32; //        byte offset of the data addresses that the current segment may repeat
export const PWT_LAST = 40; //        the last data address, 8 bytes
export const PWT_REGIONS = 64; //     the last data address in each region of 1 MiB, hashed: 8 bytes each
export const PWT_REGION_BITS = 6;

export const PWT_FOLLOWERS = 1024; // place in the history after each context, + 1: 4 bytes each
export const PWT_FOLLOWER_BITS = 16;
export const PWT_FOLLOWERS_BYTES = 4 << PWT_FOLLOWER_BITS;
export const PWT_HISTORY = PWT_FOLLOWERS + PWT_FOLLOWERS_BYTES; // a ring: segment and byte offset of its data addresses
export const PWT_HISTORY_SEGMENTS = 65536;
export const PWT_DATA = PWT_HISTORY + PWT_HISTORY_SEGMENTS * 8; // a ring: data addresses, those of a segment in one piece
export const PWT_DATA_ADDRESSES = 131072;

// A segment: a row of 32 bytes. Row 0 is that of no segment.
export const PWT_SEGMENT_ROWS = PWT_DATA + PWT_DATA_ADDRESSES * 8;
export const PWT_SEGMENT_MOST = 32767;
export const PWT_SEGMENT_SHIFT = 5;
export const SEG_AT = 0; //      its first access in the columns of known accesses
export const SEG_LENGTH = 4; //  accesses, 1 to PWT_LENGTH_MOST
export const SEG_SLOT = 8; //    its first slot
export const SEG_SLOTS = 12; //  their number
export const SEG_RECENT = 16; // place in the history after the last time it came, + 1
export const SEG_TOGETHER = 20; // its fetches if they are in one page and one is its first access, else 0
export const SEG_END = 24; //    end of its last fetch, or of the last one before it: 8 bytes
export const PWT_LENGTH_MOST = 32;

// Columns of the accesses of known segments. A data access has its address in the slot.
export const PWT_KNOWN_MOST = 262144;
export const PWT_KNOWN_ROOM = PWT_KNOWN_MOST + PWT_LENGTH_MOST;
export const PWT_KNOWN_VA = PWT_SEGMENT_ROWS + PWT_SEGMENT_MOST * 32 + 32;
export const PWT_KNOWN_SIZE = PWT_KNOWN_VA + PWT_KNOWN_ROOM * 8;
export const PWT_KNOWN_KIND = PWT_KNOWN_SIZE + PWT_KNOWN_ROOM * 2;

// A slot: a row of 32 bytes. The next address is foreseen as a word of 8 bytes + a distance.
export const PWT_SLOT_ROWS = PWT_KNOWN_KIND + PWT_KNOWN_ROOM;
export const PWT_SLOT_MOST = 131072;
export const PWT_SLOT_SHIFT = 5;
export const SLOT_AT = 0; //       its access in the segment
export const SLOT_FROM = 4; //     byte offset of that word; 0 = the address in the history where the path is followed
export const SLOT_DISTANCE = 8; // 8 bytes
export const SLOT_LAST = 16; //    its last address, 8 bytes
export const SLOT_REGION = 24; //  byte offset of its region's last address
export const SLOT_SHAPE = 28; //   size | kind << 16

/** Modes: what a slot's next address is foreseen from. */
export const MODE_REGION = 0; //   the last address in its region (stack, records)
export const MODE_OWN = 1; //      its own last address (arrays, variables)
export const MODE_LAST = 2; //     the last data address (pointers)
export const MODE_PATH = 3; //     the address where the path is followed (repeated calls)

// A block: its accesses as columns, with room for a whole segment behind the last; and its sections as in the file.
export const PWT_BLOCK_ACCESSES = 65536;
export const PWT_BLOCK_ROOM = PWT_BLOCK_ACCESSES + PWT_LENGTH_MOST;
export const PWT_BLOCK_VA = PWT_SLOT_ROWS + PWT_SLOT_MOST * 32;
export const PWT_BLOCK_SIZE = PWT_BLOCK_VA + PWT_BLOCK_ROOM * 8;
export const PWT_BLOCK_KIND = PWT_BLOCK_SIZE + PWT_BLOCK_ROOM * 2;
/** Bytes of each section of a block of as many accesses as can be, at most. */
export const PWT_PATHS_MOST = PWT_BLOCK_ACCESSES * 4 + 16;
export const PWT_MISSES_MOST = PWT_BLOCK_ACCESSES * 2 + 16;
export const PWT_SHAPES_MOST = PWT_BLOCK_ACCESSES * 5;
export const PWT_ADDRESSES_MOST = PWT_BLOCK_ACCESSES * 10;
// ... or what they touch (census.ts).
export const PWT_BLOCK_TOUCHES = PWT_BLOCK_KIND + PWT_BLOCK_ROOM;
export const PWT_TOUCHES = PWT_BLOCK_ACCESSES + 2; // rows, with the first and the last one
export const PWT_SECTIONS = PWT_BLOCK_TOUCHES + PWT_TOUCHES * 16;
export const PWT_BYTES = PWT_SECTIONS + PWT_PATHS_MOST + PWT_MISSES_MOST + PWT_SHAPES_MOST + PWT_ADDRESSES_MOST;

// Of the paths: what comes instead of the segment that was foreseen.
export const PATH_NEW = 0; //      a segment not yet known; else its number
// Of the misses: code | run << MISS_RUN_SHIFT, a long run with a varint to add.
export const MISS_RUN_SHIFT = 3;
export const MISS_LONG_RUN = 31;
export const MISS_NONE = 0; //     nothing after the run, which ends the block
export const MISS_PATH = 1; //     the address where the path is followed
export const MISS_GIVEN = 2; //    + MODE_*: the address is given, relative to the slot's last; the mode is the next one's
// Of the shapes: a byte an access; below SHAPE_DATA it is the size of a fetch.
export const SHAPE_DATA = 16; //   + 8 * (0 load, 1 store, 2 modify) + log2 of 1 to 32 bytes
export const SHAPE_OTHER = 255; // then a varint: kind | size << 2
export const SHAPE_DATA_SIZES = 6;

export const PWT_GOLDEN = 0x9e3779b1; // 2^32 / golden ratio: spreads what it multiplies
export const PWT_CONTEXT_SHIFT = 11; // bits that each segment moves the earlier ones in a context
export const PWT_REGION_SHIFT = 20; // log2 of a region's bytes
