/** Fields of the rows of a Xen transcript, checked. */
import { InputError } from '../errors.ts';
import type { Json, Row } from './recording.ts';

/** Where a row is, for messages. */
export interface Place {
  readonly file: string;
  readonly line: number;
}

function bad(at: Place, field: string, what: string, value: Json | undefined): never {
  throw new InputError(at.file, `line ${at.line}`, `${what} in "${field}"`, JSON.stringify(value)?.slice(0, 60));
}

const isHex = (value: Json | undefined): value is string => typeof value === 'string' && /^0x[0-9a-f]{1,16}$/i.test(value);

export function hex(at: Place, row: Row, field: string): bigint {
  const value = row[field];
  return isHex(value) ? BigInt(value) : bad(at, field, 'a hexadecimal number', value);
}

/** A hexadecimal frame number or the like, exact as a number. */
export function frame(at: Place, row: Row, field: string): number {
  const value = hex(at, row, field);
  return value < 1n << 52n ? Number(value) : bad(at, field, 'a frame number', row[field]);
}

export function integer(at: Place, row: Row, field: string): number {
  const value = row[field];
  return typeof value === 'number' && Number.isInteger(value) ? value : bad(at, field, 'an integer', value);
}

export function list(at: Place, row: Row, field: string): readonly Json[] {
  const value = row[field];
  return Array.isArray(value) ? value : bad(at, field, 'a list', value);
}

/** A list of hexadecimal numbers. */
export function hexes(at: Place, row: Row, field: string): bigint[] {
  return list(at, row, field).map(value => (isHex(value) ? BigInt(value) : bad(at, field, 'hexadecimal numbers', value)));
}

/** `[index, value]` pairs of a frame. */
export function entries(at: Place, row: Row): (readonly [index: number, value: bigint])[] {
  return list(at, row, 'entries').map(pair => {
    if (!Array.isArray(pair) || typeof pair[0] !== 'number' || !(pair[0] >= 0 && pair[0] < 512) || !isHex(pair[1])) return bad(at, 'entries', '[index, value] pairs', pair);
    return [pair[0], BigInt(pair[1])] as const;
  });
}

/** `[first pfn, first mfn, count]` runs. */
export function runs(at: Place, row: Row, field: string): (readonly [pfn: number, mfn: number, count: number])[] {
  return list(at, row, field).map(run => {
    if (!Array.isArray(run) || typeof run[0] !== 'number' || !isHex(run[1]) || typeof run[2] !== 'number') return bad(at, field, '[pfn, mfn, count] runs', run);
    return [run[0], Number(run[1]), run[2]] as const;
  });
}

export function bytes(at: Place, row: Row, field: string): Uint8Array<ArrayBuffer> {
  const value = row[field];
  if (typeof value !== 'string' || !/^([0-9a-f]{2})*$/i.test(value)) return bad(at, field, 'bytes', value);
  return Uint8Array.from(value.match(/../g) ?? [], pair => Number.parseInt(pair, 16));
}

/** An object inside a row. */
export function object(at: Place, row: Row, field: string): Row {
  const value = row[field];
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Row) : bad(at, field, 'an object', value);
}
