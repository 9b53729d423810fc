// The set-associative array of src/cache/array.ts again, on the same bytes: lookup and fill, with every replacement policy.
// `a` is the byte offset of an array's header; entries are numbered set * ways + way, as there. A tag is one 64-bit word: hi << 32 | lo.
import {
  ARRP_LRU, ARRP_NRU, ARRP_TREE_PLRU, ARR_CAPACITY, ARR_CLOCK, ARR_FRAGMENTS, ARR_HINTS, ARR_HINT_MASK, ARR_LIVE, ARR_MASK, ARR_POLICY, ARR_REPL, ARR_REPL_WORDS, ARR_SETS, ARR_TAGS,
  ARR_TOUCH, ARR_WAYS,
} from "../src/layout/array";

export const LRU_CLOCK_LIMIT = 0x7fffffff;
const SIZE_SHIFT = 25;
const KEPT: u64 = <u64>0x86000000 << 32; // valid, and the size code
const NUMBER_BITS: u64 = 0x1fff_ffff_ffff; // of a tag: the number that chooses the set

/** Two words as one. Unsigned, and so must be the loads given to it: the optimizer takes a signed load as extended with its sign. */
@inline export function joined(hi: u32, lo: u32): u64 {
  return (<u64>hi << 32) | <u64>lo;
}

/** Set of a tag, or of the number in it. */
@inline export function setOf(a: i32, tag: u64): i32 {
  const mask = load<i32>(a, ARR_MASK);
  if (mask >= 0) return <i32>tag & mask;
  return <i32>((tag & NUMBER_BITS) % <u64>load<u32>(a, ARR_SETS));
}

/** Lane k set: the low word of tag k of the four at `t` is that of `key`, in all lanes. */
@inline function same4(t: i32, key: v128): v128 {
  return i32x4.eq(v128.shuffle<i32>(v128.load(t), v128.load(t, 16), 0, 2, 4, 6), key);
}

/** The same with bit k set. */
@inline function match4(t: i32, key: v128): i32 {
  return i32x4.bitmask(same4(t, key));
}

/**
 * Bit k set: way k, of 4, 8 or 12, may hold `key`: the low word of its tag is the same. Nearly always at most one bit is set, and the high
 * word settles it. No branch depends on where it is, which no processor can predict.
 */
@inline export function candidates(row: i32, ways: i32, key: u64): i32 {
  const low = i32x4.splat(<i32>key);
  let bits = match4(row, low);
  if (ways >= 8) bits |= match4(row + 32, low) << 4;
  if (ways >= 12) bits |= match4(row + 64, low) << 8;
  return bits;
}

/** Any bit set: so is one of `candidates()`. */
@inline export function anyCandidate(row: i32, ways: i32, low: v128): v128 {
  let any = same4(row, low);
  if (ways >= 8) any = v128.or(any, same4(row + 32, low));
  if (ways >= 12) any = v128.or(any, same4(row + 64, low));
  return any;
}

/** Bit k set: way k, of 4, 8 or 12, is empty. */
@inline export function emptyWays(row: i32, ways: i32): i32 {
  let bits = empty4(row);
  if (ways >= 8) bits |= empty4(row + 32) << 4;
  if (ways >= 12) bits |= empty4(row + 64) << 8;
  return bits;
}

@inline function empty4(t: i32): i32 {
  return i32x4.bitmask(i32x4.eq(v128.shuffle<i32>(v128.load(t), v128.load(t, 16), 1, 3, 5, 7), i32x4.splat(0)));
}

@inline export function candidates4(row: i32, key: u64): i32 {
  return match4(row, i32x4.splat(<i32>key));
}

/** Way of the row of tags at `row` that holds `key` or `alt`, two tags with the same low word; -1 if none. */
export function wayOf(row: i32, ways: i32, key: u64, alt: u64): i32 {
  const low = i32x4.splat(<i32>key);
  let k = 0;
  for (; k + 4 <= ways; k += 4) {
    for (let bits = match4(row + (k << 3), low); bits != 0; bits &= bits - 1) {
      const at = k + ctz(bits), tag = load<u64>(row + (at << 3));
      if (i32(tag == key) | i32(tag == alt)) return at;
    }
  }
  for (; k < ways; k++) {
    const tag = load<u64>(row + (k << 3));
    if (i32(tag == key) | i32(tag == alt)) return k;
  }
  return -1;
}

