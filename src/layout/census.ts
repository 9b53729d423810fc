// What a census of a trace's pages counts (src/trace/census.ts), in a memory of its own. Counts have 64 bits, the low word first.

export const CENSUS_NOW = 0; //           number of the current window of each size, + 1: 8 words
export const CENSUS_WINDOWS = 8;
export const CENSUS_KINDS = 64; //        accesses of each kind: 4 counts
export const CENSUS_WINDOW_PAGES = 128; //distinct pages, summed over the windows of each size: 8 counts

// Pages touched recently, direct-mapped by the page's number: rows of 16 bytes.
export const CENSUS_FILTER = 256;
export const CENSUS_FILTER_ROWS = 4096;
export const FILTER_TAG = 0; //           the address with bits 11:0 set, 8 bytes; 0 = none
export const FILTER_PAGE = 8; //          byte offset of the page's row

// Accesses to look at, as columns.
export const CENSUS_ACCESSES = 4096;
export const CENSUS_VA = CENSUS_FILTER + CENSUS_FILTER_ROWS * 16;
export const CENSUS_SIZE = CENSUS_VA + CENSUS_ACCESSES * 8;
export const CENSUS_KIND = CENSUS_SIZE + CENSUS_ACCESSES * 2;

// Pages in the order of their first touch: rows of 64 bytes, as many as the memory has room for.
export const CENSUS_PAGES = CENSUS_KIND + CENSUS_ACCESSES;
export const PAGE_TOUCHES = 0; //         loads, stores, fetches: 3 counts
export const PAGE_STAMPS = 32; //         the last window of each size that saw the page, as in CENSUS_NOW: 8 words
export const PAGE_ROW_BYTES = 64;
