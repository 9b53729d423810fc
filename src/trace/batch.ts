/**
 * Batches of memory accesses: what every trace reader produces and every consumer takes. Columns, not objects, because
 * traces have billions of lines.
 */

import type { Machine } from '../machine/machine.ts';
import type { Touches } from '../machine/touch-batch.ts';

/** Kinds of access, as stored in `AccessBatch.kind`. */
export const KIND_LOAD = 0;
export const KIND_STORE = 1;
export const KIND_FETCH = 2;
/** A load and a store of the same bytes by one instruction (lackey's `M`): two translations, load first. */
export const KIND_MODIFY = 3;

/** Accesses in a batch: large enough to amortize a call, small enough to stay in a cache. */
export const BATCH_CAPACITY = 1 << 16;

/** A system call that the traced program made, between two accesses. */
export interface TraceEvent {
  /** Index in the batch of the first access after the event; `count` if the batch ends with it. */
  readonly at: number;
  readonly pid: number;
  /** Linux x86-64 system call number. */
  readonly nr: number;
  /** Name without the `sys_` prefix: `mmap`, `fork`, `exit_group`. */
  readonly name: string;
  /** Arguments as given; addresses exact. */
  readonly args: readonly bigint[];
  /** Value returned, `undefined` where the trace does not say (exit, an asynchronous wait). */
  readonly result: bigint | undefined;
  /** Process created, for fork, vfork and clone. */
  readonly child: number | undefined;
}

/** Accesses as columns, and the system calls among them. Reused by its reader. */
export class AccessBatch {
  /** Accesses in use, 0 to `BATCH_CAPACITY`. */
  count = 0;
  /** Linear addresses, two words an access: low at `2i`, high at `2i + 1` (little-endian 64-bit values). */
  readonly va: Int32Array;
  /** KIND_* of each access. */
  readonly kind: Uint8Array;
  /** Bytes of each access, 1 to 65535. */
  readonly size: Uint16Array;
  /** What the accesses touch, and no columns: after `TraceReader.touchesIn()`. */
  readonly touches: Touches | undefined;
  /** System calls among the accesses, ordered by `at`. */
  events: TraceEvent[] = [];

  /** @param columns - for as many accesses, where they are to be elsewhere */
  constructor(capacity = BATCH_CAPACITY, columns?: Pick<AccessBatch, 'va' | 'kind' | 'size'>, touches?: Touches) {
    this.va = columns?.va ?? new Int32Array(capacity * 2);
    this.kind = columns?.kind ?? new Uint8Array(capacity);
    this.size = columns?.size ?? new Uint16Array(capacity);
    this.touches = touches;
  }
}

/** A machine, and room in its memory for a decoder. */
export interface DecodingRoom {
  readonly machine: Machine;
  /** @returns byte offset of the room; where it was `used` before, it is as it was left, else zero */
  roomFor(bytes: number): { readonly at: number; readonly used: boolean };
}

/**
 * A stream of batches. The reader owns the batch it returns and overwrites it at the next call.
 * `close()` releases the input early; it is safe to call twice.
 */
export interface TraceReader {
  /** Format name: `lackey`, `champsim`, `memtrace`, `din`, `pwt`. */
  readonly format: string;
  /** Before the first batch, if the format can: batches have `touches`, which lie in this machine's memory if its engine is that of wasm. */
  touchesIn?(room: DecodingRoom): void;
  /** The next batch, `undefined` after the last. @throws InputError */
  next(): Promise<AccessBatch | undefined>;
  /** Malformed records passed over so far (only with `skipBad`). */
  readonly skipped: number;
  /** Bytes of input consumed (as stored, compressed) and in all (`undefined` for a pipe): for a progress bar. */
  readonly bytesRead: number;
  readonly bytesTotal: number | undefined;
  close(): Promise<void>;
}
