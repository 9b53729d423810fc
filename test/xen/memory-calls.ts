/** memory_op as a guest of either width makes it: structures and lists laid out in its memory. */
import { HYPERVISOR_memory_op } from '../../src/xen/numbers.ts';
import { Guest, ARGS, FIRST } from './guest.ts';

export const SELF = 0x7ff0;
export const INCREASE = 0, DECREASE = 1, POPULATE = 6, EXCHANGE = 11;
/** Frames of the guest that hold lists. */
export const LIST = ARGS - 2, OUT_LIST = ARGS - 4;

export interface Extent {
  readonly list?: bigint;
  readonly count: bigint | number;
  readonly order?: number;
  readonly flags?: number;
  readonly domid?: number;
}

/** Bytes of fields, each `[bytes, value]`. */
export function pack(...fields: (readonly [bytes: number, value: bigint | number])[]): Uint8Array {
  const out = new Uint8Array(fields.reduce((sum, [bytes]) => sum + bytes, 0)), view = new DataView(out.buffer);
  let at = 0;
  for (const [bytes, value] of fields) {
    if (bytes === 8) view.setBigUint64(at, BigInt.asUintN(64, BigInt(value)), true);
    else if (bytes === 4) view.setUint32(at, Number(BigInt.asUintN(32, BigInt(value))), true);
    else view.setUint16(at, Number(value), true);
    at += bytes;
  }
  return out;
}

/** A xen_memory_reservation. */
export function reservation(g: Guest, { list = g.va(LIST), count, order = 0, flags = 0, domid = SELF }: Extent): Uint8Array {
  const w = g.wide ? 8 : 4;
  return pack([w, list], [w, count], [4, order], [4, flags], [2, domid], [2, 0], ...(g.wide ? [[4, 0] as const] : []));
}

/** Store bytes where the guest sees them. */
export function poke(g: Guest, va: bigint, data: Uint8Array): void {
  const fault = g.xen.write(g.cpu, va, data);
  if (fault !== 0) throw new Error(`store at 0x${va.toString(16)}: fault 0x${fault.toString(16)}`);
}

export function peek(g: Guest, va: bigint, bytes: number): DataView {
  const out = new Uint8Array(bytes), fault = g.xen.read(g.cpu, va, out);
  if (fault !== 0) throw new Error(`load at 0x${va.toString(16)}: fault 0x${fault.toString(16)}`);
  return new DataView(out.buffer);
}

/** Write a list of frame numbers. */
export function putList(g: Guest, values: readonly number[], va = g.va(LIST)): void {
  if (values.length > 0) poke(g, va, pack(...values.map(value => [g.wide ? 8 : 4, value] as const)));
}

export function getList(g: Guest, count: number, va = g.va(LIST)): number[] {
  const size = g.wide ? 8 : 4, view = peek(g, va, count * size);
  return Array.from({ length: count }, (_, k) => (g.wide ? Number(view.getBigUint64(k * 8, true)) : view.getUint32(k * 4, true)));
}

export function memoryOp(g: Guest, command: bigint | number, at: bigint): number {
  return Number(g.xen.hypercall(g.cpu, HYPERVISOR_memory_op, BigInt(command), at));
}

/** increase, decrease or populate, with its structure in the frame ARGS. */
export function adjust(g: Guest, op: number, extent: Extent, start = 0): number {
  poke(g, g.va(ARGS), reservation(g, extent));
  return memoryOp(g, op | (start << 6), g.va(ARGS));
}

/** decrease of frames. */
export function giveBack(g: Guest, ...mfns: number[]): number {
  putList(g, mfns);
  return adjust(g, DECREASE, { count: mfns.length });
}

export function exchange(g: Guest, input: Extent, output: Extent, exchanged: bigint | number = 0): readonly [rc: number, exchanged: number] {
  const w = g.wide ? 8 : 4, at = g.va(ARGS);
  const parts = [reservation(g, input), reservation(g, { list: g.va(OUT_LIST), ...output }), pack([w, exchanged])];
  poke(g, at, Uint8Array.from(parts.flatMap(part => [...part])));
  const rc = memoryOp(g, EXCHANGE, at), view = peek(g, at + BigInt(parts[0].length * 2), w);
  return [rc, g.wide ? Number(view.getBigUint64(0, true)) : view.getUint32(0, true)];
}

/** Unmap frames from where the kernel sees them. */
export function unmap(g: Guest, ...mfns: number[]): number[] {
  for (const mfn of mfns) if (g.map(g.va(mfn), 0n) !== 0) throw new Error(`frame 0x${mfn.toString(16)} stays mapped`);
  return mfns;
}

/** What the machine-to-physical table says of a frame. */
export function named(g: Guest, mfn: number): number {
  return g.xen.host.m2p.lo(mfn) === -1 ? -1 : g.xen.host.m2p.lo(mfn) >>> 0;
}

export const pfnOf = (mfn: number): number => mfn - FIRST;
