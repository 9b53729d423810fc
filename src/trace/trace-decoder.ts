/** What turns the bytes of one format into accesses. `StreamReader` feeds it; it never sees files or gzip. */
import { InputError } from '../errors.ts';
import { AccessBatch, type DecodingRoom } from './batch.ts';
import type { TraceFormat } from './trace-format.ts';

/** System calls in a batch before it is handed out: keeps memory constant in a trace of nothing else. */
export const EVENT_CAPACITY = 1024;

/** Decodes one format; made anew for each input, since it keeps its place and what it learned. */
export abstract class TraceDecoder {
  abstract readonly format: TraceFormat;
  /** Bytes of the longest record (line, block): the least the window of the reader must hold. */
  abstract readonly longest: number;
  /** Malformed records passed over. */
  skipped = 0;
  /** The batch takes no more records: hand it out and call again with an empty one. */
  full = false;
  /** Name of the input, for messages. */
  protected readonly file: string;
  protected readonly skipBad: boolean;

  constructor(file: string, skipBad: boolean) {
    this.file = file;
    this.skipBad = skipBad;
  }

  /** What to decode to: the batch that is given to `decode()`. Called once. @param _room - as of `TraceReader.touchesIn()` */
  makeBatch(_room?: DecodingRoom): AccessBatch {
    return new AccessBatch();
  }

  /**
   * Takes whole records from `bytes[start, end)` and adds them to the batch, until the bytes end or the batch is
   * `full`. Sets `full`.
   * @param final - no bytes follow `end`
   * @returns where the first record not taken starts; with `final` and not `full`, `end`
   * @throws InputError - a malformed or truncated record
   */
  abstract decode(bytes: Uint8Array, start: number, end: number, final: boolean, batch: AccessBatch): number;

  /** @throws InputError - unless malformed records are to be passed over, which counts it */
  protected bad(where: string, expected: string, got: string): void {
    if (!this.skipBad) throw new InputError(this.file, where, expected, got);
    this.skipped++;
  }
}

/** Bytes of the input as one printable, short line for a message. */
export function printable(bytes: Uint8Array, start: number, end: number): string {
  const most = 60;
  let text = '';
  for (let at = start; at < Math.min(end, start + most); at++) {
    const byte = bytes[at];
    if (byte >= 0x20 && byte < 0x7f) text += String.fromCharCode(byte);
    else text += `\\x${byte.toString(16).padStart(2, '0')}`;
  }
  return `"${text}${end - start > most ? '...' : ''}"`;
}
