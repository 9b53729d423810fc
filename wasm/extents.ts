// Which machine frames exist. What has no bytes here is read and written by its device, through two functions of the host.
import {
  EXTK_BACKED, EXTK_MMIO, EXTK_UNBACKED, EXT_BASE_LO, EXT_FRAMES, EXT_KIND, EXT_NODE, EXT_STRIDE, EXT_WORD,
} from "../src/layout/extent";
import { HDR_EXTENTS, HDR_EXTENT_BASE, HDR_LOW_BYTES, HDR_LOW_FRAMES, HDR_OPEN_BUS } from "../src/layout/header";
import { joined } from "./array";

/** Ask the device at a physical address: src/memory/extents.ts readBus(). Called for frames of MMIO extents only. */
@external("env", "busRead")
declare function busRead(paHi: i32, paLo: i32, bytes: i32): u64;

/** Tell the device at a physical address: src/memory/extents.ts writeBus(), 4 bytes. */
@external("env", "busWrite")
declare function busWrite(paHi: i32, paLo: i32, value: i32): void;

/** Row of the extent that holds a frame, 0 if none. */
function rowOf(frame: u64): i32 {
  let row = load<i32>(0, HDR_EXTENT_BASE);
  for (let n = load<i32>(0, HDR_EXTENTS); n > 0; n--, row += EXT_STRIDE) {
    const base = load<u64>(row, EXT_BASE_LO);
    if (frame < base) return 0;
    if (frame - base < load<u64>(row, EXT_FRAMES)) return row;
  }
  return 0;
}

/** Byte offset in machine memory of physical address `pa`, 0 if it has no bytes here. */
@inline export function bytesOf(pa: u64): i32 {
  if (pa >> 12 < <u64>load<u32>(0, HDR_LOW_FRAMES)) return load<i32>(0, HDR_LOW_BYTES) + <i32>pa;
  return bytesElsewhere(pa);
}

function bytesElsewhere(pa: u64): i32 {
  const row = rowOf(pa >> 12);
  if (row == 0 || load<i32>(row, EXT_KIND) != EXTK_BACKED) return 0;
  return (load<i32>(row, EXT_WORD) << 2) + (<i32>((pa >> 12) - load<u64>(row, EXT_BASE_LO)) << 12) + (<i32>pa & 0xfff);
}

/** Frames with bytes, one after the other in machine memory too, from frame `frame` on; 0 if it has none. */
export function backedRun(frame: u64): i32 {
  const row = rowOf(frame);
  if (row == 0 || load<i32>(row, EXT_KIND) != EXTK_BACKED) return 0;
  return <i32>(load<u64>(row, EXT_BASE_LO) + load<u64>(row, EXT_FRAMES) - frame);
}

export function nodeOf(pa: u64): i32 {
  const row = rowOf(pa >> 12);
  return row == 0 ? 0 : load<i32>(row, EXT_NODE);
}

/** Read 4 or 8 bytes where there are no backed bytes. */
export function readBus(pa: u64, bytes: i32): u64 {
  const row = rowOf(pa >> 12), kind = row == 0 ? 0 : load<i32>(row, EXT_KIND);
  if (kind == EXTK_MMIO) return busRead(<i32>(pa >> 32), <i32>pa, bytes);
  const open = load<u32>(0, HDR_OPEN_BUS);
  return kind == EXTK_UNBACKED ? 0 : joined(open, open);
}

/** Write 4 bytes where there are no backed bytes: only a device notices. */
export function writeBus(pa: u64, value: i32): void {
  const row = rowOf(pa >> 12);
  if (row != 0 && load<i32>(row, EXT_KIND) == EXTK_MMIO) busWrite(<i32>(pa >> 32), <i32>pa, value);
}
