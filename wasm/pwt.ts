// A block of a `.pwt` trace, from its sections to columns: see src/trace/pwt-block-reader.ts. What src/layout/pwt.ts describes is in a machine's memory, or in one of its own.
import {
  MISS_GIVEN, MISS_LONG_RUN, MISS_NONE, MISS_PATH, MISS_RUN_SHIFT, MODE_LAST, MODE_OWN, MODE_PATH, MODE_REGION, PATH_NEW, PWT_BEFORE, PWT_BLOCK_ACCESSES,
  PWT_BLOCK_KIND, PWT_BLOCK_SIZE, PWT_BLOCK_TOUCHES, PWT_BLOCK_VA, PWT_CONTEXT, PWT_CONTEXT_SHIFT, PWT_DATA, PWT_DATA_ADDRESSES, PWT_DATA_HERE, PWT_FOLLOWERS,
  PWT_FOLLOWER_BITS, PWT_GOLDEN, PWT_HERE, PWT_HISTORY, PWT_HISTORY_SEGMENTS, PWT_KNOWN_KIND, PWT_KNOWN_MOST, PWT_KNOWN_SIZE, PWT_KNOWN_VA, PWT_LAST,
  PWT_LENGTH_MOST, PWT_MATCH, PWT_PATH, PWT_REGIONS, PWT_REGION_BITS, PWT_REGION_SHIFT, PWT_SECTIONS, PWT_SEGMENTS, PWT_SEGMENT_MOST, PWT_SEGMENT_ROWS,
  PWT_SEGMENT_SHIFT, PWT_SLOTS, PWT_SLOT_MOST, PWT_SLOT_ROWS, PWT_SLOT_SHIFT, PWT_USED, SEG_AT, SEG_END, SEG_LENGTH, SEG_RECENT, SEG_SLOT, SEG_SLOTS, SEG_TOGETHER,
  SHAPE_DATA, SHAPE_DATA_SIZES, SHAPE_OTHER, SLOT_AT, SLOT_DISTANCE, SLOT_FROM, SLOT_LAST, SLOT_REGION, SLOT_SHAPE,
} from "../src/layout/pwt";
import { CENSUS_WINDOW_SHIFT, TOUCH_AT, TOUCH_BYTES, TOUCH_COUNT_SHIFT, TOUCH_SIZE, TOUCH_VA, TOUCH_WORD } from "../src/layout/census";
import { FETCH, MODIFY } from "./batch";

const SLOT_BYTES = 1 << PWT_SLOT_SHIFT;
const WINDOW = 1 << CENSUS_WINDOW_SHIFT;
/** Shape of fetches in one page, of which only the page counts. */
const TOGETHER = 1 | (FETCH << 16);

/** Byte offset of the model. */
let base: i32 = 0;
/** Are columns wanted, or what is touched? */
let columns: bool = false;

/** Sections being read: byte offsets of what comes next and of the ends. */
namespace At {
  export let paths: i32 = 0;
  export let misses: i32 = 0;
  export let shapes: i32 = 0;
  export let addresses: i32 = 0;
  export let pathsEnd: i32 = 0;
  export let missesEnd: i32 = 0;
  export let shapesEnd: i32 = 0;
  export let addressesEnd: i32 = 0;
}

/** Slots that come as foreseen, and what the one after them does. */
namespace Miss {
  export let run: i32 = 0;
  export let code: i32 = 0;
}

/** Something did not fit; looked at after every segment. */
let failed: bool = false;

/**
 * @param model - byte offset of what src/layout/pwt.ts describes @param count - accesses in the block @param paths, misses, shapes, addresses - bytes of its sections
 * @param before - accesses before the block, for what it touches; -1: columns @returns 1, or 0: they are of no block
 */
