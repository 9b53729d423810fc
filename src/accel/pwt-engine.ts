/** The wasm engine's reader of `.pwt` blocks, in a memory of its own. */
import { LAYOUT_VERSION } from '../layout/header.ts';
import { PWT_BYTES } from '../layout/pwt.ts';
import { instantiate } from './engine.ts';

const WASM_PAGE_BYTES = 65536;

export interface PwtEngine {
  /** PWT_BYTES and a bit, laid out as src/layout/pwt.ts says. */
  readonly buffer: ArrayBufferLike;
  /** Like `PwtBlockReader.read()`; 1 or 0. */
  readPwtBlock(count: number, paths: number, misses: number, shapes: number, addresses: number): number;
}

/** @returns undefined where the module or shared memory is missing */
export function pwtEngine(): PwtEngine | undefined {
  if (typeof SharedArrayBuffer === 'undefined') return undefined;
  const pages = Math.ceil(PWT_BYTES / WASM_PAGE_BYTES), memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const nothing = (): never => { throw new Error('a trace has no bus'); };
  const engine = instantiate({ memory, busRead: nothing, busWrite: nothing });
  if (engine?.readPwtBlock === undefined || engine.layoutVersion?.() !== LAYOUT_VERSION) return undefined;
  return { buffer: memory.buffer, readPwtBlock: engine.readPwtBlock };
}
