// One access: look in the TLBs, else walk; remember what was found, or forget what was cached if it faults. See src/mmu/translate.ts.
import { ACCESS_STACK, ACCESS_WRITE, FAULT_GP, FAULT_NONE, FAULT_PF, FAULT_SS } from "./fault";
import { CNT_AD_SETS, CNT_DEPTH, CNT_FAULTS, CNT_HITS, CNT_MISS_SIZE, CNT_SLOW } from "../src/layout/counter";
import { FAST_PA, FAST_READ, FAST_WRITE } from "../src/layout/fast-table";
import { HDR_HOST_LEVEL } from "../src/layout/header";
import {
  MODE_4LEVEL, MODE_LEGACY, MODE_NONE, PLAIN_BYTES, VCPU_CR2_LO, VCPU_MODE, VCPU_NESTED, VCPU_OUT_CYCLES, VCPU_OUT_DATA_LO, VCPU_OUT_GLOBAL, VCPU_OUT_HIT, VCPU_OUT_LEVEL, VCPU_OUT_LO, VCPU_OUT_REFS, VCPU_OUT_SIZE,
  VCPU_OUT_START, VCPU_PLAIN, VCPU_TAG_PCID, VCPU_TIMED, VCPU_TLB_CYCLES, VCPU_TLB_LEVELS,
} from "../src/layout/vcpu";
import { Ahead, GROUP } from "./ahead";
import { joined } from "./array";
import { charge } from "./charge";
import { count } from "./counters";
import { fastClass, fastFill, fastHit, fastRow } from "./fast-table";
import { canonical, dropFaulting } from "./invalidate";
import { pscFill, pscStart } from "./psc";
import { memoAddress, memoClear, memoEntry, memoMatches, memoPut, memoSize, memoSlot } from "./memo";
import { FAULTED, fillBoth, ownOf, searchAnew, SINGLE } from "./plain";
import { permits, rightsRow } from "./rights";
import { addressOf, behindOther, DATA_BITS, fillLevel, fragmentLo, globalIn, look, NO_ENTRY, NUMBER, probeList, REFUSED_ENTRY, serviceOf, sizeIn } from "./tlb";
import { walkOne } from "./walk-one";
import { findLeafLong } from "./walk-long";
import { ANOTHER, wholeWalk } from "./whole-walk";
import { checkLeaf, findLeaf, markEntries, pageFault, walkRoot } from "./walk";

/** Two-dimensional walks are TypeScript's: see src/virt/nested-walk.ts. */
@external("env", "nestedWalk")
declare function nestedWalk(v: i32, vaHi: i32, vaLo: i32, access: i32, cached: bool): i32;

/** Translate and price one access inside a 4K page. @returns FAULT_NONE or a fault */
export function access(v: i32, vaHi: i32, vaLo: i32, kind: i32): i32 {
  const va = joined(vaHi, vaLo), service = serviceOf(kind), slot = memoSlot(v, service), entry = memoEntry(slot);
  if (i32(memoMatches(slot, va)) & i32(permits(rightsRow(v, kind), <i32>entry))) {
    repeated(v, service, va, entry);
    store<i32>(v, load<i32>(v, VCPU_TLB_CYCLES), VCPU_OUT_CYCLES); // where data accesses are priced, no slot is filled
    return FAULT_NONE;
  }
  return accessAnew(v, vaHi, vaLo, kind);
}

/** access() without a look at the memo, which is not likely to help. */
export function accessAnew(v: i32, vaHi: i32, vaLo: i32, kind: i32): i32 {
  const va = joined(vaHi, vaLo);
  return Ahead.walks >= GROUP ? walkOne(v, va, kind) : accessSearched(v, va, kind);
}

/** accessAnew() where accesses that walk are few. */
@inline export function accessSearched(v: i32, va: u64, kind: i32): i32 {
  if (load<i32>(v, VCPU_TIMED) && load<i32>(v, VCPU_MODE) >= MODE_4LEVEL) {
    const got = searchAnew(v, va, kind | SINGLE);
    return got < FAULTED ? FAULT_NONE : <i32>got;
  }
  const fault = translate(v, <i32>(va >> 32), <i32>va, kind);
  if (load<i32>(v, VCPU_TIMED)) charge(v, fault != FAULT_NONE);
  return fault;
}