export function readPwtBlock(model: i32, count: i32, paths: i32, misses: i32, shapes: i32, addresses: i32, before: i32): i32 {
  base = model;
  columns = before < 0;
  open(paths, misses, shapes, addresses);
  let run = takePath(), touch = model + PWT_BLOCK_TOUCHES + TOUCH_BYTES, edge = WINDOW - (before & (WINDOW - 1));
  takeMiss();
  for (let done = 0; done < count && !failed;) {
    const followed = run > 0;
    let id = 0, known = true;
    if (followed) {
      const match = load<i32>(model, PWT_MATCH);
      if (match == 0) return 0;
      id = load<i32>(model + ((match - 1) << 3), PWT_HISTORY);
      run--;
    } else {
      const what = takePath();
      run = takePath();
      known = what != PATH_NEW;
      if (what > load<i32>(model, PWT_SEGMENTS)) return 0;
      id = known ? what : create();
      if (id == 0) return 0;
    }
    const row = model + PWT_SEGMENT_ROWS + (id << PWT_SEGMENT_SHIFT), length = load<i32>(row, SEG_LENGTH), slot = load<i32>(row, SEG_SLOT), slots = load<i32>(row, SEG_SLOTS);
    if (done + length > count) return 0;
    const data = enter(model, id, row, slots, followed), at = load<i32>(row, SEG_AT), together = load<i32>(row, SEG_TOGETHER), first = touch;
    if (columns) copy(model, at, done, length);
    else if (together != 0) {
      put(touch, load<u64>(model + (at << 3), PWT_KNOWN_VA), (together << TOUCH_COUNT_SHIFT) | done, TOGETHER);
      touch += TOUCH_BYTES;
    }
    if (slots != 0) {
      const first = model + PWT_SLOT_ROWS + (slot << PWT_SLOT_SHIFT), path = load<i32>(model, PWT_PATH);
      if (!known) given(first, slots, done, data, touch);
      else if (slots <= Miss.run) {
        Miss.run -= slots;
        foreseen(model, first, slots, done, path, data, touch);
      } else mixed(first, slots, done, path, data, touch);
    }
    if (!columns) {
      touch += slots * TOUCH_BYTES;
      if (together == 0) touch = spread(first, at, done, length, slots);
      else if (done + length > edge) touch = split(first, touch, done, edge);
    }
    done += length;
    if (done >= edge) edge += WINDOW;
  }
  store<i32>(touch, count, TOUCH_WORD);
  store<i32>(model, (touch - model - PWT_BLOCK_TOUCHES) / TOUCH_BYTES, PWT_BLOCK_TOUCHES);
  const whole = i32(At.paths == At.pathsEnd) & i32(At.misses == At.missesEnd) & i32(At.shapes == At.shapesEnd) & i32(At.addresses == At.addressesEnd);
  return whole & i32(!failed) & i32(run == 0) & i32(Miss.run == 0) & i32(Miss.code == MISS_NONE);
}

@inline function put(touch: i32, va: u64, word: i32, shape: i32): void {
  store<u64>(touch, va, TOUCH_VA);
  store<i32>(touch, word, TOUCH_WORD);
  store<i32>(touch, shape, TOUCH_SIZE); // and TOUCH_KIND
}

/** A segment whose fetches are not all in one page: a row for each access, among those of its data. @returns byte offset of the next row */
function spread(first: i32, at: i32, done: i32, length: i32, slots: i32): i32 {
  const end = first + length * TOUCH_BYTES;
  for (let k = length - 1, from = first + slots * TOUCH_BYTES, to = end; k >= 0; k--) {
    to -= TOUCH_BYTES;
    const kind = <i32>load<u8>(base + at + k, PWT_KNOWN_KIND);
    if (kind == FETCH) put(to, load<u64>(base + ((at + k) << 3), PWT_KNOWN_VA), (1 << TOUCH_COUNT_SHIFT) | (done + k), <i32>load<u16>(base + ((at + k) << 1), PWT_KNOWN_SIZE) | (FETCH << 16));
    else v128.store(to, v128.load(from -= TOUCH_BYTES));
  }
  return end;
}

/** Fetches that are one row, and reach over the edge of a window: two. @returns byte offset of the next row */
function split(first: i32, end: i32, done: i32, edge: i32): i32 {
  let second = first + TOUCH_BYTES;
  while (second < end && (load<i32>(second, TOUCH_WORD) & TOUCH_AT) < edge) second += TOUCH_BYTES;
  const all = load<i32>(first, TOUCH_WORD) >>> TOUCH_COUNT_SHIFT, before = edge - done - (second - first) / TOUCH_BYTES + 1;
  if (before == all) return end;
  memory.copy(second + TOUCH_BYTES, second, end - second);
  put(second, load<u64>(first, TOUCH_VA), ((all - before) << TOUCH_COUNT_SHIFT) | edge, TOGETHER);
  store<i32>(first, (before << TOUCH_COUNT_SHIFT) | done, TOUCH_WORD);
  return end + TOUCH_BYTES;
}

