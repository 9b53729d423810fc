// A set-associative array with replacement: TLBs, paging-structure caches and data caches are all this.
//
//   header | tags: 8 bytes an entry | data: 8 bytes an entry (not in tag-only arrays) | replacement state
//
// Entry i is way i % ways of set i / ways. A tag with ARR_TAG_VALID clear in its high word is all zero: an empty entry.

export const ARR_SETS = 0;
export const ARR_WAYS = 4;
export const ARR_MASK = 8; //      sets - 1 if sets is a power of two, else -1
export const ARR_POLICY = 12; //   ARRP_*
export const ARR_TAGS = 16; //     byte offset of the tags in machine memory
export const ARR_DATA = 20; //     ... of the data, 0 in a tag-only array
export const ARR_REPL = 24; //     ... of the replacement state
export const ARR_CLOCK = 28; //    LRU: time of the last touch; random: xorshift32 state
export const ARR_LIVE = 32; //     valid entries by page size: 3 words (TLBs); word 0 counts all (others)
export const ARR_FRAGMENTS = 44; //1 = a fragment of a larger page may be held
export const ARR_REPL_WORDS = 48; //words of replacement state a set
export const ARR_HOLDS = 52; //    TLB: bit s set = holds pages of size code s
export const ARR_HINTS = 56; //    byte offset of the hints, 0 = none: where a tag was seen last, by its low bits; verified at every use
export const ARR_HINT_MASK = 60; //number of hints - 1
export const ARR_TOUCH = 64; //    tree-PLRU of up to 32 ways: byte offset of two words a way, bits of the set's word to keep and to set; else 0
export const ARR_CAPACITY = 68; // sets * ways
export const ARR_BYTES = 80;

export const ARRP_LRU = 0; //      state: a stamp per way
export const ARRP_TREE_PLRU = 1; //state: heap-ordered bits, node n at bit n - 1
export const ARRP_NRU = 2; //      state: a referenced bit per way
export const ARRP_RANDOM = 3; //   state: none

export const ARR_TAG_VALID = 1 << 31; // in the high word of every valid tag
