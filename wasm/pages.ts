// Whole pages of machine memory at once. See src/memory/pages.ts.
import { HASH_HI, HASH_LO, HASH_SEED } from "../src/layout/page-hash";
import { joined } from "./array";
import { backedRun, bytesOf } from "./extents";

const PAGE = 4096;

export function backedPages(hi: i32, lo: i32, pages: i32): i32 {
  const frame = joined(hi, lo) >> 12;
  let done = 0, n = 1;
  for (; n > 0 && done < pages; done += n) n = backedRun(frame + done);
  return min(done, pages);
}

export function clearPages(hi: i32, lo: i32, pages: i32): i32 {
  const frame = joined(hi, lo) >> 12;
  let done = 0;
  while (done < pages) {
    const n = min(backedRun(frame + done), pages - done);
    if (n == 0) break;
    memory.fill(bytesOf((frame + done) << 12), 0, n * PAGE);
    done += n;
  }
  return done;
}

export function copyPages(toHi: i32, toLo: i32, fromHi: i32, fromLo: i32, pages: i32): i32 {
  const to = joined(toHi, toLo) >> 12, from = joined(fromHi, fromLo) >> 12;
  const most = min(backedPages(toHi, toLo, pages), backedPages(fromHi, fromLo, pages));
  if (to > from) { // the last first: the ranges may overlap
    for (let k = most - 1; k >= 0; k--) memory.copy(bytesOf((to + k) << 12), bytesOf((from + k) << 12), PAGE);
    return most;
  }
  for (let done = 0; done < most;) {
    const n = min(min(backedRun(to + done), backedRun(from + done)), most - done);
    memory.copy(bytesOf((to + done) << 12), bytesOf((from + done) << 12), n * PAGE);
    done += n;
  }
  return most;
}

export function comparePages(aHi: i32, aLo: i32, bHi: i32, bLo: i32, pages: i32): f64 {
  const a = joined(aHi, aLo) >> 12, b = joined(bHi, bLo) >> 12;
  for (let done = 0; done < pages; done++) {
    const x = bytesOf((a + done) << 12), y = bytesOf((b + done) << 12);
    if (x == 0 || y == 0) return <f64>done * PAGE;
    const equal = equalBytes(x, y);
    if (equal < PAGE) return <f64>done * PAGE + equal;
  }
  return <f64>pages * PAGE;
}

/** Leading bytes of two pages that are equal. */
function equalBytes(x: i32, y: i32): i32 {
  let k = 0;
  while (k < PAGE && !v128.any_true(v128.or(
    v128.or(v128.xor(v128.load(x + k), v128.load(y + k)), v128.xor(v128.load(x + k, 16), v128.load(y + k, 16))),
    v128.or(v128.xor(v128.load(x + k, 32), v128.load(y + k, 32)), v128.xor(v128.load(x + k, 48), v128.load(y + k, 48))),
  ))) k += 64;
  while (k < PAGE && load<u8>(x + k) == load<u8>(y + k)) k++;
  return k;
}

export function hashPages(hi: i32, lo: i32, pages: i32): u64 {
  const frame = joined(hi, lo) >> 12, most = backedPages(hi, lo, pages);
  let hash: u64 = 0;
  for (let k = 0; k < most; k++) hash = hashPage(bytesOf((frame + k) << 12), hash);
  return hash;
}

/** One turn of the states of four lanes. */
@inline function turn(state: v128, words: v128, m: v128): v128 {
  const y = i32x4.mul(v128.xor(state, words), m);
  return v128.xor(y, i32x4.shr_u(y, 15));
}

function hashPage(page: i32, hash: u64): u64 {
  const p = i32x4.splat(HASH_LO), q = i32x4.splat(HASH_HI);
  let a = i32x4.add(i32x4.splat(HASH_SEED), i32x4(0, 1, 2, 3)), b = i32x4.add(a, i32x4.splat(4)), c = i32x4.add(a, i32x4.splat(8)), d = i32x4.add(a, i32x4.splat(12));
  let e = a, f = b, g = c, h = d;
  for (const end = page + PAGE; page != end; page += 64) {
    const i = v128.load(page), j = v128.load(page, 16), k = v128.load(page, 32), l = v128.load(page, 48);
    a = turn(a, i, p);
    b = turn(b, j, p);
    c = turn(c, k, p);
    d = turn(d, l, p);
    e = turn(e, i, q);
    f = turn(f, j, q);
    g = turn(g, k, q);
    h = turn(h, l, q);
  }
  const low = fold(fold(fold(fold(<u32>hash, a, HASH_LO), b, HASH_LO), c, HASH_LO), d, HASH_LO);
  const high = fold(fold(fold(fold(<u32>(hash >> 32), e, HASH_HI), f, HASH_HI), g, HASH_HI), h, HASH_HI);
  return joined(high, low);
}

/** Take four lanes into a half of the hash. */
function fold(x: u32, lanes: v128, m: u32): u32 {
  return step(step(step(step(x ^ i32x4.extract_lane(lanes, 0), m) ^ i32x4.extract_lane(lanes, 1), m) ^ i32x4.extract_lane(lanes, 2), m) ^ i32x4.extract_lane(lanes, 3), m);
}

@inline function step(x: u32, m: u32): u32 {
  const y = x * m;
  return y ^ (y >>> 15);
}
