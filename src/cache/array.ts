/**
 * A set-associative array with replacement, on the shared state: every TLB, paging-structure cache and data cache is one.
 *
 * Layout in `layout/array.ts`. `a` is always the word index of the array's header, `i` an entry number (set * ways + way).
 *
 * Invariants, checked by `auditArray()`:
 *   AR1  an entry is empty (both tag words 0) or valid (ARR_TAG_VALID set)
 *   AR2  no set holds the same tag twice, and no lookup in a TLB matches two entries (a plain and a global one)
 *   AR3  ARR_LIVE counts the valid entries by size code
 *   AR4  LRU: an empty entry's stamp is 0, a valid one's is not, and no two stamps of a set are equal
 */
import { invariant } from '../errors.ts';
import {
  ARRP_LRU, ARRP_NRU, ARRP_RANDOM, ARRP_TREE_PLRU, ARR_CAPACITY, ARR_CLOCK, ARR_FRAGMENTS, ARR_HINTS, ARR_HINT_MASK, ARR_LIVE, ARR_MASK, ARR_POLICY, ARR_REPL, ARR_REPL_WORDS,
  ARR_SETS, ARR_TAGS, ARR_TAG_VALID, ARR_TOUCH, ARR_WAYS,
} from '../layout/array.ts';

export const LRU_CLOCK_LIMIT = 0x7fffffff;
const SIZE_SHIFT = 25; // size code of a tag, see layout/tlb.ts; 0 in arrays that have none

/** Set that a 45-bit number falls into. */
export function setOf(w: Int32Array, a: number, lo: number, hi: number): number {
  const mask = w[a + (ARR_MASK >>> 2)];
  if (mask >= 0) return lo & mask;
  return ((hi & 0x1fff) * 0x1_0000_0000 + (lo >>> 0)) % w[a + (ARR_SETS >>> 2)];
}

/** Entry of `set` with tag `hi:lo`, or with `altHi:lo` (the same page, global); -1 if none. Changes nothing. */
export function find(w: Int32Array, a: number, set: number, lo: number, hi: number, altHi: number): number {
  const ways = w[a + (ARR_WAYS >>> 2)];
  const first = set * ways;
  let t = (w[a + (ARR_TAGS >>> 2)] >>> 2) + first * 2;
  for (let i = first, end = first + ways; i < end; i++, t += 2) {
    if (w[t] === lo) {
      const h = w[t + 1];
      if (h === hi || h === altHi) return i;
    }
  }
  return -1;
}

/**
 * `find()` for the hot path: asks the hint first, where the array has hints, and corrects it.
 *
 * The answer is the same, because no lookup matches two entries (AR2).
 */
export function locate(w: Int32Array, a: number, lo: number, hi: number, altHi: number): number {
  const hints = w[a + (ARR_HINTS >>> 2)];
  if (hints === 0) return find(w, a, setOf(w, a, lo, hi), lo, hi, altHi);
  const hint = (hints >>> 2) + (lo & w[a + (ARR_HINT_MASK >>> 2)]);
  const i = w[hint], t = (w[a + (ARR_TAGS >>> 2)] >>> 2) + i * 2;
  if (w[t] === lo) {
    const h = w[t + 1];
    if (h === hi || h === altHi) return i;
  }
  const found = find(w, a, setOf(w, a, lo, hi), lo, hi, altHi);
  if (found >= 0) w[hint] = found;
  return found;
}

/** Note a use of entry `i`. Using the entry again that was used last changes nothing. */
export function touch(w: Int32Array, a: number, i: number): void {
  const policy = w[a + (ARR_POLICY >>> 2)];
  if (policy === ARRP_LRU) {
    touchStamp(w, a, (w[a + (ARR_REPL >>> 2)] >>> 2) + i);
  } else if (policy === ARRP_TREE_PLRU) touchTree(w, a, i);
  else if (policy === ARRP_NRU) touchReferenced(w, a, i);
}

/** touch() for LRU. @param at - word index of the entry's stamp */
export function touchStamp(w: Int32Array, a: number, at: number): void {
  const clock = w[a + (ARR_CLOCK >>> 2)];
  if (w[at] !== clock || clock === 0) stamp(w, a, at);
}

/** Stamp an entry that is not the one touched last. */
export function stamp(w: Int32Array, a: number, at: number): void {
  if (w[a + (ARR_CLOCK >>> 2)] === LRU_CLOCK_LIMIT) renumber(w, a);
  const now = w[a + (ARR_CLOCK >>> 2)] + 1;
  w[a + (ARR_CLOCK >>> 2)] = now;
  w[at] = now;
}

/** First empty way of a row of tags, -1 if none. */
export function emptyWay(w: Int32Array, tags: number, ways: number): number {
  for (let k = 0; k < ways; k++) if (w[tags + k * 2 + 1] === 0) return k;
  return -1;
}

