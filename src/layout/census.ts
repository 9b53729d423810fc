// What a census of a trace's pages counts (src/trace/page-counts.ts): beside a machine's state, not part of it. Offsets are from its base.
// Counts have 64 bits, the low word first.

export const CENSUS_DONE = 0; //          accesses
export const CENSUS_KINDS = 32; //        ... of each kind: 4 counts
export const CENSUS_WINDOW_PAGES = 64; // distinct pages, summed over the windows of each size: 8 counts
export const CENSUS_WINDOWS = 8;
export const CENSUS_WINDOW_SHIFT = 10; // log2 of the smallest window's accesses; each next one is larger by:
export const CENSUS_WINDOW_STEP = 2;

// What a block of a trace touches, in the order of its accesses, in place of columns: rows of 16 bytes. All fetches of a segment that are in one page
// may be one row, which then stands where the first of them is; but none reaches over the edge of a smallest window. The first row is the number of rows behind it.
export const TOUCH_VA = 0; //             linear address, 8 bytes; of more than one access, that of any
export const TOUCH_WORD = 8; //           the access, and how many they are: 6 bits. The last row is for the access behind the block
export const TOUCH_AT = 0x1ffff;
export const TOUCH_COUNT_SHIFT = 17;
export const TOUCH_SIZE = 12; //          bytes of the access, 2 bytes; 1 if they are more than one
export const TOUCH_KIND = 14; //          load, store, fetch or modify
export const TOUCH_BYTES = 16;

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
