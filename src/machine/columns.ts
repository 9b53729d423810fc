/** Room for batches of accesses, where the machine's engine can reach it. */
import { layColumns, type BatchColumns } from '../accel/engine.ts';
import { ConfigError } from '../errors.ts';
import type { Views } from '../memory/views.ts';

const MOST = 2 ** 24;

/** Accesses as columns, for `Vcpu.runBatch()`, as in AccessColumns; without `pa`, and 0 for its offset, their physical addresses are not wanted. */
export interface AccessInput {
  readonly capacity: number;
  readonly va: Int32Array;
  readonly kind: Uint8Array;
  readonly size: Uint16Array;
  readonly pa?: Int32Array | undefined;
  /** Where they are in machine memory, for the wasm engine; undefined with the TypeScript engine. */
  readonly offsets: BatchColumns['offsets'] | undefined;
  /** Of the machine that they belong to. */
  readonly views: Views;
}

/**
 * Accesses as columns, for `Vcpu.runBatch()`. Made by `Machine.columns()`; filled by the caller.
 *
 * Access i has its linear address in `va[2i]` (low word) and `va[2i + 1]` (high word), its bytes (1 to 65535) in `size[i]`, and in
 * `kind[i]` 0 for a load, 1 for a store, 2 for a fetch, 3 for a modify: a load, then a store. Made, it leaves the physical address of its
 * first byte in `pa[2i]` and `pa[2i + 1]`; if its first page faults, it leaves them alone.
 */
export interface AccessColumns extends AccessInput {
  readonly pa: Int32Array;
}

/** @param inMemory - at the end of machine memory @throws ConfigError - capacity, or no room */
export function makeColumns(views: Views, inMemory: boolean, capacity: number): AccessColumns {
  if (!Number.isInteger(capacity) || capacity < 1 || capacity > MOST) throw new ConfigError('capacity', `an integer from 1 to ${MOST}`, capacity);
  if (inMemory) return { ...layColumns(views, capacity), capacity, views };
  return {
    va: new Int32Array(capacity * 2), kind: new Uint8Array(capacity), size: new Uint16Array(capacity), pa: new Int32Array(capacity * 2),
    offsets: undefined, capacity, views,
  };
}

/** @throws ConfigError - they are not of the machine with these views, or the range is not in them */
export function checkColumns(views: Views, columns: AccessInput, from: number, to: number): void {
  if (columns?.views !== views) throw new ConfigError('columns', 'columns of this machine', columns === undefined ? undefined : 'others');
  const { capacity } = columns;
  if (!Number.isInteger(to) || to < 0 || to > capacity) throw new ConfigError('to', `an integer from 0 to ${capacity}`, to);
  if (!Number.isInteger(from) || from < 0 || from > to) throw new ConfigError('from', `an integer from 0 to ${to}`, from);
}
