// Where a host put the guest's frames, and its entries for them: see src/cost/host-model.ts.

const HOST_TABLES_HI = 1 << 20;

export function hostFrameLo(hi: i32, lo: i32): i32 {
  let frame = ((lo >>> 12) ^ (hi * <i32>0x9e3779b1)) & 0xfffff;
  frame = ((frame ^ (frame >>> 11)) * 0x5bd1e995) & 0xfffff;
  frame = ((frame ^ (frame >>> 9)) * 0x2c1b3c6d) & 0xfffff;
  frame ^= frame >>> 10;
  return (frame << 12) | (lo & 0xfff);
}

/** Address of the host's level-1 entry for the guest frame at `pa`. */
export function hostEntry(pa: u64): u64 {
  return (<u64>HOST_TABLES_HI << 32) | ((pa >> 12) << 3);
}
