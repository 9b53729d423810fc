/**
 * Layout of `.pwt`, this project's compact trace format, version 1. Integers are little-endian; a varint has 7 bits a
 * byte, lowest first, the top bit set on all bytes but the last.
 *
 *   file    = MAGIC, version byte, block..., end
 *   block   = frame (type BLOCK), tokens, extras, events
 *   end     = frame (type END), nothing after it
 *   frame   = seven 32-bit words:
 *             0 type   1 accesses   2 events   3 bytes of tokens   4 bytes of extras   5 bytes of events
 *             6 CRC-32 of words 0 to 5 and the three sections
 *             in END: 1, 2 all accesses (low, high word)   3, 4 all events (low, high)   5 zero
 *   token   = run | miss << 4; run 15 is followed by a varint to add to it.
 *             `run` accesses came as the model predicted (pwt-model.ts), then one that `miss` says, 0 for none:
 *             miss = 1 + 5 * shape + address
 *             shape: 0 the model's first, 1 its second, 2 a varint `kind | size << 2` in the extras
 *             address: 0 to 3 the model's candidate, 4 a zigzag varint in the extras, to add to the model's base
 *   event   = pwt-event.ts
 *
 * The model learns from every access and is not reset between blocks.
 */

/** Starts with a byte that no text has; the line endings show a transfer in text mode, as PNG's do. */
export const MAGIC = Uint8Array.of(0x89, 0x50, 0x57, 0x54, 0x0d, 0x0a, 0x1a);
export const VERSION = 1;
export const HEADER_BYTES = MAGIC.length + 1;

export const FRAME_BYTES = 28;
/** "PWTB" and "PWTE". */
export const TYPE_BLOCK = 0x42545750;
export const TYPE_END = 0x45545750;

export const TYPE_AT = 0;
export const ACCESSES_AT = 4;
export const EVENTS_AT = 8;
export const TOKEN_BYTES_AT = 12;
export const EXTRA_BYTES_AT = 16;
export const EVENT_BYTES_AT = 20;
export const CRC_AT = 24;

/** Accesses and events in a block, at most. */
export const BLOCK_ACCESSES = 1 << 16;
export const BLOCK_EVENTS = 1 << 10;

/** Bytes of sections, at most: an access takes a token of its own, 3 bytes of shape and 10 of address at worst. */
export const TOKEN_LIMIT = BLOCK_ACCESSES * 2;
export const EXTRA_LIMIT = BLOCK_ACCESSES * 13;
export const EVENT_LIMIT = BLOCK_EVENTS * 512;
export const BLOCK_LIMIT = FRAME_BYTES + TOKEN_LIMIT + EXTRA_LIMIT + EVENT_LIMIT;

/** Runs that fit in a token; this one is followed by a varint. */
export const LONG_RUN = 15;

export const SHAPE_FIRST = 0;
export const SHAPE_SECOND = 1;
export const SHAPE_GIVEN = 2;
export const ADDRESS_CANDIDATES = 4;
export const ADDRESS_GIVEN = 4;
export const ADDRESS_CODES = 5;
