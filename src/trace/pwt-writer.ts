/** Writes `.pwt` (pwt-format.ts). */
import { ConfigError, invariant } from '../errors.ts';
import type { AccessBatch, TraceEvent } from './batch.ts';
import { crc32 } from './crc32.ts';
import { encodeEvent } from './pwt-event.ts';
import {
  ACCESSES_AT, ADDRESS_CANDIDATES, ADDRESS_CODES, ADDRESS_GIVEN, BLOCK_ACCESSES, BLOCK_EVENTS, BLOCK_LIMIT, CRC_AT,
  EVENT_BYTES_AT, EVENTS_AT, EXTRA_BYTES_AT, EXTRA_LIMIT, FRAME_BYTES, LONG_RUN, MAGIC, SHAPE_FIRST, SHAPE_GIVEN,
  SHAPE_SECOND, TOKEN_BYTES_AT, TOKEN_LIMIT, TYPE_AT, TYPE_BLOCK, TYPE_END, VERSION,
} from './pwt-format.ts';
import { PwtModel } from './pwt-model.ts';
import type { ByteSink, TraceWriter } from './trace-writer.ts';

/** Writes `.pwt`: every access and system call exactly. Blocks go to the sink as they fill up. */
export class PwtWriter implements TraceWriter {
  readonly format = 'pwt';
  private readonly sink: ByteSink;
  private readonly model = new PwtModel();
  private readonly tokens = new Uint8Array(TOKEN_LIMIT);
  private readonly extras = new Uint8Array(EXTRA_LIMIT);
  private readonly block = new Uint8Array(BLOCK_LIMIT);
  private tokenBytes = 0;
  private extraBytes = 0;
  private run = 0;
  private events: Uint8Array[] = [];
  private lastEventAt = 0;
  private count = 0;
  private started = false;
  private ended = false;
  private allAccesses = 0;
  private allEvents = 0;

  constructor(sink: ByteSink) {
    this.sink = sink;
  }

  /** @throws ConfigError - an access of size 0, or an event with a field out of range */
  async write(batch: AccessBatch): Promise<void> {
    invariant(!this.ended, 'nothing is written after the end');
    await this.start();
    let at = 0;
    for (const event of batch.events) {
      at = await this.accesses(batch, at, event.at);
      await this.event(event);
    }
    await this.accesses(batch, at, batch.count);
  }

  async end(): Promise<void> {
    await this.start();
    if (this.count > 0 || this.events.length > 0) await this.flush();
    this.ended = true;
    const frame = new DataView(this.block.buffer);
    frame.setUint32(TYPE_AT, TYPE_END, true);
    putCount(frame, ACCESSES_AT, this.allAccesses);
    putCount(frame, TOKEN_BYTES_AT, this.allEvents);
    frame.setUint32(EVENT_BYTES_AT, 0, true);
    await this.send(FRAME_BYTES);
  }

  private async start(): Promise<void> {
    if (this.started) return;
    this.started = true;
    await this.sink(Uint8Array.of(...MAGIC, VERSION));
  }

  /** @returns `to` */
  private async accesses(batch: AccessBatch, from: number, to: number): Promise<number> {
    for (let at = from; at < to; ) {
      const stop = Math.min(to, at + BLOCK_ACCESSES - this.count);
      this.encode(batch, at, stop);
      at = stop;
      if (this.count === BLOCK_ACCESSES) await this.flush();
    }
    return to;
  }

  private async event(event: TraceEvent): Promise<void> {
    this.events.push(encodeEvent(event, this.count - this.lastEventAt));
    this.lastEventAt = this.count;
    this.allEvents++;
    if (this.events.length === BLOCK_EVENTS) await this.flush();
  }

