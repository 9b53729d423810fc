// What a census of a trace's pages counts (src/trace/page-counts.ts): beside a machine's state, not part of it. Offsets are from its base.
// Counts have 64 bits, the low word first.

export const CENSUS_DONE = 0; //          accesses
export const CENSUS_KINDS = 32; //        ... of each kind: 4 counts
export const CENSUS_WINDOW_PAGES = 64; // distinct pages, summed over the windows of each size: 8 counts
export const CENSUS_WINDOWS = 8;
export const CENSUS_WINDOW_SHIFT = 10; // log2 of the smallest window's accesses; each next one is larger by:
export const CENSUS_WINDOW_STEP = 2;

// Words that tell what to count of a block, where a trace's reader knows that: those of a segment follow each other, in the order of their accesses.
export const TOUCH_LAST = 0; //           number of words that follow this one; the last word is for the access behind the block, and counts nothing
export const TOUCH_NEXT = 4; //           byte offset of the word to go on with, while a block is counted, and then while it is made
export const TOUCH_WORDS = 8;
export const TOUCH_AT = 0x1ffff; //       the access, or the first of them
export const TOUCH_COUNT_SHIFT = 17; //   how many accesses of one page, all fetches if it is more than one: 6 bits
export const TOUCH_START = 1 << 31; //    the first word of a segment
export const TOUCH_LENGTH_MOST = 32; //   accesses of a segment

// Pages touched recently, direct-mapped by the page's number: rows of 16 bytes.
export const CENSUS_FILTER = 128;
export const CENSUS_FILTER_ROWS = 4096;
export const FILTER_TAG = 0; //           the page's address + the mark of the smallest window that saw it last, 8 bytes
export const FILTER_PAGE = 8; //          byte offset of the page's row in machine memory, 0 = none
export const CENSUS_MARKS = 4095; //      marks go round: 0 to 4094, and after each round all are:
export const CENSUS_UNMARKED = 4095; // from the start on: an empty row matches no address, 0 neither
export const CENSUS_BYTES = CENSUS_FILTER + CENSUS_FILTER_ROWS * 16;

// Pages: rows of 64 bytes.
export const PAGE_TOUCHES = 0; //         of each kind: 4 counts
export const PAGE_STAMPS = 32; //         number of the last window of each size that saw the page, + 1: 8 words
export const PAGE_ROW_BYTES = 64;
