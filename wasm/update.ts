// The common case of the hypercall mmu_update. See src/frames/update.ts.
import { PTE_A, PTE_D, PTE_G, PTE_P, PTE_US } from "../src/arch/pte";
import {
  FRAME_OWNER, FRAME_TYPE, MMU_NORMAL_PT_UPDATE, MMU_PT_UPDATE_NO_TRANSLATE, MMU_PT_UPDATE_PRESERVE_AD, MMU_UPDATE_BYTES, PGT_COUNT,
  PGT_COUNT_MOST, PGT_L1_TABLE, PGT_LOCKED, PGT_TYPE_MASK, PGT_VALIDATED,
} from "../src/layout/frame";
import { HDR_ATOMIC, HDR_FRAME_LIMIT, HDR_FRAME_TABLE } from "../src/layout/header";
import { VCPU_OWED } from "../src/layout/vcpu";
import { joined } from "./array";
import { casEntry, storeEntry } from "./entry";
import { bytesOf } from "./extents";
import { kept, rowOf, stoppingBits } from "./frames";
import { DONE, OWING, putReferences, STOPPED, takeReferences } from "./references";

const AD: u64 = PTE_A | PTE_D;
const AVAIL: u64 = 0xe00;
const NOT_ADDRESS: u64 = 0xfff0_0000_0000_0000;
const MATTER: u64 = ~(NOT_ADDRESS | PTE_US | AD | PTE_G | AVAIL);
const READY = PGT_L1_TABLE | PGT_VALIDATED;
const READY_MASK = PGT_TYPE_MASK | PGT_VALIDATED | PGT_LOCKED | PGT_COUNT_MOST;

export function updateEntries(v: i32, requests: i32, count: i32, owner: i32, stop: i32, adjust: i32): i32 {
  const bits = stoppingBits(stop), beyond = stoppingBits(0);
  for (let i = 0; i < count; i++) {
    const r = requests + i * MMU_UPDATE_BYTES;
    const how = update(v, load<u64>(r), load<u64>(r, 8), owner, bits, beyond, adjust);
    if (how != DONE) return how == STOPPED ? i : i + 1;
  }
  return count;
}

export function updateEntry(v: i32, ptrHi: i32, ptrLo: i32, valHi: i32, valLo: i32, owner: i32, stop: i32, adjust: i32): i32 {
  return update(v, joined(ptrHi, ptrLo), joined(valHi, valLo), owner, stoppingBits(stop), stoppingBits(0), adjust);
}

function update(v: i32, ptr: u64, value: u64, owner: i32, bits: u64, beyond: u64, adjust: i32): i32 {
  const command = <i32>ptr & 7;
  if (load<i32>(0, HDR_FRAME_LIMIT) == 0) return STOPPED;
  if (command != MMU_NORMAL_PT_UPDATE && command != MMU_PT_UPDATE_PRESERVE_AD && command != MMU_PT_UPDATE_NO_TRANSLATE) return STOPPED;
  if (ptr & (NOT_ADDRESS | beyond) || (<i32>value & PTE_P && value & bits)) return STOPPED;
  const row = rowOf(load<i32>(0, HDR_FRAME_TABLE), ptr), at = bytesOf(ptr & ~7);
  if (at == 0 || <i32>load<u16>(row, FRAME_OWNER) != owner || !ready(load<i32>(row, FRAME_TYPE))) return STOPPED;
  const e = adjust && <i32>value & PTE_P ? kept(value) : value;
  if (!load<i32>(0, HDR_ATOMIC)) return replace(v, at, e, owner, command, beyond);
  if (!lock(row, owner)) return STOPPED;
  const how = replace(v, at, e, owner, command, beyond);
  unlock(row);
  return how;
}

@inline function ready(type: i32): bool {
  return ((type ^ READY) & READY_MASK) == 0 && (type & PGT_COUNT) != 0;
}

/** Acquire what the new entry needs, swap, release what the old one held. */
function replace(v: i32, at: i32, e: u64, owner: i32, command: i32, beyond: u64): i32 {
  const old = load<u64>(at), same = ((e ^ old) & MATTER) == 0, rows = load<i32>(0, HDR_FRAME_TABLE);
  if (<i32>e & PTE_P && !same && takeReferences(v, e, rowOf(rows, e), owner) == STOPPED) return STOPPED;
  if (command != MMU_PT_UPDATE_PRESERVE_AD) storeEntry(at, e);
  else for (let now = old; !casEntry(at, now, e | (now & AD));) now = atomic.load<u64>(at);
  if (same || !(<i32>old & PTE_P)) return DONE;
  const how = old & beyond ? STOPPED : putReferences(v, old, rowOf(rows, old), owner);
  if (how == STOPPED) store<u64>(v, old, VCPU_OWED);
  return how == DONE ? DONE : OWING;
}

function lock(row: i32, owner: i32): bool {
  let type = atomic.load<i32>(row, FRAME_TYPE);
  while (ready(type)) {
    const now = atomic.cmpxchg<i32>(row, type, (type + 1) | PGT_LOCKED, FRAME_TYPE);
    if (now == type) {
      if (<i32>atomic.load<u16>(row, FRAME_OWNER) == owner) return true;
      unlock(row);
      return false;
    }
    type = now;
  }
  return false;
}

function unlock(row: i32): void {
  let type = atomic.load<i32>(row, FRAME_TYPE);
  while (true) {
    const now = atomic.cmpxchg<i32>(row, type, (type - 1) & ~PGT_LOCKED, FRAME_TYPE);
    if (now == type) return;
    type = now;
  }
}