  private encode(batch: AccessBatch, from: number, to: number): void {
    const { model } = this;
    const { va, kind, size } = batch;
    for (let at = from; at < to; at++) {
      const shape = kind[at] | (size[at] << 2);
      const lo = va[at * 2];
      const hi = va[at * 2 + 1];
      model.predict();
      const { first } = model;
      if (shape === first) model.candidate(first, model.usual(first));
      const foreseen = shape === first && model.lo === lo && model.hi === hi;
      if (foreseen) this.run++;
      else this.miss(shape, lo, hi);
      model.update(shape, lo, hi, foreseen);
    }
    this.count += to - from;
  }

  private miss(shape: number, lo: number, hi: number): void {
    const { model } = this;
    const which = shape === model.first ? SHAPE_FIRST : shape === model.second ? SHAPE_SECOND : SHAPE_GIVEN;
    if (which === SHAPE_GIVEN) {
      if (shape >>> 2 === 0) throw new ConfigError('batch.size', '1 to 65535 bytes', 0);
      this.extra(shape, 0);
    }
    let address = 0;
    for (; address < ADDRESS_CANDIDATES; address++) {
      model.candidate(shape, address);
      if (model.lo === lo && model.hi === hi) break;
    }
    if (address === ADDRESS_GIVEN) {
      model.base(shape);
      const low = (lo - model.lo) | 0;
      const high = (hi - model.hi - (lo >>> 0 < model.lo >>> 0 ? 1 : 0)) | 0;
      const sign = high >> 31;
      this.extra((low << 1) ^ sign, ((high << 1) | (low >>> 31)) ^ sign);
    }
    this.token(1 + which * ADDRESS_CODES + address);
  }

  private token(miss: number): void {
    const { tokens, run } = this;
    if (run < LONG_RUN) tokens[this.tokenBytes++] = run | (miss << 4);
    else {
      tokens[this.tokenBytes++] = LONG_RUN | (miss << 4);
      let rest = run - LONG_RUN;
      for (; rest > 127; rest >>>= 7) tokens[this.tokenBytes++] = rest | 128;
      tokens[this.tokenBytes++] = rest;
    }
    this.run = 0;
  }

  /** Appends a varint to the extras. */
  private extra(lo: number, hi: number): void {
    let low = lo;
    let high = hi;
    while (high !== 0 || low >>> 0 > 127) {
      this.extras[this.extraBytes++] = low | 128;
      low = (low >>> 7) | (high << 25);
      high >>>= 7;
    }
    this.extras[this.extraBytes++] = low;
  }

  private async flush(): Promise<void> {
    if (this.run > 0) this.token(0);
    const { block } = this;
    let length = FRAME_BYTES;
    block.set(this.tokens.subarray(0, this.tokenBytes), length);
    length += this.tokenBytes;
    block.set(this.extras.subarray(0, this.extraBytes), length);
    length += this.extraBytes;
    const eventsAt = length;
    for (const event of this.events) {
      block.set(event, length);
      length += event.length;
    }
    const frame = new DataView(block.buffer);
    frame.setUint32(TYPE_AT, TYPE_BLOCK, true);
    frame.setUint32(ACCESSES_AT, this.count, true);
    frame.setUint32(EVENTS_AT, this.events.length, true);
    frame.setUint32(TOKEN_BYTES_AT, this.tokenBytes, true);
    frame.setUint32(EXTRA_BYTES_AT, this.extraBytes, true);
    frame.setUint32(EVENT_BYTES_AT, length - eventsAt, true);
    this.allAccesses += this.count;
    this.count = 0;
    this.events = [];
    this.lastEventAt = 0;
    this.tokenBytes = 0;
    this.extraBytes = 0;
    await this.send(length);
  }

  /** Checksums and writes the first bytes of `block`. */
  private async send(length: number): Promise<void> {
    const { block } = this;
    const head = crc32(block.subarray(0, CRC_AT));
    new DataView(block.buffer).setUint32(CRC_AT, crc32(block.subarray(FRAME_BYTES, length), head), true);
    await this.sink(block.subarray(0, length));
  }
}

function putCount(frame: DataView, at: number, count: number): void {
  frame.setUint32(at, count >>> 0, true);
  frame.setUint32(at + 4, Math.floor(count / 2 ** 32), true);
}