/** Entry of `set` to be replaced next: an empty one if there is one, the lowest of them first. */
export function victim(w: Int32Array, a: number, set: number): number {
  const policy = w[a + (ARR_POLICY >>> 2)], ways = w[a + (ARR_WAYS >>> 2)];
  const first = set * ways;
  if (policy === ARRP_LRU) return oldest(w, a, first, ways);
  if (!full(w, a)) {
    const k = emptyWay(w, (w[a + (ARR_TAGS >>> 2)] >>> 2) + first * 2, ways);
    if (k >= 0) return first + k;
  }
  if (policy === ARRP_TREE_PLRU) return first + treeVictim(w, (w[a + (ARR_REPL >>> 2)] >>> 2) + set * w[a + (ARR_REPL_WORDS >>> 2)], ways);
  if (policy === ARRP_NRU) return first + unreferenced(w, a, set, ways);
  return first + (xorshift(w, a) >>> 0) % ways;
}

function full(w: Int32Array, a: number): boolean {
  const live = a + (ARR_LIVE >>> 2);
  return w[live] + w[live + 1] + w[live + 2] === w[a + (ARR_CAPACITY >>> 2)];
}

/** Put a tag into entry `i`, keeping the live counts. The caller writes the data. */
export function place(w: Int32Array, a: number, i: number, lo: number, hi: number): void {
  const t = (w[a + (ARR_TAGS >>> 2)] >>> 2) + i * 2, live = a + (ARR_LIVE >>> 2);
  const old = w[t + 1];
  if (old !== 0) w[live + ((old >>> SIZE_SHIFT) & 3)]--;
  w[t] = lo;
  w[t + 1] = hi;
  w[live + ((hi >>> SIZE_SHIFT) & 3)]++;
  const hints = w[a + (ARR_HINTS >>> 2)];
  if (hints !== 0) w[(hints >>> 2) + (lo & w[a + (ARR_HINT_MASK >>> 2)])] = i;
}

/** Empty entry `i`. */
export function drop(w: Int32Array, a: number, i: number): void {
  const t = (w[a + (ARR_TAGS >>> 2)] >>> 2) + i * 2;
  const old = w[t + 1];
  if (old === 0) return;
  w[a + (ARR_LIVE >>> 2) + ((old >>> SIZE_SHIFT) & 3)]--;
  w[t] = w[t + 1] = 0;
  if (w[a + (ARR_POLICY >>> 2)] === ARRP_LRU) w[(w[a + (ARR_REPL >>> 2)] >>> 2) + i] = 0;
}

/** Entries in all sets. */
export function capacity(w: Int32Array, a: number): number {
  return w[a + (ARR_CAPACITY >>> 2)];
}

/** Empty every entry. Replacement state other than stamps stays, as in hardware. */
export function dropAll(w: Int32Array, a: number): void {
  const n = capacity(w, a), tags = w[a + (ARR_TAGS >>> 2)] >>> 2, live = a + (ARR_LIVE >>> 2);
  w[a + (ARR_FRAGMENTS >>> 2)] = 0;
  if ((w[live] | w[live + 1] | w[live + 2]) === 0) return;
  w.fill(0, tags, tags + n * 2);
  w.fill(0, live, live + 3);
  const stamps = w[a + (ARR_REPL >>> 2)] >>> 2;
  if (w[a + (ARR_POLICY >>> 2)] === ARRP_LRU) w.fill(0, stamps, stamps + n);
}

function oldest(w: Int32Array, a: number, first: number, ways: number): number {
  const stamps = w[a + (ARR_REPL >>> 2)] >>> 2;
  let best = first, least = w[stamps + first];
  for (let i = first + 1, end = first + ways; i < end; i++) {
    const stamp = w[stamps + i];
    if (stamp < least) { least = stamp; best = i; }
  }
  return best;
}

/** The clock reached its end: number the stamps of each set anew from 1, keeping their order. */
function renumber(w: Int32Array, a: number): void {
  const sets = w[a + (ARR_SETS >>> 2)], ways = w[a + (ARR_WAYS >>> 2)], stamps = w[a + (ARR_REPL >>> 2)] >>> 2;
  for (let set = 0; set < sets; set++) {
    const row = w.slice(stamps + set * ways, stamps + (set + 1) * ways);
    for (let k = 0; k < ways; k++) {
      let older = 0;
      for (let o = 0; o < ways; o++) if (row[o] !== 0 && row[o] < row[k]) older++;
      if (row[k] !== 0) w[stamps + set * ways + k] = older + 1;
    }
  }
  w[a + (ARR_CLOCK >>> 2)] = ways;
}

/**
 * Tree pseudo-LRU over the next power of two of ways: node 1 is the root, children of n are 2n and 2n + 1, bit set = the right child is
 * older. Subtrees without a way are never entered.
 */
function touchTree(w: Int32Array, a: number, i: number): void {
  const ways = w[a + (ARR_WAYS >>> 2)], set = (i / ways) | 0;
  const bits = (w[a + (ARR_REPL >>> 2)] >>> 2) + set * w[a + (ARR_REPL_WORDS >>> 2)];
  const masks = w[a + (ARR_TOUCH >>> 2)];
  if (masks !== 0) {
    const m = (masks >>> 2) + (i - set * ways) * 2;
    w[bits] = w[bits] & w[m] | w[m + 1];
    return;
  }
  for (let node = leaves(ways) + i - set * ways; node > 1; node >>>= 1) {
    const bit = (node >>> 1) - 1, word = bits + (bit >>> 5), mask = 1 << (bit & 31);
    if (node & 1) w[word] &= ~mask;
    else w[word] |= mask;
  }
}

