/**
 * The bytes of a machine and the typed arrays that look at them.
 *
 * The buffer is that of a shared `WebAssembly.Memory` where there is one, so that workers and the wasm engine see the same bytes;
 * otherwise of a plain memory, with the same contents and single-threaded.
 */
import { ConfigError } from '../errors.ts';
import { EXTK_BACKED, EXT_BASE_HI, EXT_BASE_LO, EXT_FRAMES, EXT_FRAMES_HI, EXT_KIND, EXT_WORD } from '../layout/extent.ts';
import { HDR_ATOMIC, HDR_BROKEN, HDR_EXTENTS, HDR_EXTENT_BASE, HDR_LOW_BYTES, HDR_LOW_FRAMES } from '../layout/header.ts';
import { Locks } from './locks.ts';

export const WASM_PAGE_BYTES = 65536;
const MAX_WASM_PAGES = 65536; // 4 GiB, the limit of a 32-bit wasm memory

/**
 * What a memory-mapped device answers. Offsets are bytes from the start of its hole; sizes 1 to 8; values are unsigned.
 *
 * It may be asked in the middle of a walk, if tables are in its hole. It must not use the vCPU that walks then, nor plug in memory: what that
 * leaves is not defined. What it throws comes through.
 */
export interface MmioHandler {
  read(offset: number, bytes: number): bigint;
  write(offset: number, bytes: number, value: bigint): void;
}

/**
 * Walks the tables of a guest whose addresses a second stage translates. A link from the first stage to the second, which stands above it.
 *
 * @param cached - begin from what is cached @param use - note the use, keep what is found, set A and D; else only look
 * @returns FAULT_NONE, a fault of the guest, or an exit; results as of a walk, with VCPU_OUT_SIZE
 */
export type NestedWalk = (s: Views, v: number, vaHi: number, vaLo: number, access: number, cached: boolean, use: boolean) => number;

/** Reads the guest's 8-byte entry at a guest-physical address into `busLo`, `busHi`, for a register. @returns FAULT_NONE or an exit */
export type NestedRead = (s: Views, v: number, gpaHi: number, gpaLo: number) => number;

/** `shared`: fail without shared memory; `plain`: never shared; `auto`: shared where possible. */
export type BufferKind = 'auto' | 'shared' | 'plain';

export class Views {
  memory: WebAssembly.Memory;
  /** The state as 32-bit words, bytes, and 64-bit words: `q` for compare-and-swap, `d` to read both words at once. Replaced when the memory grows. */
  w!: Int32Array;
  u8!: Uint8Array;
  q!: BigInt64Array;
  d!: Float64Array;
  readonly shared: boolean;
  /** Called after the arrays were replaced, for holders of others over the same bytes. */
  readonly replaced: (() => void)[] = [];
  /** Handlers by extent id; callbacks cannot live in shared memory. */
  readonly mmio = new Map<number, MmioHandler>();
  /** Frames from address 0 up that have bytes, and where: the extent that nearly every access falls in. */
  lowFrames = 0;
  lowWord = 0;
  /** Entries change by compare-and-swap (several vCPUs), else by plain stores. */
  atomic = false;
  /** While true, devices are not asked: they read as the open bus. For probes, which must have no effect on anything. */
  quiet = false;
  /** Locks, as this thread takes them. */
  readonly locks = new Locks(this);
  /** Set where a machine has second stages. */
  nestedWalk: NestedWalk | undefined;
  nestedRead: NestedRead | undefined;
  /** Answer of the last `readBus()` or `loadEntry()`. */
  busLo = 0;
  busHi = 0;

  /** @param of - bytes of a new memory, or the memory of a machine, which may be another thread's @param kind - of a new memory */
  constructor(of: number | WebAssembly.Memory, kind: BufferKind = 'auto') {
    this.memory = typeof of === 'number' ? create(of, kind) : of;
    this.shared = !(this.memory.buffer instanceof ArrayBuffer);
    this.look();
  }

  /** Can the machine go on no more? See `brokenBy()`. */
  get isBroken(): boolean {
    return Atomics.load(this.w, HDR_BROKEN >>> 2) !== 0;
  }

  get byteLength(): number {
    return this.u8.length;
  }

  /** Add at least `bytes` zero bytes at the end. @returns the offset of the first new byte */
  grow(bytes: number): number {
    const pages = Math.ceil(bytes / WASM_PAGE_BYTES), now = this.memory.buffer.byteLength; // another thread may have added to it
    if (now / WASM_PAGE_BYTES + pages > MAX_WASM_PAGES) throw new ConfigError('memory', 'at most 4 GiB of backed memory and state', now + bytes);
    try {
      return this.memory.grow(pages) * WASM_PAGE_BYTES;
    } catch {
      throw new ConfigError('memory', `a host that has ${bytes} more bytes`, now + bytes);
    } finally {
      this.look();
    }
  }

  /** Look at the memory again: after it grew, here or in another thread, or after the extents changed. */
  look(): void {
    const buffer = this.memory.buffer;
    this.w = new Int32Array(buffer);
    this.u8 = new Uint8Array(buffer);
    this.q = new BigInt64Array(buffer);
    this.d = new Float64Array(buffer);
    for (const tell of this.replaced) tell();
    const w = this.w, row = w[HDR_EXTENT_BASE >>> 2] >>> 2;
    this.atomic = w[HDR_ATOMIC >>> 2] !== 0;
    const low = w[HDR_EXTENTS >>> 2] !== 0 && w[row + (EXT_KIND >>> 2)] === EXTK_BACKED
      && (w[row + (EXT_BASE_LO >>> 2)] | w[row + (EXT_BASE_HI >>> 2)] | w[row + (EXT_FRAMES_HI >>> 2)]) === 0;
    this.lowFrames = low ? w[row + (EXT_FRAMES >>> 2)] : 0;
    this.lowWord = low ? w[row + (EXT_WORD >>> 2)] : 0;
    if (w[HDR_LOW_FRAMES >>> 2] === this.lowFrames && w[HDR_LOW_BYTES >>> 2] === this.lowWord << 2) return; // others may be running
    w[HDR_LOW_FRAMES >>> 2] = this.lowFrames;
    w[HDR_LOW_BYTES >>> 2] = this.lowWord << 2;
  }
}

function create(bytes: number, kind: BufferKind): WebAssembly.Memory {
  const initial = Math.ceil(bytes / WASM_PAGE_BYTES);
  if (initial > MAX_WASM_PAGES) throw new ConfigError('memory', 'at most 4 GiB of backed memory and state', bytes);
  const made = kind === 'plain' ? undefined : tryShared(initial);
  if (!made && kind === 'shared') throw new ConfigError('buffer', 'an environment with shared memory', kind);
  return made ?? allocate(initial, false);
}

function tryShared(initial: number): WebAssembly.Memory | undefined {
  if (typeof SharedArrayBuffer === 'undefined') return undefined;
  const memory = allocate(initial, true);
  return memory.buffer instanceof SharedArrayBuffer ? memory : undefined;
}

function allocate(initial: number, shared: boolean): WebAssembly.Memory {
  try {
    return new WebAssembly.Memory({ initial, maximum: MAX_WASM_PAGES, shared });
  } catch {
    throw new ConfigError('memory', `a host that has ${initial * WASM_PAGE_BYTES} bytes to give`, initial * WASM_PAGE_BYTES);
  }
}
