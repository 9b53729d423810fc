/** What writes a trace in one format. */
import type { AccessBatch } from './batch.ts';
import type { TraceFormat } from './trace-format.ts';

/** Takes bytes in order; they may be overwritten once the promise is fulfilled. */
export type ByteSink = (bytes: Uint8Array) => Promise<void>;

/** Writes one trace. */
export interface TraceWriter {
  readonly format: TraceFormat;
  /** Appends the batch; it may be overwritten once the promise is fulfilled. */
  write(batch: AccessBatch): Promise<void>;
  /** Writes what is still held back and the end of the file. Nothing can be written after it. */
  end(): Promise<void>;
}
