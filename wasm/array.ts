// The set-associative array of src/cache/array.ts again, on the same bytes: lookup and fill, with every replacement policy.
// `a` is the byte offset of an array's header; entries are numbered set * ways + way, as there.
import {
  ARRP_LRU, ARRP_NRU, ARRP_TREE_PLRU, ARR_CLOCK, ARR_HINTS, ARR_HINT_MASK, ARR_LIVE, ARR_MASK, ARR_POLICY, ARR_REPL, ARR_REPL_WORDS, ARR_SETS, ARR_TAGS, ARR_WAYS,
} from "../src/layout/array";

const LRU_CLOCK_LIMIT = 0x7fffffff;
const SIZE_SHIFT = 25;

export function setOf(a: i32, lo: i32, hi: i32): i32 {
  const mask = load<i32>(a, ARR_MASK);
  if (mask >= 0) return lo & mask;
  return <i32>(((<u64>(hi & 0x1fff) << 32) | <u64>(<u32>lo)) % <u64>load<u32>(a, ARR_SETS));
}

export function find(a: i32, set: i32, lo: i32, hi: i32, altHi: i32): i32 {
  const ways = load<i32>(a, ARR_WAYS);
  const first = set * ways;
  const key = (<u64>(<u32>hi) << 32) | <u64>(<u32>lo), alt = (<u64>(<u32>altHi) << 32) | <u64>(<u32>lo);
  let t = load<i32>(a, ARR_TAGS) + (first << 3);
  for (let i = first, end = first + ways; i < end; i++, t += 8) {
    const tag = load<u64>(t);
    if (tag == key || tag == alt) return i;
  }
  return -1;
}

/** find() with the hint asked first, as in src/cache/array.ts. */
export function locate(a: i32, lo: i32, hi: i32, altHi: i32): i32 {
  const hints = load<i32>(a, ARR_HINTS);
  if (hints == 0) return find(a, setOf(a, lo, hi), lo, hi, altHi);
  const hint = hints + ((lo & load<i32>(a, ARR_HINT_MASK)) << 2);
  const i = load<i32>(hint), tag = load<u64>(load<i32>(a, ARR_TAGS) + (i << 3));
  if (tag == ((<u64>(<u32>hi) << 32) | <u64>(<u32>lo)) || tag == ((<u64>(<u32>altHi) << 32) | <u64>(<u32>lo))) return i;
  const found = find(a, setOf(a, lo, hi), lo, hi, altHi);
  if (found >= 0) store<i32>(hint, found);
  return found;
}

export function touch(a: i32, i: i32): void {
  const policy = load<i32>(a, ARR_POLICY);
  if (policy == ARRP_LRU) {
    const stamp = load<i32>(a, ARR_REPL) + (i << 2), clock = load<i32>(a, ARR_CLOCK);
    if (load<i32>(stamp) == clock && clock != 0) return;
    if (clock == LRU_CLOCK_LIMIT) renumber(a);
    const now = load<i32>(a, ARR_CLOCK) + 1;
    store<i32>(a, now, ARR_CLOCK);
    store<i32>(stamp, now);
  } else if (policy == ARRP_TREE_PLRU) touchTree(a, i);
  else if (policy == ARRP_NRU) touchReferenced(a, i);
}

export function victim(a: i32, set: i32): i32 {
  const policy = load<i32>(a, ARR_POLICY), ways = load<i32>(a, ARR_WAYS);
  const first = set * ways;
  if (policy == ARRP_LRU) return oldest(a, first, ways);
  const tags = load<i32>(a, ARR_TAGS) + (first << 3);
  for (let k = 0; k < ways; k++) if (load<i32>(tags + (k << 3), 4) == 0) return first + k;
  if (policy == ARRP_TREE_PLRU) return first + treeVictim(a, set, ways);
  if (policy == ARRP_NRU) return first + unreferenced(a, set, ways);
  return first + <i32>(<u32>xorshift(a) % <u32>ways);
}

export function place(a: i32, i: i32, lo: i32, hi: i32): void {
  const t = load<i32>(a, ARR_TAGS) + (i << 3);
  const old = load<i32>(t, 4);
  if (old != 0) addLive(a, old, -1);
  store<i32>(t, lo);
  store<i32>(t, hi, 4);
  addLive(a, hi, 1);
  const hints = load<i32>(a, ARR_HINTS);
  if (hints != 0) store<i32>(hints + ((lo & load<i32>(a, ARR_HINT_MASK)) << 2), i);
}

export function drop(a: i32, i: i32): void {
  const t = load<i32>(a, ARR_TAGS) + (i << 3);
  const old = load<i32>(t, 4);
  if (old == 0) return;
  addLive(a, old, -1);
  store<u64>(t, 0);
  if (load<i32>(a, ARR_POLICY) == ARRP_LRU) store<i32>(load<i32>(a, ARR_REPL) + (i << 2), 0);
}

@inline function addLive(a: i32, tagHi: i32, by: i32): void {
  const at = a + (((tagHi >>> SIZE_SHIFT) & 3) << 2);
  store<i32>(at, load<i32>(at, ARR_LIVE) + by, ARR_LIVE);
}

@inline function oldest(a: i32, first: i32, ways: i32): i32 {
  let s = load<i32>(a, ARR_REPL) + (first << 2);
  let best = first, least = load<i32>(s);
  for (let i = first + 1, end = first + ways; i < end; i++) {
    s += 4;
    const stamp = load<i32>(s);
    if (stamp < least) { least = stamp; best = i; }
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

function touchTree(a: i32, i: i32): void {
  const ways = load<i32>(a, ARR_WAYS), set = i / ways;
  const bits = load<i32>(a, ARR_REPL) + ((set * load<i32>(a, ARR_REPL_WORDS)) << 2);
  for (let node = leaves(ways) + i - set * ways; node > 1; node >>>= 1) {
    const bit = (node >>> 1) - 1, word = bits + ((bit >>> 5) << 2), mask = 1 << (bit & 31);
    const old = load<i32>(word);
    store<i32>(word, node & 1 ? old & ~mask : old | mask);
  }
}

function treeVictim(a: i32, set: i32, ways: i32): i32 {
  const bits = load<i32>(a, ARR_REPL) + ((set * load<i32>(a, ARR_REPL_WORDS)) << 2);
  const n = leaves(ways);
  let node = 1;
  for (let below = n >>> 1; node < n; below >>>= 1) {
    const bit = node - 1, right = node * 2 + 1;
    const older = (load<i32>(bits + ((bit >>> 5) << 2)) >>> (bit & 31)) & 1;
    node = older && right * below - n < ways ? right : node * 2;
  }
  return node - n;
}

function touchReferenced(a: i32, i: i32): void {
  const ways = load<i32>(a, ARR_WAYS), set = i / ways, words = load<i32>(a, ARR_REPL_WORDS);
  const bits = load<i32>(a, ARR_REPL) + ((set * words) << 2), k = i - set * ways;
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