function open(paths: i32, misses: i32, shapes: i32, addresses: i32): void {
  failed = false;
  At.paths = base + PWT_SECTIONS;
  At.pathsEnd = At.misses = At.paths + paths;
  At.missesEnd = At.shapes = At.misses + misses;
  At.shapesEnd = At.addresses = At.shapes + shapes;
  At.addressesEnd = At.addresses + addresses;
}

/** Put a segment into the history and foresee the next. @returns byte offset of its data addresses there */
@inline function enter(model: i32, id: i32, row: i32, slots: i32, followed: bool): i32 {
  const here = load<i32>(model, PWT_HERE), next = (here + 1) & (PWT_HISTORY_SEGMENTS - 1), match = load<i32>(model, PWT_MATCH), recent = load<i32>(row, SEG_RECENT);
  let dataHere = load<i32>(model, PWT_DATA_HERE);
  if (dataHere + PWT_LENGTH_MOST > PWT_DATA_ADDRESSES) dataHere = 0;
  const data = model + PWT_DATA + (dataHere << 3), context = (load<i32>(model, PWT_CONTEXT) << PWT_CONTEXT_SHIFT) ^ id;
  const follower = model + PWT_FOLLOWERS + (((context * <i32>PWT_GOLDEN) >>> (32 - PWT_FOLLOWER_BITS)) << 2);
  if (followed) {
    store<i32>(model, load<i32>(model + ((match - 1) << 3), PWT_HISTORY + 4), PWT_PATH);
    store<i32>(model, (match & (PWT_HISTORY_SEGMENTS - 1)) + 1, PWT_MATCH);
  } else {
    const usual = load<i32>(follower);
    store<i32>(model, recent == 0 ? model + PWT_DATA : load<i32>(model + (((recent - 2) & (PWT_HISTORY_SEGMENTS - 1)) << 3), PWT_HISTORY + 4), PWT_PATH);
    store<i32>(model, usual != 0 ? usual : recent, PWT_MATCH);
  }
  store<i32>(model + (here << 3), id, PWT_HISTORY);
  store<i32>(model + (here << 3), data, PWT_HISTORY + 4);
  store<i32>(follower, next + 1);
  store<i32>(row, next + 1, SEG_RECENT);
  store<i32>(model, next, PWT_HERE);
  store<i32>(model, dataHere + slots, PWT_DATA_HERE);
  store<i32>(model, context, PWT_CONTEXT);
  store<i32>(model, id, PWT_BEFORE);
  return data;
}

/** The columns of a segment, 8 accesses at a time: what is too much will be overwritten. */
@inline function copy(model: i32, at: i32, done: i32, length: i32): void {
  let va = model + (at << 3), size = model + (at << 1), kind = model + at, outVa = model + (done << 3), outSize = model + (done << 1), outKind = model + done;
  for (const end = outKind + length; outKind < end; outKind += 8) {
    v128.store(outVa, v128.load(va, PWT_KNOWN_VA), PWT_BLOCK_VA);
    v128.store(outVa, v128.load(va, PWT_KNOWN_VA + 16), PWT_BLOCK_VA + 16);
    v128.store(outVa, v128.load(va, PWT_KNOWN_VA + 32), PWT_BLOCK_VA + 32);
    v128.store(outVa, v128.load(va, PWT_KNOWN_VA + 48), PWT_BLOCK_VA + 48);
    v128.store(outSize, v128.load(size, PWT_KNOWN_SIZE), PWT_BLOCK_SIZE);
    store<u64>(outKind, load<u64>(kind, PWT_KNOWN_KIND), PWT_BLOCK_KIND);
    va += 64;
    outVa += 64;
    size += 16;
    outSize += 16;
    kind += 8;
  }
}

/** Slots whose addresses come as foreseen. @param path - byte offset of the addresses where the path is followed @param data - ... here @param touch - byte offset of their rows, if no columns are wanted */
@inline function foreseen(model: i32, slot: i32, slots: i32, done: i32, path: i32, data: i32, touch: i32): void {
  for (const end = slot + (slots << PWT_SLOT_SHIFT); slot < end; slot += SLOT_BYTES) {
    commit(model, slot, done, data, touch, next(slot, path));
    path += 8;
    data += 8;
    touch += TOUCH_BYTES;
  }
}