/** @param v - byte offset of the vCPU block */
export function translate(v: i32, vaHi: i32, vaLo: i32, access: i32): i32 {
  const mode = load<i32>(v, VCPU_MODE);
  if (mode < MODE_4LEVEL) {
    vaHi = 0; // outside 64-bit mode linear addresses have 32 bits
    if (mode == MODE_NONE) return unpaged(v, vaLo, access);
  } else if (!canonical(v, vaHi)) return notCanonical(v, access);
  const va = joined(vaHi, vaLo);
  if (!load<i32>(v, VCPU_TIMED)) return functional(v, va, access);
  const service = serviceOf(access), slot = memoSlot(v, service), row = rightsRow(v, access);
  if (!memoMatches(slot, va) || !permits(row, <i32>memoEntry(slot))) return searched(v, service, va, access, row);
  repeated(v, service, va, memoEntry(slot));
  return FAULT_NONE;
}

/** The entry of the memo again. */
@inline export function repeated(v: i32, service: i32, va: u64, entry: u64): void {
  store<u64>(v, memoAddress(entry, va), VCPU_OUT_LO);
  store<u64>(v, <u64>memoSize(entry) | (1 << 32), VCPU_OUT_SIZE); // and VCPU_OUT_HIT
  count(v, CNT_HITS + service, 1);
}

/** Search the TLBs, and walk if none has it. @param row - of the rights table */
function searched(v: i32, service: i32, va: u64, access: i32, row: i32): i32 {
  const found = look(probeList(v, service, 1), va, <u64>load<u32>(v, VCPU_TAG_PCID) << 32, row), slot = memoSlot(v, service);
  if (found <= REFUSED_ENTRY) {
    memoClear(v, slot);
    return beyondFirst(v, service, va, access, row, found != NO_ENTRY);
  }
  const size = sizeIn(found), pa = addressOf(found & DATA_BITS, va, size);
  if (behindOther(found)) memoClear(v, slot);
  else memoPut(v, slot, va, size, found & DATA_BITS, pa);
  store<u64>(v, pa, VCPU_OUT_LO);
  store<i32>(v, size, VCPU_OUT_SIZE);
  store<i32>(v, 1, VCPU_OUT_HIT);
  count(v, CNT_HITS + service, 1);
  return FAULT_NONE;
}

/** The walk of an access through a plain TLB (plain.ts) that has no entry for the page, with its price. */
export function missedPlain(v: i32, d: i32, va: u64, access: i32): i32 {
  const whole = wholeWalk(v, d, va, access);
  if (whole != ANOTHER) return whole;
  const service = serviceOf(access);
  memoClear(v, memoSlot(v, service));
  count(v, CNT_SLOW + service, 1);
  store<i32>(v, 0, VCPU_OUT_HIT);
  const fault = walk(v, va, access, true);
  if (fault == FAULT_NONE) {
    pscFill(v, va);
    const size = usableSize(v, <i32>va), data = load<u64>(v, VCPU_OUT_DATA_LO), isGlobal = load<i32>(v, VCPU_OUT_GLOBAL) != 0;
    if (load<i32>(v, VCPU_OUT_LEVEL) == 1 && !isGlobal) fillBoth(d, ownOf(v, (va >> 12) & NUMBER), data);
    else for (let l = 1; l <= 2; l++) fillLevel(v, probeList(v, service, l), va, size, data, isGlobal, true);
    setAddress(v, va, size);
    countMisses(v, 2, size);
  }
  charge(v, fault != FAULT_NONE);
  return fault;
}

/** An access to a canonical address in 64-bit paging and timed mode, with its price, where the memo did not answer. */
export function anew(v: i32, va: u64, access: i32): i32 {
  const fault = searched(v, serviceOf(access), va, access, rightsRow(v, access));
  charge(v, fault != FAULT_NONE);
  return fault;
}

