/**
 * Writes `din` (din-decoder.ts). The format has no sizes and no system calls, so those are lost; a modify becomes a
 * read and a write.
 */
import { KIND_FETCH, KIND_LOAD, KIND_MODIFY, KIND_STORE } from './batch.ts';
import type { AccessBatch } from './batch.ts';
import { TextWriter } from './text-writer.ts';
import type { ByteSink, TraceWriter } from './trace-writer.ts';

const SPACE = 0x20;
const NEWLINE = 10;
const READ = 0x30;
const WRITE = 0x31;
const FETCH = 0x32;

const LABEL = new Uint8Array(4);
LABEL[KIND_LOAD] = READ;
LABEL[KIND_STORE] = WRITE;
LABEL[KIND_FETCH] = FETCH;
LABEL[KIND_MODIFY] = READ;

/** Writes `din` to the sink, 64 KByte at a time. */
export class DinWriter implements TraceWriter {
  readonly format = 'din';
  private readonly out: TextWriter;

  constructor(sink: ByteSink) {
    this.out = new TextWriter(sink);
  }

  async write(batch: AccessBatch): Promise<void> {
    const { out } = this;
    for (let at = 0; at < batch.count; at++) {
      if (!out.room) await out.flush();
      const kind = batch.kind[at];
      this.line(LABEL[kind], batch.va[at * 2], batch.va[at * 2 + 1]);
      if (kind === KIND_MODIFY) this.line(WRITE, batch.va[at * 2], batch.va[at * 2 + 1]);
    }
  }

  async end(): Promise<void> {
    await this.out.flush();
  }

  private line(label: number, lo: number, hi: number): void {
    const { out } = this;
    out.byte(label);
    out.byte(SPACE);
    out.hex(lo, hi, 1);
    out.byte(NEWLINE);
  }
}
