// Reading ahead: while one access of a batch walks, the entry that the next is likely to need comes into the host's cache. Nothing but time depends
// on it: the words read are thrown away.
import { HDR_LOW_BYTES, HDR_LOW_FRAMES } from "../src/layout/header";
import { ENTRY_ADDRESS } from "./walk";

export namespace Ahead {
  /** Where the last walk found its level-2 table: byte offset in machine memory; 0 = it read none, or this was used. */
  export let table: i32 = 0;
  /** ... and which addresses that table translates: bits 47:30. */
  export let region: u64 = 0;
  export let sink: u64 = 0;
}

/** Read the level-1 entry of an address, if it is in the region of the last walk. */
@inline export function readAhead(va: u64): void {
  const table = Ahead.table;
  Ahead.table = 0; // until the next walk: where there are none, this costs nothing
  if (va >> 30 != Ahead.region) return;
  const pa = (load<u64>(table + (<i32>(va >> 18) & 0xff8)) & ENTRY_ADDRESS) + ((va >> 9) & 0xff8);
  if (pa >> 12 < <u64>load<u32>(0, HDR_LOW_FRAMES)) Ahead.sink = load<u64>(load<i32>(0, HDR_LOW_BYTES) + <i32>pa);
}
