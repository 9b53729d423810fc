// Many accesses a call: the loop over a batch of a trace. See src/machine/batch.ts. The columns are in machine memory, too.
import { ACCESS_FETCH, ACCESS_READ, ACCESS_WRITE, FAULT_NONE } from "./fault";
import { VCPU_OUT_FAULT, VCPU_OUT_LO } from "../src/layout/vcpu";
import { rightsRow } from "./rights";
import { runSwift, swift } from "./swift-batch";
import { access, accessAnew } from "./translate";

export const FETCH = 2;
export const MODIFY = 3;

const ACCESS_OF_KIND: i32 = ACCESS_READ | (ACCESS_WRITE << 8) | (ACCESS_FETCH << 16) | (ACCESS_READ << 24);

/** What each KIND_* of a trace asks for. */
@inline export function accessOf(kind: i32): i32 {
  return (ACCESS_OF_KIND >>> (kind << 3)) & 0xff; // a table, as no processor can predict kinds
}

/**
 * Make accesses `from` up to but not including `to`.
 *
 * @param va, kind, size - byte offsets of the columns: 8, 1 and 2 bytes an access @param pa - of the results, 8 bytes an access; 0 = not wanted
 * @returns `to`, or the index of the first access that faulted
 */
export function runBatch(v: i32, va: i32, kind: i32, size: i32, pa: i32, from: i32, to: i32, extra: i32): i32 {
  if (swift(v, extra)) return runSwift(v, va, kind, size, pa, from, to, extra, rightsRow(v, extra));
  for (let i = from; i < to; i++) {
    const fault = one(v, load<u64>(va + (i << 3)), load<u8>(kind + i), load<u16>(size + (i << 1)), pa == 0 ? 0 : pa + (i << 3), extra);
    if (fault != FAULT_NONE) return stopped(v, i, fault);
  }
  return to;
}

/** All bits of kinds `from` up to but not including `to`. @param kind - byte offset of the column */
export function kindBits(kind: i32, from: i32, to: i32): i32 {
  let all = i64x2.splat(0), bits = 0, i = from;
  for (; i + 64 <= to; i += 64) {
    const at = kind + i;
    all = v128.or(v128.or(all, v128.or(v128.load(at), v128.load(at, 16))), v128.or(v128.load(at, 32), v128.load(at, 48)));
  }
  for (; i < to; i++) bits |= <i32>load<u8>(kind + i);
  let folded = i64x2.extract_lane(all, 0) | i64x2.extract_lane(all, 1);
  folded |= folded >> 32;
  folded |= folded >> 16;
  return bits | (<i32>(folded | folded >> 8) & 0xff);
}

/** Leave the fault that ended a batch. @returns `i` */
@inline export function stopped(v: i32, i: i32, fault: i32): i32 {
  store<i32>(v, fault, VCPU_OUT_FAULT);
  return i;
}

/** One access with all its pages; a modify loads, then stores. */
export function one(v: i32, va: u64, kind: i32, size: i32, pa: i32, extra: i32): i32 {
  const fault = pages(v, va, size, pa, accessOf(kind) | extra);
  return kind == MODIFY && fault == FAULT_NONE ? pages(v, va, size, 0, ACCESS_WRITE | extra) : fault;
}

function pages(v: i32, va: u64, size: i32, pa: i32, what: i32): i32 {
  let fault = access(v, <i32>(va >> 32), <i32>va, what);
  if (pa != 0 && fault == FAULT_NONE) store<u64>(pa, load<u64>(v, VCPU_OUT_LO));
  for (let left = (<i32>va & 0xfff) + size - 4096; left > 0 && fault == FAULT_NONE; left -= 4096) {
    va = (va & ~0xfff) + 4096;
    fault = accessAnew(v, <i32>(va >> 32), <i32>va, what);
  }
  return fault;
}
