/**
 * The hash of pages: 64 bits, the same from both engines, not cryptographic.
 *
 * step(x, m) = y ^ (y >>> 15) with y = x * m mod 2^32. A page is 1024 little-endian words; word i belongs to lane i % 16. Each lane has two
 * states, which begin as HASH_SEED + the lane's number, and for each of its words w in order become step(state ^ w, m) with m = HASH_LO for
 * the one and HASH_HI for the other. The two halves of the hash begin as 0, and at the end of each page take in its lanes in order:
 * half = step(half ^ state, m), again with HASH_LO for the low half and HASH_HI for the high one. Pages that differ in one word never have
 * the same hash.
 */
export const HASH_LO = -0x61c8864f; //  0x9e3779b1
export const HASH_HI = -0x7a143589; //  0x85ebca77
export const HASH_SEED = 0x27d4eb2f;
