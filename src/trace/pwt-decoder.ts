/**
 * Reads `.pwt` (pwt-format.ts). A block that fails its checksum ends the trace even with `skipBad`: the model that
 * later blocks build on is lost with it.
 */
import { lone, type Lone } from '../accel/lone.ts';
import { InputError } from '../errors.ts';
import { TOUCH_BYTES } from '../layout/census.ts';
import { PWT_BLOCK_KIND, PWT_BLOCK_SIZE, PWT_BLOCK_TOUCHES, PWT_BLOCK_VA, PWT_BYTES, PWT_SECTIONS, PWT_SEGMENT_ROWS, PWT_TOUCHES } from '../layout/pwt.ts';
import type { EngineChoice } from '../machine/options.ts';
import type { Views } from '../memory/views.ts';
import { AccessBatch, type DecodingRoom } from './batch.ts';
import { crc32 } from './crc32.ts';
import { PwtBlockReader } from './pwt-block-reader.ts';
import { decodeEvents } from './pwt-event.ts';
import {
  ACCESSES_AT, ALL_EVENTS_AT, BLOCK_ACCESSES, BLOCK_EVENTS, BLOCK_LIMIT, CRC_AT, EVENTS_AT, FRAME_BYTES, HEADER_BYTES, MAGIC, SECTIONS, SECTIONS_AT,
  TYPE_AT, TYPE_BLOCK, TYPE_END, VERSION,
} from './pwt-format.ts';
import { PwtModel } from './pwt-model.ts';
import { printable, TraceDecoder } from './trace-decoder.ts';

type ReadBlock = PwtBlockReader['read'];

/** Where to decode: a memory, and where in it; in that of a machine its engine, if it is that of wasm. */
interface Home extends Partial<Lone> {
  readonly buffer: ArrayBufferLike;
  readonly base: number;
  readonly views?: Views;
}

/** In a machine's memory, if that stays where it is when it grows. */
function inMachine(room: DecodingRoom): Home | undefined {
  const { accelerator, views } = room.machine;
  if (!views.shared) return undefined;
  const { at, used } = room.roomFor(PWT_BYTES);
  if (used) views.u8.fill(0, at, at + PWT_SEGMENT_ROWS); // what is behind it is written before it is read
  return { ...(accelerator && { engine: accelerator }), buffer: views.memory.buffer, base: at, views };
}

/** Decodes `.pwt`, a block a batch. */
export class PwtDecoder extends TraceDecoder {
  readonly format = 'pwt';
  readonly longest = BLOCK_LIMIT;
  private readonly engine: EngineChoice;
  private memory!: Uint8Array;
  private readBlock!: ReadBlock;
  private columns = true;
  private started = false;
  private ended = false;
  /** Bytes of the file before those at hand. */
  private offset = 0;
  private allAccesses = 0;
  private allEvents = 0;

  /** @param engine - what decodes; `ts`, or wasm where it can be */
  constructor(file: string, skipBad: boolean, engine: EngineChoice = 'auto') {
    super(file, skipBad);
    this.engine = engine;
  }

  /** Lies where blocks are decoded to, nothing is copied: in the machine's memory, or in one that is the decoder's. */
  override makeBatch(room?: DecodingRoom): AccessBatch {
    const { buffer, base, engine, views } = this.home(room), offset = base + PWT_BLOCK_TOUCHES;
    if (engine) this.readBlock = (...block) => Boolean(engine.readPwtBlock(base, ...block));
    else {
      const reader = new PwtBlockReader(new PwtModel(buffer, base));
      this.readBlock = (...block) => reader.read(...block);
    }
    this.memory = new Uint8Array(buffer, base, PWT_BYTES);
    this.columns = room === undefined;
    return new AccessBatch(BLOCK_ACCESSES, {
      va: new Int32Array(buffer, base + PWT_BLOCK_VA, BLOCK_ACCESSES * 2),
      kind: new Uint8Array(buffer, base + PWT_BLOCK_KIND, BLOCK_ACCESSES),
      size: new Uint16Array(buffer, base + PWT_BLOCK_SIZE, BLOCK_ACCESSES),
    }, room && { rows: new Int32Array(buffer, offset, PWT_TOUCHES * (TOUCH_BYTES >>> 2)), offset, views });
  }

  private home(room: DecodingRoom | undefined): Home {
    const inTypeScript = this.engine === 'ts';
    if (room && inTypeScript === (room.machine.accelerator === undefined)) {
      const home = inMachine(room);
      if (home) return home;
    }
    return { ...((inTypeScript ? undefined : lone(PWT_BYTES)) ?? { buffer: new ArrayBuffer(PWT_BYTES) }), base: 0 };
  }

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
    return SECTIONS.reduce((sum, [name, most], k) => sum + this.atMost(frame, SECTIONS_AT + 4 * k, most, `bytes of ${name}`), FRAME_BYTES);
  }

  private atMost(frame: DataView, at: number, limit: number, what: string): number {
    const value = frame.getUint32(at, true);
    if (value > limit) throw this.error(`a block of at most ${limit} ${what}`, String(value));
    return value;
  }

  private end(frame: DataView): void {
    const accesses = takeCount(frame, ACCESSES_AT);
    const events = takeCount(frame, ALL_EVENTS_AT);
    if (accesses !== this.allAccesses || events !== this.allEvents) {
      const expected = `${accesses} accesses and ${events} events before the end marker`;
      throw this.error(expected, `${this.allAccesses} and ${this.allEvents}`);
    }
    this.ended = true;
  }

  private block(frame: DataView, sections: Uint8Array, batch: AccessBatch): void {
    const count = frame.getUint32(ACCESSES_AT, true);
    const [paths, misses, shapes, addresses] = SECTIONS.map((_, k) => frame.getUint32(SECTIONS_AT + 4 * k, true));
    const eventsAt = paths + misses + shapes + addresses;
    this.memory.set(sections.subarray(0, eventsAt), PWT_SECTIONS);
    const sound = count === 0 ? eventsAt === 0 : this.readBlock(count, paths, misses, shapes, addresses, this.columns ? -1 : this.allAccesses % 2 ** 30);
    if (!sound) throw this.error(`sections of ${count} accesses`, 'malformed ones');
    const events = decodeEvents(sections.subarray(eventsAt), frame.getUint32(EVENTS_AT, true), count);
    if (events === undefined) throw this.error('events in their place', 'malformed ones');
    batch.count = count;
    batch.events = events;
    this.allAccesses += count;
    this.allEvents += events.length;
    this.full = true;
  }

  private error(expected: string, got: string): InputError {
    return new InputError(this.file, `byte ${this.offset}`, expected, got);
  }
}

function takeCount(frame: DataView, at: number): number {
  return frame.getUint32(at, true) + frame.getUint32(at + 4, true) * 2 ** 32;
}