/** @param bits - word index of the tree of the set */
export function treeVictim(w: Int32Array, bits: number, ways: number): number {
  const n = leaves(ways);
  let node = 1;
  for (let below = n >>> 1; node < n; below >>>= 1) {
    const bit = node - 1, right = node * 2 + 1;
    const older = (w[bits + (bit >>> 5)] >>> (bit & 31)) & 1;
    node = older && right * below - n < ways ? right : node * 2;
  }
  return node - n;
}

const leaves = (ways: number): number => (ways <= 1 ? 1 : 1 << (32 - Math.clz32(ways - 1)));

/** Not recently used: when the last unreferenced way is touched, all others become unreferenced. */
function touchReferenced(w: Int32Array, a: number, i: number): void {
  const ways = w[a + (ARR_WAYS >>> 2)], words = w[a + (ARR_REPL_WORDS >>> 2)], set = (i / ways) | 0;
  const bits = (w[a + (ARR_REPL >>> 2)] >>> 2) + set * words, k = i - set * ways;
  w[bits + (k >>> 5)] |= 1 << (k & 31);
  for (let n = 0; n < ways; n++) if (!((w[bits + (n >>> 5)] >>> (n & 31)) & 1)) return;
  for (let n = 0; n < words; n++) w[bits + n] = 0;
  w[bits + (k >>> 5)] = 1 << (k & 31);
}

function unreferenced(w: Int32Array, a: number, set: number, ways: number): number {
  const bits = (w[a + (ARR_REPL >>> 2)] >>> 2) + set * w[a + (ARR_REPL_WORDS >>> 2)];
  for (let k = 0; k < ways; k++) if (!((w[bits + (k >>> 5)] >>> (k & 31)) & 1)) return k;
  return 0; // one way: it is always referenced
}

/** Marsaglia's xorshift32; the seed is written by `memory/plan.ts`. */
function xorshift(w: Int32Array, a: number): number {
  let x = w[a + (ARR_CLOCK >>> 2)];
  x ^= x << 13;
  x ^= x >>> 17;
  x ^= x << 5;
  w[a + (ARR_CLOCK >>> 2)] = x;
  return x;
}

/** Bytes of replacement state for an array: words a set and in all. */
export function replacementWords(policy: number, ways: number): number {
  if (policy === ARRP_LRU) return ways;
  if (policy === ARRP_RANDOM) return 0;
  return (policy === ARRP_TREE_PLRU ? Math.max(1, leaves(ways) - 1) : ways) + 31 >>> 5;
}

/** ARR_TOUCH of a tree with at most 32 leaves. */
export function treeMasks(ways: number): number[] {
  const masks: number[] = [];
  for (let k = 0; k < ways; k++) {
    let keep = -1, set = 0;
    for (let node = leaves(ways) + k; node > 1; node >>>= 1) {
      keep &= ~(1 << ((node >>> 1) - 1));
      if (!(node & 1)) set |= 1 << ((node >>> 1) - 1);
    }
    masks.push(keep, set);
  }
  return masks;
}

/** Check AR1 to AR4. @throws InvariantError */
export function auditArray(w: Int32Array, a: number): void {
  const ways = w[a + (ARR_WAYS >>> 2)], sets = w[a + (ARR_SETS >>> 2)];
  const tags = w[a + (ARR_TAGS >>> 2)] >>> 2, stamps = w[a + (ARR_REPL >>> 2)] >>> 2;
  const lru = w[a + (ARR_POLICY >>> 2)] === ARRP_LRU;
  const live = [0, 0, 0, 0];
  for (let set = 0; set < sets; set++) {
    const seen = new Set<string>(), seenStamps = new Set<number>();
    for (let i = set * ways; i < (set + 1) * ways; i++) {
      const lo = w[tags + i * 2], hi = w[tags + i * 2 + 1];
      const valid = (hi & ARR_TAG_VALID) !== 0;
      invariant(valid || (lo === 0 && hi === 0), `AR1: entry ${i} is empty or valid`);
      if (valid) live[(hi >>> SIZE_SHIFT) & 3]++;
      invariant(!valid || !seen.has(`${hi}:${lo}`), `AR2: entry ${i} is the only one with its tag`);
      seen.add(`${hi}:${lo}`);
      if (!lru) continue;
      invariant((w[stamps + i] !== 0) === valid, `AR4: stamp of entry ${i}`);
      invariant(!valid || !seenStamps.has(w[stamps + i]), `AR4: stamp of entry ${i} is its own`);
      seenStamps.add(w[stamps + i]);
    }
  }
  for (let size = 0; size < 3; size++) invariant(w[a + (ARR_LIVE >>> 2) + size] === live[size], `AR3: live entries of size ${size}`);
}