export function find(a: i32, set: i32, key: u64, alt: u64): i32 {
  const ways = load<i32>(a, ARR_WAYS), first = set * ways;
  const k = wayOf(load<i32>(a, ARR_TAGS) + (first << 3), ways, key, alt);
  return k < 0 ? k : first + k;
}

/** find() with the hint asked first, as in src/cache/array.ts. */
export function locate(a: i32, key: u64, alt: u64): i32 {
  const hints = load<i32>(a, ARR_HINTS);
  if (hints == 0) return find(a, setOf(a, key), key, alt);
  const hint = hints + ((<i32>key & load<i32>(a, ARR_HINT_MASK)) << 2);
  const i = load<i32>(hint), tag = load<u64>(load<i32>(a, ARR_TAGS) + (i << 3));
  if (tag == key || tag == alt) return i;
  const found = find(a, setOf(a, key), key, alt);
  if (found >= 0) store<i32>(hint, found);
  return found;
}

/** Note a use of entry `i`. */
export function touch(a: i32, i: i32): void {
  const ways = load<i32>(a, ARR_WAYS), set = i / ways;
  touchAt(a, set, i - set * ways, i);
}

/** The same where set and way are known; `i` is set * ways + way. */
@inline export function touchAt(a: i32, set: i32, way: i32, i: i32): void {
  const policy = load<i32>(a, ARR_POLICY);
  if (policy == ARRP_LRU) touchStamp(a, load<i32>(a, ARR_REPL) + (i << 2));
  else if (policy == ARRP_TREE_PLRU) {
    const masks = load<i32>(a, ARR_TOUCH);
    if (masks != 0) {
      const bits = load<i32>(a, ARR_REPL) + (set << 2), m = masks + (way << 3);
      store<i32>(bits, (load<i32>(bits) & load<i32>(m)) | load<i32>(m, 4));
    } else touchTree(a, set, way);
  } else if (policy == ARRP_NRU) touchReferenced(a, set, way);
}

/** Stamp an entry that was just placed: it cannot be the one touched last. @param at - byte offset of its stamp */
@inline export function stamp(a: i32, at: i32): void {
  let now = load<i32>(a, ARR_CLOCK);
  if (now == LRU_CLOCK_LIMIT) {
    renumber(a);
    now = load<i32>(a, ARR_CLOCK);
  }
  store<i32>(a, now + 1, ARR_CLOCK);
  store<i32>(at, now + 1);
}

/** @param stamp - byte offset of the entry's */
@inline export function touchStamp(a: i32, stamp: i32): void {
  let now = load<i32>(a, ARR_CLOCK);
  if (load<i32>(stamp) == now && now != 0) return;
  if (now == LRU_CLOCK_LIMIT) {
    renumber(a);
    now = load<i32>(a, ARR_CLOCK);
  }
  store<i32>(a, now + 1, ARR_CLOCK);
  store<i32>(stamp, now + 1);
}

export function victim(a: i32, set: i32): i32 {
  const ways = load<i32>(a, ARR_WAYS);
  return set * ways + victimWay(a, set, ways);
}

/** Way of `set` to be replaced next. */
@inline export function victimWay(a: i32, set: i32, ways: i32): i32 {
  const policy = load<i32>(a, ARR_POLICY);
  if (policy == ARRP_LRU) return oldest(load<i32>(a, ARR_REPL) + ((set * ways) << 2), ways);
  if (!full(a)) {
    const k = emptyWay(load<i32>(a, ARR_TAGS) + ((set * ways) << 3), ways);
    if (k >= 0) return k;
  }
  if (policy == ARRP_TREE_PLRU) return treeVictim(load<i32>(a, ARR_REPL) + ((set * load<i32>(a, ARR_REPL_WORDS)) << 2), ways);
  if (policy == ARRP_NRU) return unreferenced(a, set, ways);
  return <i32>(<u32>xorshift(a) % <u32>ways);
}

/** First empty way of a row of tags, -1 if none. */
function emptyWay(tags: i32, ways: i32): i32 {
  for (let k = 0; k < ways; k++) if (load<i32>(tags + (k << 3), 4) == 0) return k;
  return -1;
}

@inline function full(a: i32): bool {
  return load<i32>(a, ARR_LIVE) + load<i32>(a, ARR_LIVE + 4) + load<i32>(a, ARR_LIVE + 8) == load<i32>(a, ARR_CAPACITY);
}

