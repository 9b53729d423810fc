// The only module that writes paging-structure entries. `at` is the entry's byte offset in machine memory.
//
// They are read by plain loads of 8 bytes, aligned, each once: 64-bit hosts make them whole, though WebAssembly ("Relaxed Memory Model") promises that
// of atomic loads only.
import { HDR_ATOMIC } from "../src/layout/header";

/** Replace an 8-byte entry if it still holds `old`; false if another vCPU changed it first. */
export function casEntry(at: i32, old: u64, value: u64): bool {
  if (load<i32>(0, HDR_ATOMIC)) return atomic.cmpxchg<u64>(at, old, value) == old;
  if (load<u64>(at) != old) return false;
  store<u64>(at, value);
  return true;
}

/** The same for a 4-byte entry of 32-bit paging. */
export function casEntry32(at: i32, old: u32, value: u32): bool {
  if (load<i32>(0, HDR_ATOMIC)) return atomic.cmpxchg<u32>(at, old, value) == old;
  if (load<u32>(at) != old) return false;
  store<u32>(at, value);
  return true;
}

/** Store a whole 8-byte entry, whatever was there. Never torn for other vCPUs. */
export function storeEntry(at: i32, value: u64): void {
  if (load<i32>(0, HDR_ATOMIC)) atomic.store<u64>(at, value);
  else store<u64>(at, value);
}
