/**
 * Reads `.pwt` (pwt-format.ts). A block that fails its checksum ends the trace even with `skipBad`: the model that
 * later blocks build on is lost with it.
 */
import { InputError } from '../errors.ts';
import type { AccessBatch } from './batch.ts';
import { crc32 } from './crc32.ts';
import { decodeEvents } from './pwt-event.ts';
import {
  ACCESSES_AT, ADDRESS_CODES, ADDRESS_GIVEN, BLOCK_ACCESSES, BLOCK_EVENTS, BLOCK_LIMIT, CRC_AT, EVENT_BYTES_AT,
  EVENT_LIMIT, EVENTS_AT, EXTRA_BYTES_AT, EXTRA_LIMIT, FRAME_BYTES, HEADER_BYTES, LONG_RUN, MAGIC, SHAPE_FIRST,
  SHAPE_SECOND, TOKEN_BYTES_AT, TOKEN_LIMIT, TYPE_AT, TYPE_BLOCK, TYPE_END, VERSION,
} from './pwt-format.ts';
import { PwtModel } from './pwt-model.ts';
import { printable, TraceDecoder } from './trace-decoder.ts';

const SIZE_LIMIT = 65535;

/** Decodes `.pwt`, a block a batch. */
export class PwtDecoder extends TraceDecoder {
  readonly format = 'pwt';
  readonly longest = BLOCK_LIMIT;
  private readonly model = new PwtModel();
  private started = false;
  private ended = false;
  /** Bytes of the file before those at hand. */
  private offset = 0;
  private allAccesses = 0;
  private allEvents = 0;

  private extras: Uint8Array = new Uint8Array(0);
  private extraAt = 0;
  private extraLo = 0;
  private extraHi = 0;

  override decode(bytes: Uint8Array, start: number, end: number, final: boolean, batch: AccessBatch): number {
    this.full = false;
    let at = start;
    if (!this.started) {
      if (end - at < HEADER_BYTES) return this.wait(at, end, final, 'the header of a pwt file');
      this.header(bytes, at);
      at += HEADER_BYTES;
      this.offset += HEADER_BYTES;
    }
    while (!this.full) {
      if (this.ended) {
        if (at < end) throw this.error('the end of the file after the end marker', printable(bytes, at, end));
        return at;
      }
      if (end - at < FRAME_BYTES) return this.wait(at, end, final, 'a block or the end marker');
      const view = new DataView(bytes.buffer, bytes.byteOffset + at, end - at);
      const length = this.frameLength(view);
      if (end - at < length) return this.wait(at, end, final, `${length} bytes of a block`);
      const sum = crc32(bytes.subarray(at + FRAME_BYTES, at + length), crc32(bytes.subarray(at, at + CRC_AT)));
      if (sum !== view.getUint32(CRC_AT, true)) throw this.error('bytes that match their checksum', 'others');
      if (view.getUint32(TYPE_AT, true) === TYPE_END) this.end(view);
      else this.block(view, bytes.subarray(at + FRAME_BYTES, at + length), batch);
      at += length;
      this.offset += length;
    }
    return at;
  }

  private header(bytes: Uint8Array, at: number): void {
    if (!MAGIC.every((byte, i) => bytes[at + i] === byte)) {
      throw this.error('the magic number of a pwt file', printable(bytes, at, at + MAGIC.length));
    }
    const version = bytes[at + MAGIC.length];
    if (version !== VERSION) throw this.error(`pwt version ${VERSION}`, `version ${version}`);
    this.started = true;
  }

  /** More bytes are needed, and must be there. */
  private wait(at: number, end: number, final: boolean, expected: string): number {
    if (final) throw this.error(expected, `the end of the file after ${end - at} bytes`);
    return at;
  }

  /** Bytes of the block or end marker with this frame. */
  private frameLength(frame: DataView): number {
    const type = frame.getUint32(TYPE_AT, true);
    if (type === TYPE_END) return FRAME_BYTES;
    if (type !== TYPE_BLOCK) throw this.error('a block or the end marker', `type 0x${type.toString(16)}`);
    this.atMost(frame, ACCESSES_AT, BLOCK_ACCESSES, 'accesses');
    this.atMost(frame, EVENTS_AT, BLOCK_EVENTS, 'events');
    const tokens = this.atMost(frame, TOKEN_BYTES_AT, TOKEN_LIMIT, 'bytes of tokens');
    const extras = this.atMost(frame, EXTRA_BYTES_AT, EXTRA_LIMIT, 'bytes of extras');
    const events = this.atMost(frame, EVENT_BYTES_AT, EVENT_LIMIT, 'bytes of events');
    return FRAME_BYTES + tokens + extras + events;
  }

  private atMost(frame: DataView, at: number, limit: number, what: string): number {
    const value = frame.getUint32(at, true);
    if (value > limit) throw this.error(`a block of at most ${limit} ${what}`, String(value));
    return value;
  }

