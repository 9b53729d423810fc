// Counting in batches: a hit of the second level changes three counters, a walk seven. A batch notes one number for each, and settles at its end
// and before anything that may throw.
import { CNT_DEPTH, CNT_HITS, CNT_LOAD_CYCLES, CNT_MISS_SIZE, CNT_REF_HITS, CNT_SLOW, CNT_WALK_CYCLES } from "../src/layout/counter";
import { HDR_MEMORY_CYCLES, HDR_WALK_CYCLES } from "../src/layout/header";
import { PLAIN_BYTES, TALLY_LONG, TALLY_SECOND, TALLY_SHORT, VCPU_COUNTERS, VCPU_PLAIN, VCPU_TALLY } from "../src/layout/vcpu";
import { IN_MEMORY } from "./charge";

/** Added to an access of a batch: count it here. Only where every entry of a walk costs the same. */
export const TALLIED = 1 << 29;

const FROM_PLAIN = VCPU_TALLY - VCPU_PLAIN;

/** Note one more. @param d - what the service needs, in VCPU_PLAIN @param what - TALLY_* */
@inline export function tally(d: i32, what: i32): void {
  const at = d + what;
  store<i32>(at, load<i32>(at, FROM_PLAIN) + 1, FROM_PLAIN);
}

/** Count what was noted. */
export function settle(v: i32): void {
  for (let service = 0; service < 3; service++) {
    const t = v + VCPU_TALLY + service * PLAIN_BYTES;
    const second = <u64>load<u32>(t, TALLY_SECOND), short = <u64>load<u32>(t, TALLY_SHORT), long = <u64>load<u32>(t, TALLY_LONG);
    const walks = short + long, refs = walks + long, slow = second + walks;
    if (slow == 0) continue;
    add(v, CNT_SLOW + service, slow);
    add(v, CNT_HITS + 3 + service, second);
    add(v, CNT_MISS_SIZE, slow);
    add(v, CNT_MISS_SIZE + 3, walks);
    add(v, CNT_DEPTH + 1, short);
    add(v, CNT_DEPTH + 2, long);
    add(v, CNT_REF_HITS + IN_MEMORY, refs);
    add(v, CNT_LOAD_CYCLES, refs * <u64>load<i32>(0, HDR_MEMORY_CYCLES));
    add(v, CNT_WALK_CYCLES, walks * <u64>load<i32>(0, HDR_WALK_CYCLES));
    store<u64>(t, 0, TALLY_SECOND); // and TALLY_SHORT
    store<i32>(t, 0, TALLY_LONG);
  }
}

@inline function add(v: i32, counter: i32, n: u64): void {
  const at = v + (counter << 3);
  store<u64>(at, load<u64>(at, VCPU_COUNTERS) + n, VCPU_COUNTERS);
}
