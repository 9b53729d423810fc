// The batch loop of timed mode in 64-bit paging where data accesses are not priced: nearly every access repeats one of the memos.
import { ACCESS_FETCH, ACCESS_WRITE, FAULT_NONE } from "./fault";
import { CNT_HITS } from "../src/layout/counter";
import { HDR_DATA } from "../src/layout/header";
import { MODE_4LEVEL, VCPU_MODE, VCPU_TIMED } from "../src/layout/vcpu";
import { Ahead, GROUP } from "./ahead";
import { accessOf, FETCH, one, stopped } from "./batch";
import { flat } from "./charge";
import { count } from "./counters";
import { memoAddress, memoEntry, memoMatches, memoSlot } from "./memo";
import { FAULTED, searchAnew } from "./plain";
import { permits } from "./rights";
import { oddWalk, walkBatch } from "./walk-batch";
import { settle, TALLIED } from "./tally";

/** May a batch of a vCPU take this loop? */
export function swift(v: i32, extra: i32): bool {
  return load<i32>(v, VCPU_TIMED) && load<i32>(v, VCPU_MODE) >= MODE_4LEVEL && !load<i32>(0, HDR_DATA) && !(extra & (ACCESS_WRITE | ACCESS_FETCH));
}

/** runBatch() where swift() says so. @param rights - row of the rights table for a read */
export function runSwift(v: i32, va: i32, kind: i32, size: i32, pa: i32, from: i32, to: i32, extra: i32, rights: i32): i32 {
  if (flat()) extra |= TALLIED;
  let tried = -1;
  for (let i = from; i < to; i++) {
    const x = load<u64>(va + (i << 3)), k = <i32>load<u8>(kind + i), bytes = <i32>load<u16>(size + (i << 1)), what = accessOf(k);
    const slot = memoSlot(v, k), entry = memoEntry(slot), plain = i32((<i32>x & 0xfff) + bytes <= 4096) & i32(k <= FETCH);
    if (plain & i32(memoMatches(slot, x)) & i32(permits(rights + (what << 3), <i32>entry))) {
      count(v, CNT_HITS + k, 1);
      if (pa != 0) store<u64>(pa + (i << 3), memoAddress(entry, x));
    } else if (plain) {
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
      const got = searchAnew(v, x, what | extra);
      if (got >= FAULTED) return ended(v, i, <i32>got);
      if (pa != 0) store<u64>(pa + (i << 3), got);
    } else {
      settle(v); // a device may throw
      const fault = one(v, x, k, bytes, pa == 0 ? 0 : pa + (i << 3), extra & ~TALLIED);
      if (fault != FAULT_NONE) return ended(v, i, fault);
    }
  }
  settle(v);
  return to;
}

function ended(v: i32, i: i32, fault: i32): i32 {
  settle(v);
  return stopped(v, i, fault);
}