export function place(a: i32, i: i32, tag: u64): void {
  const t = load<i32>(a, ARR_TAGS) + (i << 3);
  const old = load<u64>(t);
  store<u64>(t, tag);
  if (((old ^ tag) & KEPT) != 0) { // most often a page makes room for one of its size
    addLive(a, <i32>(tag >> 32), 1);
    if (old != 0) addLive(a, <i32>(old >> 32), -1);
  }
  const hints = load<i32>(a, ARR_HINTS);
  if (hints != 0) store<i32>(hints + ((<i32>tag & load<i32>(a, ARR_HINT_MASK)) << 2), i);
}

export function drop(a: i32, i: i32): void {
  const t = load<i32>(a, ARR_TAGS) + (i << 3);
  const old = load<i32>(t, 4);
  if (old == 0) return;
  addLive(a, old, -1);
  store<u64>(t, 0);
  if (load<i32>(a, ARR_POLICY) == ARRP_LRU) store<i32>(load<i32>(a, ARR_REPL) + (i << 2), 0);
}

export function capacity(a: i32): i32 {
  return load<i32>(a, ARR_CAPACITY);
}

export function dropAll(a: i32): void {
  store<i32>(a, 0, ARR_FRAGMENTS);
  if ((load<i32>(a, ARR_LIVE) | load<i32>(a, ARR_LIVE + 4) | load<i32>(a, ARR_LIVE + 8)) == 0) return;
  const n = capacity(a);
  memory.fill(load<i32>(a, ARR_TAGS), 0, n << 3);
  memory.fill(a + ARR_LIVE, 0, 12);
  if (load<i32>(a, ARR_POLICY) == ARRP_LRU) memory.fill(load<i32>(a, ARR_REPL), 0, n << 2);
}

@inline function addLive(a: i32, tagHi: i32, by: i32): void {
  const at = a + (((tagHi >>> SIZE_SHIFT) & 3) << 2);
  store<i32>(at, load<i32>(at, ARR_LIVE) + by, ARR_LIVE);
}

/** Way of the least of the stamps at `s`, the first of equal ones (empty ways have 0). */
@inline export function oldest(s: i32, ways: i32): i32 {
  return ways == 12 ? oldest12(s) : ways == 4 ? oldest4(s) : oldestOf(s, ways);
}

/** The same for 4, 8 or 12 ways, without a call: what lives across one is spilled. */
@inline export function oldestOfFew(s: i32, ways: i32): i32 {
  return ways == 12 ? oldest12(s) : ways == 4 ? oldest4(s) : oldest8(s);
}

@inline function least4(four: v128): v128 {
  const m = i32x4.min_s(four, v128.shuffle<i32>(four, four, 2, 3, 0, 1));
  return i32x4.min_s(m, v128.shuffle<i32>(m, m, 1, 0, 3, 2));
}

@inline function equal4(four: v128, m: v128): i32 {
  return i32x4.bitmask(i32x4.eq(four, m));
}

@inline export function oldest4(s: i32): i32 {
  const four = v128.load(s);
  return ctz(equal4(four, least4(four)));
}

@inline function oldest8(s: i32): i32 {
  const x = v128.load(s), y = v128.load(s, 16), m = least4(i32x4.min_s(x, y));
  return ctz(equal4(x, m) | (equal4(y, m) << 4));
}

@inline function oldest12(s: i32): i32 {
  const x = v128.load(s), y = v128.load(s, 16), z = v128.load(s, 32), m = least4(i32x4.min_s(i32x4.min_s(x, y), z));
  return ctz(equal4(x, m) | (equal4(y, m) << 4) | (equal4(z, m) << 8));
}

function oldestOf(s: i32, ways: i32): i32 {
  let k = 0, best = 0, least = i32.MAX_VALUE;
  for (; k + 4 <= ways; k += 4) {
    const four = v128.load(s + (k << 2)), m = least4(four), stamp = i32x4.extract_lane(m, 0);
    best = select(k + ctz(equal4(four, m)), best, stamp < least);
    least = min(stamp, least);
  }
  for (; k < ways; k++) {
    const stamp = load<i32>(s + (k << 2));
    best = select(k, best, stamp < least);
    least = min(stamp, least);
  }
  return best;
}

/** Stamps of each set anew from 1 in their order. Quadratic in ways, once in two billion touches; ranks are made from the high end of
 *  the clock so that no copy is needed: a stamp already renumbered is below `ways`, an old one keeps its order among the old. */
