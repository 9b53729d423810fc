/** A small machine with a frame table, its runs made by one of the engines. */
import { attach } from '../../src/accel/engine.ts';
import { layFrameTable } from '../../src/frames/table.ts';
import { updateEntries, updateEntry } from '../../src/frames/update.ts';
import { dropEntries, validateEntries, validateTable } from '../../src/frames/validate.ts';
import { FRAME_OWNER, FRAME_REFS, FRAME_STRIDE, FRAME_TYPE } from '../../src/layout/frame.ts';
import { VCPU_OWED } from '../../src/layout/vcpu.ts';
import { Machine } from '../../src/machine/machine.ts';
import { readEntry, writeEntry } from '../../src/memory/entry.ts';
import type { Views } from '../../src/memory/views.ts';

export const FRAMES = 256;
export const DOMAIN = 7;
const FRAME = 4096n;

export interface Frame {
  readonly owner: number;
  readonly refs: number;
  /** The whole type word. */
  readonly type: number;
}

export interface Mode {
  readonly engine: 'TypeScript' | 'wasm';
  readonly vcpus: number;
}

export const MODES: readonly Mode[] = [1, 2].flatMap(vcpus => (['TypeScript', 'wasm'] as const).map(engine => ({ engine, vcpus })));

export class FrameWorld {
  readonly s: Views;
  readonly requests: number;
  private readonly block: number;
  private readonly rows: number;
  private readonly wasm;

  constructor({ engine, vcpus }: Mode) {
    const machine = Machine.create({ memory: FRAMES * 4096, vcpus, mode: 'functional', paging: 'none' });
    this.s = machine.views;
    this.block = machine.vcpus[0]!.block;
    this.rows = layFrameTable(this.s, FRAMES) >>> 2;
    this.requests = this.s.grow(65536);
    this.wasm = engine === 'wasm' ? attach(this.s)! : undefined;
  }

  frame(f: number): Frame {
    const w = this.s.w, row = this.rows + f * (FRAME_STRIDE >>> 2);
    return { owner: w[row + (FRAME_OWNER >>> 2)]! & 0xffff, refs: w[row + (FRAME_REFS >>> 2)]!, type: w[row + (FRAME_TYPE >>> 2)]! };
  }

  setFrame(f: number, frame: Partial<Frame>): void {
    const w = this.s.w, row = this.rows + f * (FRAME_STRIDE >>> 2), { owner, refs, type } = { ...this.frame(f), ...frame };
    w[row + (FRAME_OWNER >>> 2)] = owner;
    w[row + (FRAME_REFS >>> 2)] = refs;
    w[row + (FRAME_TYPE >>> 2)] = type;
  }

  entry(table: number, i: number): bigint {
    return readEntry(this.s, table * 4096 + i * 8);
  }

  setEntry(table: number, i: number, value: bigint): void {
    writeEntry(this.s, table * 4096 + i * 8, value);
  }

  /** What the last run left to put; 0n = nothing. Asking clears it. */
  owed(): bigint {
    const q = this.s.q, at = (this.block + VCPU_OWED) >>> 3, value = BigInt.asUintN(64, q[at]!);
    q[at] = 0n;
    return value;
  }

  bytes(): Buffer {
    return Buffer.from(this.s.u8);
  }

  validate(table: number, from = 0, to = 512, stop = 0, adjust = 0, owner = DOMAIN): number {
    const at = this.offset(table);
    return this.wasm ? this.wasm.validateEntries(this.block, at, from, to, owner, stop, adjust) : validateEntries(this.s, this.block >>> 2, at, from, to, owner, stop, adjust);
  }

  drop(table: number, from = 0, to = 512): number {
    const at = this.offset(table);
    return this.wasm ? this.wasm.dropEntries(this.block, at, from, to, DOMAIN) : dropEntries(this.s, this.block >>> 2, at, from, to, DOMAIN);
  }

  validateTable(table: number, stop = 0, adjust = 0): number {
    const at = this.offset(table);
    return this.wasm ? this.wasm.validateTable(this.block, at, DOMAIN, stop, adjust) : validateTable(this.s, this.block >>> 2, at, DOMAIN, stop, adjust);
  }

  update(ptr: bigint, value: bigint, stop = 0, adjust = 0): number {
    const [ptrHi, ptrLo, hi, lo] = [ptr >> 32n, ptr & 0xffffffffn, value >> 32n, value & 0xffffffffn].map(x => Number(x) | 0);
    return this.wasm ? this.wasm.updateEntry(this.block, ptrHi!, ptrLo!, hi!, lo!, DOMAIN, stop, adjust)
      : updateEntry(this.s, this.block >>> 2, ptrHi!, ptrLo!, hi!, lo!, DOMAIN, stop, adjust);
  }

  updateAll(requests: readonly (readonly [ptr: bigint, value: bigint])[], stop = 0, adjust = 0): number {
    requests.flat().forEach((word, k) => { this.s.q[(this.requests >>> 3) + k] = word; });
    return this.wasm ? this.wasm.updateEntries(this.block, this.requests, requests.length, DOMAIN, stop, adjust)
      : updateEntries(this.s, this.block >>> 2, this.requests, requests.length, DOMAIN, stop, adjust);
  }

  private offset(table: number): number {
    return (this.s.lowWord + table * 1024) * 4;
  }
}

/** An entry that maps a frame, with flags. */
export const entry = (frame: number, flags: bigint): bigint => (BigInt(frame) * FRAME) | flags;
/** A machine address in a table, with a command. */
export const at = (table: number, i: number, command = 0): bigint => BigInt(table) * FRAME + BigInt(i * 8 + command);
