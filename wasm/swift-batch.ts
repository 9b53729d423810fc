// The batch loop of timed mode in 64-bit paging where data accesses are not priced: nearly every access repeats one of the memos.
import { ACCESS_FETCH, ACCESS_RIGHTS, ACCESS_WRITE, FAULT_NONE } from "./fault";
import { CNT_HITS } from "../src/layout/counter";
import { HDR_DATA } from "../src/layout/header";
import { MODE_4LEVEL, MODE_5LEVEL, VCPU_MODE, VCPU_OUT_FAULT, VCPU_RIGHTS, VCPU_TIMED } from "../src/layout/vcpu";
import { accessOf, FETCH, one } from "./batch";
import { count } from "./counters";
import { memoAddress, memoEntry, memoMatches, memoSlot } from "./memo";
import { anewAddress, FAULTED, plainAnew, plainOf } from "./plain";
import { permits } from "./rights";

/** May a batch of a vCPU take this loop? */
export function swift(v: i32, extra: i32): bool {
  return load<i32>(v, VCPU_TIMED) && load<i32>(v, VCPU_MODE) >= MODE_4LEVEL && !load<i32>(0, HDR_DATA) && !(extra & (ACCESS_WRITE | ACCESS_FETCH));
}

/** runBatch() where swift() says so. */
export function runSwift(v: i32, va: i32, kind: i32, size: i32, pa: i32, from: i32, to: i32, extra: i32): i32 {
  const rights = v + VCPU_RIGHTS + ((extra & ACCESS_RIGHTS) << 3);
  for (let i = from; i < to; i++) {
    const x = load<u64>(va + (i << 3)), k = <i32>load<u8>(kind + i), bytes = <i32>load<u16>(size + (i << 1));
    const within = i32((<i32>x & 0xfff) + bytes <= 4096) & i32(k <= FETCH);
    const slot = memoSlot(v, k), row = rights + (accessOf(k) << 3), entry = memoEntry(slot);
    if (within & i32(memoMatches(slot, x)) & i32(permits(row, <i32>entry))) {
      count(v, CNT_HITS + k, 1);
      if (pa != 0) store<u64>(pa + (i << 3), memoAddress(entry, x));
      continue;
    }
    if (within & i32(canonical64(v, x))) {
      const d = plainOf(v, k), got = d != 0 ? plainAnew(v, d, x, accessOf(k) | extra) : anewAddress(v, x, accessOf(k) | extra);
      if (got >= FAULTED) {
        store<i32>(v, <i32>got, VCPU_OUT_FAULT);
        return i;
      }
      if (pa != 0) store<u64>(pa + (i << 3), got);
    } else {
      const fault = one(v, x, k, bytes, pa == 0 ? 0 : pa + (i << 3), extra);
      if (fault == FAULT_NONE) continue;
      store<i32>(v, fault, VCPU_OUT_FAULT);
      return i;
    }
  }
  return to;
}

@inline function canonical64(v: i32, va: u64): bool {
  const unused: u64 = load<i32>(v, VCPU_MODE) == MODE_5LEVEL ? 7 : 16;
  return <u64>((<i64>(va << unused)) >> unused) == va;
}
