// 64-bit counters of a vCPU, little-endian, so that both engines can add to them.
import { VCPU_COUNTERS } from "../src/layout/vcpu";

@inline export function count(v: i32, counter: i32, n: i32): void {
  const at = v + (counter << 3);
  store<i64>(at, load<i64>(at, VCPU_COUNTERS) + <i64>n, VCPU_COUNTERS);
}
