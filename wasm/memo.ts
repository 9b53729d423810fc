// The first-level entry that was touched last: see src/mmu/memo.ts.
import { TLBD_HI_ADDR } from "../src/layout/tlb";
import { MEMO_ENTRY, MEMO_SIZE_SHIFT, UNPLAIN_KEYS, VCPU_MEMO, VCPU_MEMO_OF, VCPU_UNPLAIN } from "../src/layout/vcpu";

const ADDRESS: u64 = (<u64>TLBD_HI_ADDR << 32) | 0xfffff000;
const SIZE_SHIFT: u64 = 32 + MEMO_SIZE_SHIFT;

/** Byte offset of the slot that a service uses; that of the vCPU block, which never matches, if it uses none. */
@inline export function memoSlot(v: i32, service: i32): i32 {
  return load<i32>(v + (service << 2), VCPU_MEMO_OF);
}

/** Is the slot about the page of a linear address? */
@inline export function memoMatches(slot: i32, va: u64): bool {
  return load<u64>(slot) == (va | 0xfff);
}

@inline export function memoEntry(slot: i32): u64 {
  return load<u64>(slot, MEMO_ENTRY);
}

/** Physical address of `va` by an entry that matches. */
@inline export function memoAddress(entry: u64, va: u64): u64 {
  return (entry & ADDRESS) | (va & 0xfff);
}

@inline export function memoSize(entry: u64): i32 {
  return <i32>(entry >> SIZE_SHIFT);
}

/** Remember a hit: TLB data, size code, and the physical address it gave. */
@inline export function memoPut(v: i32, slot: i32, va: u64, size: i32, data: u64, pa: u64): void {
  if (slot == v || load<i32>(v, VCPU_UNPLAIN) & UNPLAIN_KEYS) return;
  store<u64>(slot, va | 0xfff);
  store<u64>(slot, (pa & ~0xfff) | (data & 0xfff) | (<u64>size << SIZE_SHIFT), MEMO_ENTRY);
}

@inline export function memoClear(v: i32, slot: i32): void {
  if (slot != v) store<u64>(slot, 0);
}

export function memoDrop(v: i32): void {
  store<u64>(v, 0, VCPU_MEMO);
  store<u64>(v, 0, VCPU_MEMO + 16);
  store<u64>(v, 0, VCPU_MEMO + 32);
}