export function notCanonical(v: i32, access: i32): i32 {
  store<i32>(v, 0, VCPU_OUT_HIT);
  store<i32>(v, 0, VCPU_OUT_REFS);
  store<i32>(v, 0, VCPU_OUT_CYCLES);
  count(v, CNT_SLOW + serviceOf(access), 1);
  count(v, CNT_FAULTS, 1);
  return access & ACCESS_STACK ? FAULT_SS : FAULT_GP;
}

function unpaged(v: i32, vaLo: i32, access: i32): i32 {
  count(v, CNT_SLOW + serviceOf(access), 1);
  store<u64>(v, <u64>(<u32>vaLo), VCPU_OUT_LO);
  store<i32>(v, 0, VCPU_OUT_SIZE);
  store<i32>(v, 0, VCPU_OUT_HIT);
  store<i32>(v, 0, VCPU_OUT_REFS);
  store<i32>(v, 0, VCPU_OUT_LEVEL);
  store<i32>(v, 0, VCPU_OUT_START);
  return FAULT_NONE;
}

/** @param row - of the rights table @param refused - the first level holds an entry that does not permit the access */
function beyondFirst(v: i32, service: i32, va: u64, access: i32, row: i32, refused: bool): i32 {
  count(v, CNT_SLOW + service, 1);
  const levels = load<i32>(v, VCPU_TLB_LEVELS), pcid = <u64>load<u32>(v, VCPU_TAG_PCID) << 32;
  let dirty = refused ? 2 : 0; // bit l: level l holds an entry that a new one replaces
  for (let level = 2; level <= levels; level++) {
    const found = look(probeList(v, service, level), va, pcid, row);
    if (found > REFUSED_ENTRY) return laterHit(v, service, va, level, found, dirty);
    dirty |= <i32>found << level;
  }
  store<i32>(v, 0, VCPU_OUT_HIT);
  return walked(v, service, va, access, dirty);
}

/** A level after the first has it: copy it into the levels before. */
@inline function laterHit(v: i32, service: i32, va: u64, level: i32, found: u64, dirty: i32): i32 {
  const size = sizeIn(found), data = found & DATA_BITS, isGlobal = globalIn(found);
  for (let l = 1; l < level; l++) fillLevel(v, probeList(v, service, l), va, size, data, isGlobal != 0, !((dirty >>> l) & 1));
  store<u64>(v, data, VCPU_OUT_DATA_LO);
  store<i32>(v, size, VCPU_OUT_SIZE);
  store<i32>(v, isGlobal, VCPU_OUT_GLOBAL);
  store<i32>(v, level, VCPU_OUT_HIT);
  store<u64>(v, addressOf(data, va, size), VCPU_OUT_LO);
  count(v, CNT_HITS + (level - 1) * 3 + service, 1);
  countMisses(v, level - 1, size);
  return FAULT_NONE;
}

/** No TLB level has it: walk, and fill the structures on the way. */
function walked(v: i32, service: i32, va: u64, access: i32, dirty: i32): i32 {
  const fault = walk(v, va, access, true);
  if (fault != FAULT_NONE) return fault;
  pscFill(v, va);
  const size = usableSize(v, <i32>va), levels = load<i32>(v, VCPU_TLB_LEVELS), data = load<u64>(v, VCPU_OUT_DATA_LO);
  const isGlobal = load<i32>(v, VCPU_OUT_GLOBAL) != 0;
  for (let l = 1; l <= levels; l++) fillLevel(v, probeList(v, service, l), va, size, data, isGlobal, !((dirty >>> l) & 1));
  setAddress(v, va, size);
  countMisses(v, levels, size);
  return FAULT_NONE;
}

@inline function countMisses(v: i32, levels: i32, size: i32): void {
  for (let l = 0; l < levels; l++) count(v, CNT_MISS_SIZE + l * 3 + size, 1);
}

