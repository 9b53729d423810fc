/**
 * The wasm engine, attached to a machine's memory: the hot path of mmu and cost again, on the same bytes.
 *
 * After any operation it leaves the state as the TypeScript engine would, byte for byte, so that both can be used in turn, and so can several
 * instances. Its source is in wasm/. An instance keeps nothing that decides a result: scratch of the call in progress, and guesses (which entry the
 * last walk began at, whether nearly every access walks, what was read ahead), which are checked against the state where they are used.
 */
import { HDR_VERSION } from '../layout/header.ts';
import { readBus, writeBus } from '../memory/extents.ts';
import type { Views } from '../memory/views.ts';

/** Functions of the wasm engine. `v` is the byte offset of a vCPU block (`Vcpu.block`); addresses are high and low words. */
export interface Accelerator {
  layoutVersion(): number;
  /** Like `translate()` of mmu. */
  translate(v: number, vaHi: number, vaLo: number, access: number): number;
  /** Translate, and price the access in timed mode, like `Vcpu.access()`. */
  access(v: number, vaHi: number, vaLo: number, kind: number): number;
  /** Like `access()`, which it is when no memo answers the access (src/mmu/repeat.ts): then it takes a look less. */
  accessAnew(v: number, vaHi: number, vaLo: number, kind: number): number;
  /**
   * Make accesses `from` up to but not including `to` of columns in machine memory, see `layColumns()`.
   *
   * @param va - byte offset of the addresses; `kind`, `size` likewise @param pa - of the results, 0 = not wanted @param extra - ACCESS_* bits added to each
   * @returns `to`, or the index of the first access that faulted, with the fault in VCPU_OUT_FAULT
   */
  runBatch(v: number, va: number, kind: number, size: number, pa: number, from: number, to: number, extra: number): number;
  /** All bits of kinds `from` up to but not including `to`: `runBatch()` takes no other kinds than 0 to 3. @param kind - byte offset of the column */
  kindBits(kind: number, from: number, to: number): number;
  /** As `TouchBatch.run()` of machine/, with the byte offset of a row, which it returns, too; 0: an access faulted. No table may be a device's: if one throws, not all is counted. */
  runTouches(v: number, next: number, to: number, extra: number): number;
  invlpg(v: number, vaHi: number, vaLo: number): void;
  /** @returns FAULT_NONE, FAULT_GP or FAULT_UD */
  invpcid(v: number, type: number, d0Lo: number, d0Hi: number, vaHi: number, vaLo: number): number;
  dropEverything(v: number): void;
  dropPcid(v: number, pcid: number): void;
  dropPcidAndGlobal(v: number, tagPcid: number): void;
  dropNonGlobal(v: number): void;

  // Runs over the frame table: as the functions of frames/, with `v` as a byte offset.
  validateEntries(v: number, table: number, from: number, to: number, owner: number, stop: number, adjust: number): number;
  dropEntries(v: number, table: number, from: number, to: number, owner: number): number;
  validateTable(v: number, table: number, owner: number, stop: number, adjust: number): number;
  updateEntries(v: number, requests: number, count: number, owner: number, stop: number, adjust: number): number;
  updateEntry(v: number, ptrHi: number, ptrLo: number, valHi: number, valLo: number, owner: number, stop: number, adjust: number): number;

  // Whole pages: as the functions of memory/pages.ts.
  backedPages(paHi: number, paLo: number, pages: number): number;
  clearPages(paHi: number, paLo: number, pages: number): number;
  copyPages(toHi: number, toLo: number, fromHi: number, fromLo: number, pages: number): number;
  comparePages(aHi: number, aLo: number, bHi: number, bLo: number, pages: number): number;
  hashPages(paHi: number, paLo: number, pages: number): bigint;

  /** As `PwtBlockReader.read()` of trace/, with the byte offset of what the model knows; 1 or 0. */
  readPwtBlock(model: number, count: number, paths: number, misses: number, shapes: number, addresses: number, before: number): number;
  /** As `PageCounts.columns()` of trace/, with byte offsets. */
  countColumns(base: number, va: number, kind: number, size: number, from: number, to: number): number;
  /** As `PageCounts.touched()`, with the byte offset of a row, which it returns, too. */
  countTouches(base: number, next: number, to: number): number;
}

let compiled: WebAssembly.Module | undefined;

/** The module that comes with the package, where files can be read; undefined elsewhere. */
function packaged(): WebAssembly.Module | undefined {
  if (compiled !== undefined || typeof process === 'undefined' || typeof process.getBuiltinModule !== 'function') return compiled;
  try {
    compiled = new WebAssembly.Module(process.getBuiltinModule('node:fs').readFileSync(new URL('../../wasm/pagewalk.wasm', import.meta.url)));
  } catch {
    return undefined; // not installed, or this host has no SIMD or no threads
  }
  return compiled;
}

/** @returns undefined where the module is missing, or imports something else */
export function instantiate(imports: WebAssembly.ModuleImports, module: WebAssembly.Module | undefined = packaged()): Partial<Accelerator> | undefined {
  if (module === undefined) return undefined;
  try {
    return new WebAssembly.Instance(module, { env: imports }).exports as unknown as Accelerator;
  } catch {
    return undefined;
  }
}

/**
 * Attach the wasm engine to a machine's memory.
 *
 * Entries in a device's hole are read and written through the handlers of `views`; everything else stays inside wasm.
 *
 * @param module - compiled wasm/pagewalk.wasm, for hosts without files (browsers)
 * @returns undefined where the memory is not shared, or the module is missing, another one, or made for another layout
 */
export function attach(views: Views, module?: WebAssembly.Module): Accelerator | undefined {
  if (!views.shared) return undefined;
  const busRead = (hi: number, lo: number, bytes: number): bigint => {
    readBus(views, hi, lo, bytes);
    return (BigInt(views.busHi) << 32n) | BigInt(views.busLo >>> 0);
  };
  const busWrite = (hi: number, lo: number, value: number): void => writeBus(views, hi, lo, 4, BigInt(value >>> 0));
  const nestedWalk = (v: number, vaHi: number, vaLo: number, access: number, cached: number): number =>
    views.nestedWalk!(views, v >>> 2, vaHi, vaLo, access, cached !== 0, true);
  const engine = instantiate({ memory: views.memory, busRead, busWrite, nestedWalk }, module);
  return engine?.layoutVersion?.() === views.w[HDR_VERSION >>> 2] ? engine as Accelerator : undefined;
}

/** Columns of a batch in machine memory, as typed arrays and as byte offsets for `Accelerator.runBatch()`. */
export interface BatchColumns {
  readonly va: Int32Array;
  readonly kind: Uint8Array;
  readonly size: Uint16Array;
  readonly pa: Int32Array;
  readonly offsets: { readonly va: number; readonly kind: number; readonly size: number; readonly pa: number };
}

/** Add room for a batch of at most `accesses` at the end of machine memory. Not part of the state: a snapshot need not keep it. */
export function layColumns(views: Views, accesses: number): BatchColumns {
  const va = views.grow(accesses * 19), pa = va + accesses * 8, size = pa + accesses * 8, kind = size + accesses * 2;
  const buffer = views.memory.buffer;
  return {
    va: new Int32Array(buffer, va, accesses * 2), size: new Uint16Array(buffer, size, accesses), kind: new Uint8Array(buffer, kind, accesses),
    pa: new Int32Array(buffer, pa, accesses * 2),
    offsets: { va, kind, size, pa },
  };
}