/** The address foreseen. */
@inline function next(slot: i32, path: i32): u64 {
  const from = load<i32>(slot, SLOT_FROM);
  return load<u64>(from != 0 ? from : path) + load<u64>(slot, SLOT_DISTANCE);
}

@inline function commit(model: i32, slot: i32, done: i32, data: i32, touch: i32, va: u64): void {
  const at = done + load<i32>(slot, SLOT_AT);
  store<u64>(slot, va, SLOT_LAST);
  store<u64>(load<i32>(slot, SLOT_REGION), va);
  store<u64>(model, va, PWT_LAST);
  store<u64>(data, va);
  if (columns) store<u64>(model + (at << 3), va, PWT_BLOCK_VA);
  else put(touch, va, (1 << TOUCH_COUNT_SHIFT) | at, load<i32>(slot, SLOT_SHAPE));
}

/** Slots of which some are missed. */
function mixed(slot: i32, slots: i32, done: i32, path: i32, data: i32, touch: i32): void {
  for (const end = slot + (slots << PWT_SLOT_SHIFT); slot < end; slot += SLOT_BYTES) {
    if (Miss.run > 0) {
      Miss.run--;
      commit(base, slot, done, data, touch, next(slot, path));
    } else {
      const code = Miss.code;
      if (code == MISS_PATH) learn(slot, MODE_PATH, load<u64>(path), path);
      else if (code >= MISS_GIVEN) learn(slot, code - MISS_GIVEN, load<u64>(slot, SLOT_LAST) + takeAddress(), path);
      else failed = true;
      commit(base, slot, done, data, touch, load<u64>(slot, SLOT_LAST));
      takeMiss();
    }
    path += 8;
    data += 8;
    touch += TOUCH_BYTES;
  }
}

/** Slots of a new segment. */
function given(slot: i32, slots: i32, done: i32, data: i32, touch: i32): void {
  for (const end = slot + (slots << PWT_SLOT_SHIFT); slot < end; slot += SLOT_BYTES) {
    learn(slot, MODE_REGION, load<u64>(base, PWT_LAST) + takeAddress(), 0);
    commit(base, slot, done, data, touch, load<u64>(slot, SLOT_LAST));
    data += 8;
    touch += TOUCH_BYTES;
  }
}

/** From now on a slot's address is foreseen in this mode; the one that comes now becomes its last. */
function learn(slot: i32, mode: i32, va: u64, path: i32): void {
  const hash = (<i32>(va >> PWT_REGION_SHIFT) * <i32>PWT_GOLDEN) >>> (32 - PWT_REGION_BITS), region = base + PWT_REGIONS + (hash << 3);
  const from = mode == MODE_REGION ? region : mode == MODE_OWN ? slot + SLOT_LAST : mode == MODE_LAST ? base + PWT_LAST : 0;
  store<i32>(slot, from, SLOT_FROM);
  store<u64>(slot, from == 0 ? 0 : va - load<u64>(from), SLOT_DISTANCE);
  store<i32>(slot, region, SLOT_REGION);
  store<u64>(slot, va, SLOT_LAST);
}