function functional(v: i32, va: u64, access: i32): i32 {
  const table = fastClass(access);
  if (table >= 0) {
    const row = fastRow(v, table, va);
    if (fastHit(row, va)) {
      store<u64>(v, load<u64>(row, FAST_PA) | (va & 0xfff), VCPU_OUT_LO);
      store<i32>(v, 0, VCPU_OUT_SIZE);
      store<i32>(v, 1, VCPU_OUT_HIT);
      count(v, CNT_HITS + serviceOf(access), 1);
      return FAULT_NONE;
    }
  }
  return functionalWalk(v, va, access, table);
}

function functionalWalk(v: i32, va: u64, access: i32, table: i32): i32 {
  store<i32>(v, 0, VCPU_OUT_HIT);
  count(v, CNT_SLOW + serviceOf(access), 1);
  const fault = walk(v, va, access, false);
  if (fault != FAULT_NONE) return fault;
  setAddress(v, va, usableSize(v, <i32>va));
  if (table < 0) return FAULT_NONE;
  fastFill(v, table, va);
  if (access & ACCESS_WRITE) fastFill(v, table - FAST_WRITE + FAST_READ, va); // who may write may read
  return FAULT_NONE;
}

/** Walk, from the paging-structure caches if `cached`, until no other vCPU interferes. */
function walk(v: i32, va: u64, access: i32, cached: bool): i32 {
  store<i32>(v, 0, VCPU_OUT_REFS);
  if (load<i32>(v, VCPU_NESTED)) {
    const ended = nestedWalk(v, <i32>(va >> 32), <i32>va, access, cached);
    return ended == FAULT_NONE ? ended : faulted(v, va, ended);
  }
  let fault = FAULT_NONE, changed = 0;
  do {
    if (!walkRoot(v, va)) fault = pageFault(v, access, 0);
    else {
      if (cached) pscStart(v, va);
      fault = load<i32>(v, VCPU_MODE) >= MODE_4LEVEL ? findLeafLong(v, va, access) : findLeaf(v, va, access);
      if (fault == FAULT_NONE) fault = checkLeaf(v, access);
    }
    if (fault == FAULT_NONE) changed = markEntries(v, access);
  } while (changed < 0 && fault == FAULT_NONE);
  count(v, CNT_DEPTH + load<i32>(v, VCPU_OUT_REFS), 1);
  if (fault != FAULT_NONE) return faulted(v, va, fault);
  if (changed > 0) count(v, CNT_AD_SETS, changed);
  return FAULT_NONE;
}

function faulted(v: i32, va: u64, fault: i32): i32 {
  count(v, CNT_FAULTS, 1);
  if (fault >>> 16 == FAULT_PF >>> 16) store<u64>(v, va, VCPU_CR2_LO);
  dropFaulting(v, va);
  return fault;
}

/** Size code the translation may be cached at; VCPU_OUT_DATA_LO is narrowed to that piece. */
@inline function usableSize(v: i32, vaLo: i32): i32 {
  if (load<i32>(v, VCPU_NESTED)) return load<i32>(v, VCPU_OUT_SIZE);
  const level = load<i32>(v, VCPU_OUT_LEVEL), size = min(level, load<i32>(0, HDR_HOST_LEVEL)) - 1;
  const data = load<i32>(v, VCPU_OUT_DATA_LO);
  if (level == 2 && load<i32>(v, VCPU_MODE) == MODE_LEGACY) {
    const half = data | (vaLo & 0x200000);
    store<i32>(v, size == 1 ? half : fragmentLo(half, vaLo, 1, 0), VCPU_OUT_DATA_LO);
  } else if (size + 1 < level) store<i32>(v, fragmentLo(data, vaLo, level - 1, size), VCPU_OUT_DATA_LO);
  store<i32>(v, size, VCPU_OUT_SIZE);
  return size;
}

@inline function setAddress(v: i32, va: u64, size: i32): void {
  store<u64>(v, addressOf(load<u64>(v, VCPU_OUT_DATA_LO), va, size), VCPU_OUT_LO);
}