  private end(frame: DataView): void {
    const accesses = takeCount(frame, ACCESSES_AT);
    const events = takeCount(frame, TOKEN_BYTES_AT);
    if (accesses !== this.allAccesses || events !== this.allEvents) {
      const expected = `${accesses} accesses and ${events} events before the end marker`;
      throw this.error(expected, `${this.allAccesses} and ${this.allEvents}`);
    }
    this.ended = true;
  }

  private block(frame: DataView, sections: Uint8Array, batch: AccessBatch): void {
    const count = frame.getUint32(ACCESSES_AT, true);
    const extrasAt = frame.getUint32(TOKEN_BYTES_AT, true);
    const eventsAt = extrasAt + frame.getUint32(EXTRA_BYTES_AT, true);
    this.extras = sections.subarray(extrasAt, eventsAt);
    this.extraAt = 0;
    this.accesses(sections.subarray(0, extrasAt), count, batch);
    if (this.extraAt !== this.extras.length) throw this.error('as many extras as the tokens take', 'more');
    const events = decodeEvents(sections.subarray(eventsAt), frame.getUint32(EVENTS_AT, true), count);
    if (events === undefined) throw this.error('events in their place', 'malformed ones');
    batch.count = count;
    batch.events = events;
    this.allAccesses += count;
    this.allEvents += events.length;
    this.full = true;
  }

  private accesses(tokens: Uint8Array, count: number, batch: AccessBatch): void {
    let done = 0;
    let at = 0;
    while (at < tokens.length) {
      const token = tokens[at++];
      let run = token & 15;
      if (run === LONG_RUN) {
        for (let shift = 0; ; shift += 7) {
          const byte = at < tokens.length && shift <= 14 ? tokens[at++] : -1;
          if (byte < 0) throw this.error('a run of accesses', 'a malformed length');
          run += (byte & 127) << shift;
          if (byte < 128) break;
        }
      }
      const miss = token >>> 4;
      if (done + run + (miss > 0 ? 1 : 0) > count) throw this.error(`${count} accesses in the block`, 'more');
      this.foreseen(done, done + run, batch);
      done += run;
      if (miss > 0) this.missed(miss - 1, done++, batch);
    }
    if (done !== count) throw this.error(`${count} accesses in the block`, String(done));
  }

  /** Accesses that came as the model predicts. */
  private foreseen(from: number, to: number, batch: AccessBatch): void {
    const { model } = this;
    const { va, kind, size } = batch;
    for (let at = from; at < to; at++) {
      model.predict();
      const shape = model.first;
      model.candidate(shape, model.usual(shape));
      const { lo, hi } = model;
      va[at * 2] = lo;
      va[at * 2 + 1] = hi;
      kind[at] = shape & 3;
      size[at] = shape >>> 2;
      model.update(shape, lo, hi, true);
    }
  }

  private missed(miss: number, at: number, batch: AccessBatch): void {
    const { model } = this;
    model.predict();
    const which = Math.trunc(miss / ADDRESS_CODES);
    const address = miss % ADDRESS_CODES;
    const shape = which === SHAPE_FIRST ? model.first : which === SHAPE_SECOND ? model.second : this.takeShape();
    if (address === ADDRESS_GIVEN) {
      this.takeExtra();
      model.base(shape);
      const sign = -(this.extraLo & 1);
      const low = ((this.extraLo >>> 1) | (this.extraHi << 31)) ^ sign;
      const high = (this.extraHi >>> 1) ^ sign;
      const lo = (model.lo + low) | 0;
      model.hi = (model.hi + high + (lo >>> 0 < low >>> 0 ? 1 : 0)) | 0;
      model.lo = lo;
    } else model.candidate(shape, address);
    const { lo, hi } = model;
    batch.va[at * 2] = lo;
    batch.va[at * 2 + 1] = hi;
    batch.kind[at] = shape & 3;
    batch.size[at] = shape >>> 2;
    model.update(shape, lo, hi, false);
  }

  private takeShape(): number {
    this.takeExtra();
    const size = this.extraLo >>> 2;
    const valid = this.extraHi === 0 && size > 0 && size <= SIZE_LIMIT;
    if (!valid) throw this.error(`a size of 1 to ${SIZE_LIMIT}`, String(size));
    return this.extraLo;
  }

  /** Takes a varint of 64 bits from the extras into `extraLo` and `extraHi`. */
  private takeExtra(): void {
    const { extras } = this;
    let lo = 0;
    let hi = 0;
    for (let shift = 0; shift < 64; shift += 7) {
      if (this.extraAt >= extras.length) throw this.error('as many extras as the tokens take', 'fewer');
      const byte = extras[this.extraAt++];
      const part = byte & 127;
      if (shift < 32) lo |= part << shift;
      if (shift === 28) hi = part >>> 4;
      else if (shift > 28) hi |= part << (shift - 32);
      if (byte < 128) {
        this.extraLo = lo;
        this.extraHi = hi;
        return;
      }
    }
    throw this.error('a number of 64 bits', 'a longer one');
  }

  private error(expected: string, got: string): InputError {
    return new InputError(this.file, `byte ${this.offset}`, expected, got);
  }
}

function takeCount(frame: DataView, at: number): number {
  return frame.getUint32(at, true) + frame.getUint32(at + 4, true) * 2 ** 32;
}