/** A segment that was not known. @returns its number; 0 with `failed` */
function create(): i32 {
  const length = At.shapes < At.shapesEnd ? <i32>load<u8>(At.shapes++) : 0;
  if (length == 0 || length > PWT_LENGTH_MOST) return refused();
  let end = load<u64>(base + PWT_SEGMENT_ROWS + (load<i32>(base, PWT_BEFORE) << PWT_SEGMENT_SHIFT), SEG_END);
  makeRoom(length);
  const id = load<i32>(base, PWT_SEGMENTS) + 1, at = load<i32>(base, PWT_USED), slot = load<i32>(base, PWT_SLOTS), row = base + PWT_SEGMENT_ROWS + (id << PWT_SEGMENT_SHIFT);
  let slots = 0, first: u64 = 0, together = false;
  for (let k = 0; k < length; k++) {
    const shape = takeShape(), kind = shape & 3, size = shape >>> 2;
    if (size == 0) return refused();
    let va: u64 = 0;
    if (kind == FETCH) {
      if (k == 0) {
        first = end += takeAddress();
        together = true;
      }
      va = end;
      end += <u64>size;
    } else {
      const row = base + PWT_SLOT_ROWS + ((slot + slots++) << PWT_SLOT_SHIFT);
      store<i32>(row, k, SLOT_AT);
      store<i32>(row, size | (kind << 16), SLOT_SHAPE);
    }
    store<u64>(base + ((at + k) << 3), va, PWT_KNOWN_VA);
    store<u16>(base + ((at + k) << 1), <u16>size, PWT_KNOWN_SIZE);
    store<u8>(base + at + k, <u8>kind, PWT_KNOWN_KIND);
  }
  store<i32>(row, at, SEG_AT);
  store<i32>(row, length, SEG_LENGTH);
  store<i32>(row, slot, SEG_SLOT);
  store<i32>(row, slots, SEG_SLOTS);
  store<i32>(row, 0, SEG_RECENT);
  store<i32>(row, together && (first ^ (end - 1)) >> 12 == 0 ? length - slots : 0, SEG_TOGETHER);
  store<u64>(row, end, SEG_END);
  store<i32>(base, id, PWT_SEGMENTS);
  store<i32>(base, at + length, PWT_USED);
  store<i32>(base, slot + slots, PWT_SLOTS);
  return id;
}

/** Forget everything if a segment of this length would not fit. */
function makeRoom(length: i32): void {
  const full = i32(load<i32>(base, PWT_SEGMENTS) == PWT_SEGMENT_MOST) | i32(load<i32>(base, PWT_USED) + length > PWT_KNOWN_MOST);
  if (full | i32(load<i32>(base, PWT_SLOTS) + length > PWT_SLOT_MOST)) memory.fill(base, 0, PWT_HISTORY);
}

function refused(): i32 {
  failed = true;
  return 0;
}

/** @returns `kind | size << 2`; size 0: malformed */
function takeShape(): i32 {
  if (At.shapes == At.shapesEnd) return 0;
  const byte = <i32>load<u8>(At.shapes++);
  if (byte < SHAPE_DATA) return FETCH | (byte << 2);
  if (byte == SHAPE_OTHER) {
    const shape = varint(At.shapes, At.shapesEnd);
    At.shapes = past;
    return shape > 0x3ffff ? 0 : <i32>shape;
  }
  const which = (byte - SHAPE_DATA) >>> 3, log2 = (byte - SHAPE_DATA) & 7;
  return which > 2 || log2 >= SHAPE_DATA_SIZES ? 0 : (which == FETCH ? MODIFY : which) | (1 << (log2 + 2));
}

/** @returns at most PWT_BLOCK_ACCESSES; 0 with `failed` */
function takePath(): i32 {
  const value = varint(At.paths, At.pathsEnd);
  At.paths = past;
  if (value <= <u64>PWT_BLOCK_ACCESSES) return <i32>value;
  return refused();
}

function takeMiss(): void {
  if (At.misses == At.missesEnd) {
    failed = true;
    return;
  }
  const byte = <i32>load<u8>(At.misses++);
  let run = byte >>> MISS_RUN_SHIFT;
  if (run == MISS_LONG_RUN) {
    const more = varint(At.misses, At.missesEnd);
    At.misses = past;
    run += more <= <u64>PWT_BLOCK_ACCESSES ? <i32>more : refused();
  }
  Miss.run = run;
  Miss.code = byte & ((1 << MISS_RUN_SHIFT) - 1);
  if (Miss.code > MISS_GIVEN + MODE_PATH) failed = true;
}

/** A signed distance, zigzag. */
function takeAddress(): u64 {
  const value = varint(At.addresses, At.addressesEnd);
  At.addresses = past;
  return (value >> 1) ^ (0 - (value & 1));
}

/** Where the last varint ended. */
let past: i32 = 0;

/** A number of up to 64 bits, 7 a byte, lowest first; the bits above are lost. */
function varint(at: i32, end: i32): u64 {
  let value: u64 = 0;
  for (let shift: u64 = 0; shift < 70; shift += 7) {
    if (at == end) break;
    const byte = <u64>load<u8>(at++);
    value |= (byte & 127) << shift;
    if (byte < 128) {
      past = at;
      return value;
    }
  }
  past = at;
  failed = true;
  return 0;
}
