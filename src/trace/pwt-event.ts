/**
 * A system call in a `.pwt` block: varints `at` (from the event before), `pid`, `nr`; name as length byte and UTF-8;
 * flag byte (1 result, 2 child); count byte and arguments, result, child, as zigzag varints of up to 65 bits.
 * Rare enough to take BigInt.
 */
import { ConfigError } from '../errors.ts';
import type { TraceEvent } from './batch.ts';

const FLAG_RESULT = 1;
const FLAG_CHILD = 2;
const NAME_LIMIT = 255;
const ARGUMENT_LIMIT = 15;
const WORD = 1n << 64n;
const NUMBER_LIMIT = 0xffff_ffff;
/** 65 bits. */
const VARINT_BYTES = 10;

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

/** @param since - accesses in the block since the event before. @throws ConfigError - a field out of range */
export function encodeEvent(event: TraceEvent, since: number): Uint8Array {
  const name = encoder.encode(event.name);
  if (name.length > NAME_LIMIT) throw new ConfigError('event.name', `at most ${NAME_LIMIT} bytes`, event.name);
  if (event.args.length > ARGUMENT_LIMIT) {
    throw new ConfigError('event.args', `at most ${ARGUMENT_LIMIT} arguments`, event.args.length);
  }
  const out: number[] = [];
  putNumber(out, 'event.at', since);
  putNumber(out, 'event.pid', event.pid);
  putNumber(out, 'event.nr', event.nr);
  out.push(name.length, ...name);
  out.push((event.result === undefined ? 0 : FLAG_RESULT) | (event.child === undefined ? 0 : FLAG_CHILD));
  out.push(event.args.length);
  for (const arg of event.args) putSigned(out, 'event.args', arg);
  if (event.result !== undefined) putSigned(out, 'event.result', event.result);
  if (event.child !== undefined) putNumber(out, 'event.child', event.child);
  return Uint8Array.from(out);
}

/** @returns the events, or `undefined` where the bytes are not `count` events among `accesses` accesses and no more */
export function decodeEvents(bytes: Uint8Array, count: number, accesses: number): TraceEvent[] | undefined {
  try {
    const input = { bytes, at: 0 };
    const events: TraceEvent[] = [];
    let at = 0;
    for (let i = 0; i < count; i++) {
      const event = decodeEvent(input, at);
      at = event.at;
      if (at > accesses) return undefined;
      events.push(event);
    }
    return input.at === bytes.length ? events : undefined;
  } catch (error) {
    // Out of range, or bytes that are no UTF-8.
    if (error instanceof RangeError || error instanceof TypeError) return undefined;
    throw error;
  }
}

interface Input {
  readonly bytes: Uint8Array;
  at: number;
}

function decodeEvent(input: Input, before: number): TraceEvent {
  const at = before + takeNumber(input);
  const pid = takeNumber(input);
  const nr = takeNumber(input);
  const length = takeByte(input);
  if (input.at + length > input.bytes.length) throw new RangeError('name');
  const name = decoder.decode(input.bytes.subarray(input.at, input.at + length));
  input.at += length;
  const flags = takeByte(input);
  const args: bigint[] = [];
  for (let left = takeByte(input); left > 0; left--) args.push(takeSigned(input));
  const result = flags & FLAG_RESULT ? takeSigned(input) : undefined;
  const child = flags & FLAG_CHILD ? takeNumber(input) : undefined;
  return { at, pid, nr, name, args, result, child };
}

function putNumber(out: number[], field: string, value: number): void {
  if (!Number.isInteger(value) || value < 0 || value > NUMBER_LIMIT) {
    throw new ConfigError(field, 'an integer of 32 bits, not negative', value);
  }
  putVarint(out, BigInt(value));
}

function putSigned(out: number[], field: string, value: bigint): void {
  if (value >= WORD || value <= -WORD) throw new ConfigError(field, 'an integer of 64 bits', value);
  putVarint(out, value < 0n ? -value * 2n - 1n : value * 2n);
}

function putVarint(out: number[], value: bigint): void {
  let rest = value;
  for (; rest > 127n; rest >>= 7n) out.push(Number(rest & 127n) | 128);
  out.push(Number(rest));
}

function takeByte(input: Input): number {
  if (input.at >= input.bytes.length) throw new RangeError('end');
  return input.bytes[input.at++];
}

function takeVarint(input: Input): bigint {
  let value = 0n;
  for (let i = 0; i < VARINT_BYTES; i++) {
    const byte = takeByte(input);
    value |= BigInt(byte & 127) << BigInt(7 * i);
    if (byte < 128) return value;
  }
  throw new RangeError('varint');
}

function takeNumber(input: Input): number {
  const value = takeVarint(input);
  if (value > BigInt(NUMBER_LIMIT)) throw new RangeError('number');
  return Number(value);
}

function takeSigned(input: Input): bigint {
  const value = takeVarint(input);
  return value & 1n ? -((value + 1n) >> 1n) : value >> 1n;
}
