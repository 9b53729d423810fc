/**
 * Layout of `.pwt`, this project's compact trace format, version 2. Integers are little-endian; a varint has 7 bits a
 * byte, lowest first, the top bit set on all bytes but the last.
 *
 *   file      = MAGIC, version byte, block..., end
 *   block     = frame (type BLOCK), paths, misses, shapes, addresses, events
 *   end       = frame (type END), nothing after it
 *   frame     = nine 32-bit words:
 *               0 type   1 accesses   2 events   3 to 7 bytes of each section
 *               8 CRC-32 of words 0 to 7 and the sections
 *               in END: 1, 2 all accesses (low, high word)   3, 4 all events (low, high)   5 to 7 zero
 *   paths     = run, (segment, run)...
 *               as many segments as the run says came as the model foresaw (pwt-model.ts), then this one, a number from 1; 0: a new one
 *   misses    = for data accesses of known segments: byte code | run << 3; run 31 is followed by a varint to add to it.
 *               as many addresses as the run says came as foreseen, then one that the code says:
 *               0 none, the block ends   1 that of the path followed   2 + mode given, and foreseen in this mode (MODE_*) from now on
 *   shapes    = of new segments: byte length (1 to 32), then for each access: 1 to 15 a fetch of as many bytes;
 *               16 + 8 * (0 load, 1 store, 2 modify) + log2 (0 to 5) of the bytes; 255 and a varint `kind | size << 2`
 *   addresses = zigzag varints of 64 bits, to be added:
 *               of a new segment that begins with a fetch, to where the last fetch ended (other fetches follow each other);
 *               of its data accesses, to the last data address; given ones, to the last address of the same access of the segment
 *   events    = pwt-event.ts
 *
 * A block without accesses has none of the first four sections. The model learns from every access and is not reset between blocks. All
 * codes are in src/layout/pwt.ts, which both engines read.
 */
import {
  PWT_ADDRESSES_MOST, PWT_BLOCK_ACCESSES, PWT_MISSES_MOST, PWT_PATHS_MOST, PWT_SHAPES_MOST,
} from '../layout/pwt.ts';

/** Starts with a byte that no text has; the line endings show a transfer in text mode, as PNG's do. */
export const MAGIC = Uint8Array.of(0x89, 0x50, 0x57, 0x54, 0x0d, 0x0a, 0x1a);
export const VERSION = 2;
export const HEADER_BYTES = MAGIC.length + 1;

export const FRAME_BYTES = 36;
/** "PWTB" and "PWTE". */
export const TYPE_BLOCK = 0x42545750;
export const TYPE_END = 0x45545750;

export const TYPE_AT = 0;
export const ACCESSES_AT = 4;
export const EVENTS_AT = 8;
export const SECTIONS_AT = 12;
export const CRC_AT = 32;
/** Of END. */
export const ALL_EVENTS_AT = 12;

/** Events in a block, at most, and their bytes. */
export const BLOCK_EVENTS = 1 << 10;
const EVENT_LIMIT = BLOCK_EVENTS * 512;

/** Sections in their order, and the bytes of each, at most. */
export const SECTIONS = [
  ['paths', PWT_PATHS_MOST], ['misses', PWT_MISSES_MOST], ['shapes', PWT_SHAPES_MOST], ['addresses', PWT_ADDRESSES_MOST], ['events', EVENT_LIMIT],
] as const;
export const BLOCK_LIMIT = SECTIONS.reduce((sum, [, most]) => sum + most, FRAME_BYTES);
export const BLOCK_ACCESSES = PWT_BLOCK_ACCESSES;
