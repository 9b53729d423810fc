// Reading ahead: where a batch walks for nearly every access, the entries that the next ones are likely to need come into the host's cache. They
// are read together, for the host then waits for them together. Nothing but time depends on it: the words read are thrown away.
import { HDR_LOW_BYTES, HDR_LOW_FRAMES } from "../src/layout/header";
import { ENTRY_ADDRESS } from "./walk";

/** Accesses read ahead for at once; so many walks more than other accesses say that nearly every one walks. */
export const GROUP = 16;

export namespace Ahead {
  /** Where the last walk that read a level-2 entry found it: byte offset of the table in machine memory; 0 = there was none. */
  export let table: i32 = 0;
  /** ... and which addresses that table translates: bits 47:30. */
  export let region: u64 = 0;
  /** Walks of late: grows with each, and shrinks with other accesses where that is what is tried. */
  export let walks: i32 = 0;
  /** Up to where the addresses of a batch were read ahead for: a byte offset. */
  export let end: i32 = 0;
  export let sink: u64 = 0;
}

/** Read the level-1 entries of the addresses at `va` up to `end`, where they are in the region of the last walk. */
export function readAhead(va: i32, end: i32): void {
  const table = Ahead.table, region = Ahead.region, frames = <u64>load<u32>(0, HDR_LOW_FRAMES), bytes = load<i32>(0, HDR_LOW_BYTES);
  Ahead.end = end;
  let sum: u64 = 0;
  for (; va != end; va += 8) {
    const x = load<u64>(va);
    if (x >> 30 != region) continue;
    const pa = (load<u64>(table + (<i32>(x >> 18) & 0xff8)) & ENTRY_ADDRESS) + ((x >> 9) & 0xff8);
    if (pa >> 12 < frames) sum += load<u64>(bytes + <i32>pa);
  }
  Ahead.sink = sum;
}
