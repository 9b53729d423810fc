/**
 * ChampSim's binary traces: one record of 64 bytes an instruction, little-endian.
 *
 *   0   ip                     8 bytes
 *   8   is_branch, branch_taken     1 byte each, 0 or 1
 *   10  destination registers  2 bytes
 *   12  source registers       4 bytes
 *   16  destination memory     2 addresses of 8 bytes, 0 where unused: stores
 *   32  source memory          4 addresses of 8 bytes, 0 where unused: loads
 *
 * An instruction becomes a fetch, its loads, its stores. Records have no sizes: a fetch gets 4 bytes and a data access
 * 8, or fewer up to the end of the 4-KByte page, so that no page is touched that the record does not name.
 * Longer layouts (`cloudsuite_instr`, or one with a trailing `load_type`) are not read.
 *
 * Source: ChampSim, inc/trace_instruction.h, struct input_instr.
 */
import { InputError } from '../errors.ts';
import { KIND_FETCH, KIND_LOAD, KIND_STORE } from './batch.ts';
import type { AccessBatch } from './batch.ts';
import { printable, TraceDecoder } from './trace-decoder.ts';

/** Bytes of a record. */
export const CHAMPSIM_RECORD = 64;

const BRANCH_AT = 8;
const TAKEN_AT = 9;
const STORES_AT = 16;
const STORES = 2;
const LOADS_AT = 32;
const LOADS = 4;
const ACCESSES = 1 + LOADS + STORES;

const EXPECTED = 'an instruction at an address, with branch flags of 0 or 1';

const FETCH_BYTES = 4;
const DATA_BYTES = 8;
const PAGE = 4096;

/** Decodes ChampSim records. */
export class ChampsimDecoder extends TraceDecoder {
  readonly format = 'champsim';
  readonly longest = CHAMPSIM_RECORD;
  private record = 0;

  override decode(bytes: Uint8Array, start: number, end: number, final: boolean, batch: AccessBatch): number {
    const room = batch.kind.length - ACCESSES;
    let at = start;
    while (batch.count <= room && end - at >= CHAMPSIM_RECORD) {
      if (sound(bytes, at)) take(bytes, at, batch);
      else this.bad(this.where(), EXPECTED, printable(bytes, at, at + 16));
      at += CHAMPSIM_RECORD;
      this.record++;
    }
    this.full = batch.count > room;
    if (!final || this.full || at === end) return at;
    throw new InputError(this.file, this.where(), `a record of ${CHAMPSIM_RECORD} bytes`, `${end - at} bytes`);
  }

  private where(): string {
    return `record ${this.record + 1}`;
  }
}

/** Whether the record at `at` has flags of 0 or 1 and an address. */
function sound(bytes: Uint8Array, at: number): boolean {
  return bytes[at + BRANCH_AT] <= 1 && bytes[at + TAKEN_AT] <= 1 && (word(bytes, at) | word(bytes, at + 4)) !== 0;
}

/**
 * Whether the bytes could be the start of a ChampSim trace: all whole records sound, with nothing but canonical
 * addresses (57 bits), and there is one.
 */
export function plausibleChampsim(bytes: Uint8Array): boolean {
  let at = 0;
  for (; at + CHAMPSIM_RECORD <= bytes.length; at += CHAMPSIM_RECORD) {
    if (!sound(bytes, at) || !canonical(bytes, at)) return false;
    for (let address = STORES_AT; address < CHAMPSIM_RECORD; address += 8) {
      if (!canonical(bytes, at + address)) return false;
    }
  }
  return at > 0;
}

function canonical(bytes: Uint8Array, at: number): boolean {
  const top = word(bytes, at + 4) >> 24;
  return top === 0 || top === -1;
}

function take(bytes: Uint8Array, at: number, batch: AccessBatch): void {
  append(batch, KIND_FETCH, FETCH_BYTES, word(bytes, at), word(bytes, at + 4));
  for (let i = 0; i < LOADS; i++) data(bytes, at + LOADS_AT + 8 * i, KIND_LOAD, batch);
  for (let i = 0; i < STORES; i++) data(bytes, at + STORES_AT + 8 * i, KIND_STORE, batch);
}

function data(bytes: Uint8Array, at: number, kind: number, batch: AccessBatch): void {
  const lo = word(bytes, at);
  const hi = word(bytes, at + 4);
  if ((lo | hi) !== 0) append(batch, kind, DATA_BYTES, lo, hi);
}

function append(batch: AccessBatch, kind: number, size: number, lo: number, hi: number): void {
  const { count } = batch;
  batch.va[count * 2] = lo;
  batch.va[count * 2 + 1] = hi;
  batch.kind[count] = kind;
  batch.size[count] = Math.min(size, PAGE - (lo & (PAGE - 1)));
  batch.count = count + 1;
}

/** Little-endian 32 bits. */
function word(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
}
