/**
 * Writes Lackey's text (lackey-decoder.ts), system calls included. The order and kind of accesses, sizes and addresses
 * come back exactly; of a system call its pid, number, name, arguments, result and child.
 */
import { KIND_FETCH, KIND_LOAD, KIND_MODIFY, KIND_STORE } from './batch.ts';
import type { AccessBatch, TraceEvent } from './batch.ts';
import { TextWriter } from './text-writer.ts';
import type { ByteSink, TraceWriter } from './trace-writer.ts';

const SPACE = 0x20;
const COMMA = 0x2c;
const NEWLINE = 10;
const ADDRESS_WIDTH = 8;

/** Characters of the first two columns by kind. */
const FIRST = new Uint8Array(4).fill(SPACE);
FIRST[KIND_FETCH] = 0x49;
const SECOND = new Uint8Array(4).fill(SPACE);
SECOND[KIND_LOAD] = 0x4c;
SECOND[KIND_STORE] = 0x53;
SECOND[KIND_MODIFY] = 0x4d;

/** Writes Lackey's text to the sink, 64 KByte at a time. */
export class LackeyWriter implements TraceWriter {
  readonly format = 'lackey';
  private readonly out: TextWriter;

  constructor(sink: ByteSink) {
    this.out = new TextWriter(sink);
  }

  async write(batch: AccessBatch): Promise<void> {
    let at = 0;
    for (const event of batch.events) {
      await this.accesses(batch, at, event.at);
      await this.out.text(`${callLine(event)}\n`);
      at = event.at;
    }
    await this.accesses(batch, at, batch.count);
  }

  async end(): Promise<void> {
    await this.out.flush();
  }

  private async accesses(batch: AccessBatch, from: number, to: number): Promise<void> {
    const { out } = this;
    for (let at = from; at < to; at++) {
      if (!out.room) await out.flush();
      const kind = batch.kind[at];
      out.byte(FIRST[kind]);
      out.byte(SECOND[kind]);
      out.byte(SPACE);
      out.hex(batch.va[at * 2], batch.va[at * 2 + 1], ADDRESS_WIDTH);
      out.byte(COMMA);
      out.decimal(batch.size[at]);
      out.byte(NEWLINE);
    }
  }
}

function callLine(event: TraceEvent): string {
  const args = event.args.map((arg) => (arg < 0n ? `-0x${(-arg).toString(16)}` : `0x${arg.toString(16)}`)).join(', ');
  const call = `SYSCALL[${event.pid},1](${event.nr}) sys_${event.name} ( ${args} )`;
  if (event.child !== undefined) return `${call}   fork: process ${event.pid} created child ${event.child}`;
  if (event.result === undefined) return `${call} --> [async] ... `;
  const { result } = event;
  const outcome = result < 0n ? `Failure(0x${(-result).toString(16)})` : `Success(0x${result.toString(16)})`;
  return `${call} --> [pre-success] ${outcome} `;
}
