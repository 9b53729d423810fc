/** The wasm engine on a memory of its own, that is no machine's: for what else it does. */
import { LAYOUT_VERSION } from '../layout/header.ts';
import { instantiate, type Accelerator } from './engine.ts';

const WASM_PAGE_BYTES = 65536;

export interface Lone {
  readonly engine: Accelerator;
  readonly buffer: ArrayBufferLike;
}

/** @param bytes - of memory, at least, all zero @returns undefined where the module or shared memory is missing */
export function lone(bytes: number): Lone | undefined {
  if (typeof SharedArrayBuffer === 'undefined') return undefined;
  const pages = Math.ceil(bytes / WASM_PAGE_BYTES), memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const noBus = (): never => { throw new Error('this memory has no bus'); };
  const engine = instantiate({ memory, busRead: noBus, busWrite: noBus, nestedWalk: noBus });
  if (engine?.layoutVersion?.() !== LAYOUT_VERSION) return undefined;
  return { engine: engine as Accelerator, buffer: memory.buffer };
}
