/** Writes `.pwt` (pwt-format.ts). */
import { invariant } from '../errors.ts';
import { AccessBatch } from './batch.ts';
import type { TraceEvent } from './batch.ts';
import { crc32 } from './crc32.ts';
import { PwtBlockWriter } from './pwt-block-writer.ts';
import { encodeEvent } from './pwt-event.ts';
import {
  ACCESSES_AT, ALL_EVENTS_AT, BLOCK_ACCESSES, BLOCK_EVENTS, BLOCK_LIMIT, CRC_AT, EVENTS_AT, FRAME_BYTES, MAGIC, SECTIONS_AT, TYPE_AT, TYPE_BLOCK,
  TYPE_END, VERSION,
} from './pwt-format.ts';
import type { ByteSink, TraceWriter } from './trace-writer.ts';

/** Writes `.pwt`: every access and system call exactly. Blocks go to the sink as they fill up. */
export class PwtWriter implements TraceWriter {
  readonly format = 'pwt';
  private readonly sink: ByteSink;
  private readonly encoder = new PwtBlockWriter();
  /** Accesses of the block. */
  private readonly batch = new AccessBatch(BLOCK_ACCESSES);
  private readonly block = new Uint8Array(BLOCK_LIMIT);
  private events: Uint8Array[] = [];
  private lastEventAt = 0;
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
    if (this.batch.count > 0 || this.events.length > 0) await this.flush();
    this.ended = true;
    this.block.fill(0, 0, FRAME_BYTES);
    const frame = new DataView(this.block.buffer);
    frame.setUint32(TYPE_AT, TYPE_END, true);
    putCount(frame, ACCESSES_AT, this.allAccesses);
    putCount(frame, ALL_EVENTS_AT, this.allEvents);
    await this.send(FRAME_BYTES);
  }

  private async start(): Promise<void> {
    if (this.started) return;
    this.started = true;
    await this.sink(Uint8Array.of(...MAGIC, VERSION));
  }

  /** @returns `to` */
  private async accesses(from: AccessBatch, first: number, to: number): Promise<number> {
    const { batch } = this;
    for (let at = first; at < to; ) {
      const stop = Math.min(to, at + BLOCK_ACCESSES - batch.count);
      batch.va.set(from.va.subarray(at * 2, stop * 2), batch.count * 2);
      batch.kind.set(from.kind.subarray(at, stop), batch.count);
      batch.size.set(from.size.subarray(at, stop), batch.count);
      batch.count += stop - at;
      at = stop;
      if (batch.count === BLOCK_ACCESSES) await this.flush();
    }
    return to;
  }

  private async event(event: TraceEvent): Promise<void> {
    this.events.push(encodeEvent(event, this.batch.count - this.lastEventAt));
    this.lastEventAt = this.batch.count;
    this.allEvents++;
    if (this.events.length === BLOCK_EVENTS) await this.flush();
  }

  private async flush(): Promise<void> {
    const { batch, block, encoder, events } = this, frame = new DataView(block.buffer);
    encoder.write(batch);
    let length = FRAME_BYTES;
    [encoder.paths, encoder.misses, encoder.shapes, encoder.addresses].forEach((section, k) => {
      block.set(section.bytes.subarray(0, section.length), length);
      length += section.length;
      frame.setUint32(SECTIONS_AT + 4 * k, section.length, true);
    });
    const eventsAt = length;
    for (const event of events) {
      block.set(event, length);
      length += event.length;
    }
    frame.setUint32(SECTIONS_AT + 16, length - eventsAt, true);
    frame.setUint32(TYPE_AT, TYPE_BLOCK, true);
    frame.setUint32(ACCESSES_AT, batch.count, true);
    frame.setUint32(EVENTS_AT, events.length, true);
    this.allAccesses += batch.count;
    batch.count = 0;
    this.events = [];
    this.lastEventAt = 0;
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