function renumber(a: i32): void {
  const sets = load<i32>(a, ARR_SETS), ways = load<i32>(a, ARR_WAYS), stamps = load<i32>(a, ARR_REPL);
  for (let set = 0; set < sets; set++) {
    const row = stamps + ((set * ways) << 2);
    let after = 0;
    for (let rank = 1; rank <= ways; rank++) {
      let next = 0, at = -1;
      for (let k = 0; k < ways; k++) {
        const stamp = load<i32>(row + (k << 2));
        if (stamp > after && (at < 0 || stamp < next)) { next = stamp; at = k; }
      }
      if (at < 0) break;
      after = next;
      // The rank goes in negative until the set is done, so that it cannot be taken for a stamp.
      store<i32>(row + (at << 2), -rank);
    }
    for (let k = 0; k < ways; k++) {
      const stamp = load<i32>(row + (k << 2));
      if (stamp < 0) store<i32>(row + (k << 2), -stamp);
    }
  }
  store<i32>(a, ways, ARR_CLOCK);
}

@inline function leaves(ways: i32): i32 {
  return ways <= 1 ? 1 : 1 << (32 - clz(ways - 1));
}

function touchTree(a: i32, set: i32, way: i32): void {
  const bits = load<i32>(a, ARR_REPL) + ((set * load<i32>(a, ARR_REPL_WORDS)) << 2);
  for (let node = leaves(load<i32>(a, ARR_WAYS)) + way; node > 1; node >>>= 1) {
    const bit = (node >>> 1) - 1, word = bits + ((bit >>> 5) << 2), mask = 1 << (bit & 31);
    const old = load<i32>(word);
    store<i32>(word, node & 1 ? old & ~mask : old | mask);
  }
}

/** @param bits - byte offset of the tree of the set */
@inline export function treeVictim(bits: i32, ways: i32): i32 {
  if (ways != 4) return treeVictimOf(bits, ways);
  const b = load<i32>(bits), right = b & 1; // node 1; then node 2 or 3
  return (right << 1) | ((b >>> (1 + right)) & 1);
}

/** The same for 4, 8 or 12 ways, without a call. @param tree - the one word of the set */
@inline export function treeVictimOfFew(tree: i32, ways: i32): i32 {
  const right = tree & 1, of4 = (right << 1) | ((tree >>> (1 + right)) & 1);
  if (ways == 4) return of4;
  const of8 = (of4 << 1) | ((tree >>> (3 + of4)) & 1);
  return ways == 8 ? of8 : treeVictim12(tree);
}

/** Of 16 leaves the last four are missing: node 3 has no right half. */
@inline function treeVictim12(tree: i32): i32 {
  const right = tree & 1, second = (right << 1) | ((tree >>> (1 + right)) & 1 & (right ^ 1));
  const third = (second << 1) | ((tree >>> (3 + second)) & 1);
  return (third << 1) | ((tree >>> (7 + third)) & 1);
}

function treeVictimOf(bits: i32, ways: i32): i32 {
  const n = leaves(ways);
  let node = 1;
  for (let below = n >>> 1; node < n; below >>>= 1) {
    const bit = node - 1, right = node * 2 + 1;
    const older = (load<i32>(bits + ((bit >>> 5) << 2)) >>> (bit & 31)) & 1;
    node = older && right * below - n < ways ? right : node * 2;
  }
  return node - n;
}

function touchReferenced(a: i32, set: i32, k: i32): void {
  const ways = load<i32>(a, ARR_WAYS), words = load<i32>(a, ARR_REPL_WORDS);
  const bits = load<i32>(a, ARR_REPL) + ((set * words) << 2);
  const own = bits + ((k >>> 5) << 2);
  store<i32>(own, load<i32>(own) | (1 << (k & 31)));
  for (let n = 0; n < ways; n++) if (!((load<i32>(bits + ((n >>> 5) << 2)) >>> (n & 31)) & 1)) return;
  for (let n = 0; n < words; n++) store<i32>(bits + (n << 2), 0);
  store<i32>(own, 1 << (k & 31));
}

function unreferenced(a: i32, set: i32, ways: i32): i32 {
  const bits = load<i32>(a, ARR_REPL) + ((set * load<i32>(a, ARR_REPL_WORDS)) << 2);
  for (let k = 0; k < ways; k++) if (!((load<i32>(bits + ((k >>> 5) << 2)) >>> (k & 31)) & 1)) return k;
  return 0;
}

function xorshift(a: i32): i32 {
  let x = load<i32>(a, ARR_CLOCK);
  x ^= x << 13;
  x ^= x >>> 17;
  x ^= x << 5;
  store<i32>(a, x, ARR_CLOCK);
  return x;
}
