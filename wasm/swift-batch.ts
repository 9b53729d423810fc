// Batches of timed mode in 64-bit paging where data accesses are not priced: loops over hits and over walks, and what neither of them makes.
import { ACCESS_FETCH, ACCESS_WRITE, FAULT_NONE } from "./fault";
import { HDR_DATA } from "../src/layout/header";
import { MODE_4LEVEL, VCPU_MODE, VCPU_TIMED } from "../src/layout/vcpu";
import { Ahead, GROUP } from "./ahead";
import { accessOf, FETCH, one, stopped } from "./batch";
import { flat } from "./charge";
import { hitBatch } from "./hit-batch";
import { FAULTED, searchAnew } from "./plain";
import { oddWalk, walkBatch } from "./walk-batch";
import { settle, TALLIED } from "./tally";

/** May a batch of a vCPU take this loop? */
export function swift(v: i32, extra: i32): bool {
  return load<i32>(v, VCPU_TIMED) && load<i32>(v, VCPU_MODE) >= MODE_4LEVEL && !load<i32>(0, HDR_DATA) && !(extra & (ACCESS_WRITE | ACCESS_FETCH));
}

/** runBatch() where swift() says so. @param rights - row of the rights table for a read */
export function runSwift(v: i32, va: i32, kind: i32, size: i32, pa: i32, from: i32, to: i32, extra: i32, rights: i32): i32 {
  if (flat()) extra |= TALLIED;
  let tried = -1; // the access at which the loop over walks ended
  for (let i = from; (i = hitBatch(v, va, kind, size, pa, i, to, rights)) < to; i++) {
    const x = load<u64>(va + (i << 3)), k = <i32>load<u8>(kind + i), bytes = <i32>load<u16>(size + (i << 1)), at = pa == 0 ? 0 : pa + (i << 3);
    if (i32((<i32>x & 0xfff) + bytes > 4096) | i32(k > FETCH)) {
      settle(v); // a device may throw
      const fault = one(v, x, k, bytes, at, extra & ~TALLIED);
      if (fault != FAULT_NONE) return ended(v, i, fault);
      continue;
    }
    if (Ahead.walks >= GROUP && i != tried && extra & TALLIED) {
      tried = walkBatch(v, va, kind, size, pa, i, to, rights);
      const odd = tried < 0, next = odd ? ~tried : tried;
      Ahead.walks = min(2 * GROUP, Ahead.walks + (next - i) - 2);
      if (odd) {
        const fault = oddWalk(v, va, kind, pa, next, extra);
        if (fault != FAULT_NONE) return ended(v, next, fault);
        i = next;
        continue;
      }
      if (next != i) {
        i = next - 1;
        continue;
      }
    }
    if (!(extra & TALLIED)) settle(v); // hits may be noted all the same, and a device may throw
    const got = searchAnew(v, x, accessOf(k) | extra);
    if (got >= FAULTED) return ended(v, i, <i32>got);
    if (at != 0) store<u64>(at, got);
  }
  settle(v);
  return to;
}

function ended(v: i32, i: i32, fault: i32): i32 {
  settle(v);
  return stopped(v, i, fault);
}
