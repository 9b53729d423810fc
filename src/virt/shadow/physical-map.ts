/** Guest-physical memory: which machine frame each guest frame is, and the guest's entries in it. */
import { ConfigError } from '../../errors.ts';
import { HDR_OPEN_BUS } from '../../layout/header.ts';
import { loadEntry } from '../../memory/entry.ts';
import { readBus, wordOf } from '../../memory/extents.ts';
import type { Views } from '../../memory/views.ts';

/** The P2M as the hypervisor keeps it: a table, -1 for a guest frame without memory, or anything that answers likewise. */
export type PhysicalMap = Int32Array | { readonly frames: number; mfn(gfn: number): number };

const FRAMES_MOST = 2 ** 26; // 256 GiB: the bitmap of written pages is of this order
const MFN_MOST = 2 ** 40;

export class GuestMemory {
  readonly frames: number;
  /** The 8 or 4 bytes that the last `load()` found. */
  lo = 0;
  hi = 0;
  private readonly s: Views;
  private readonly ask: (gfn: number) => number;
  private readonly poolFirst: number;
  private readonly poolEnd: number;

  /** @param poolFirst, poolFrames - machine frames that the guest never gets, whatever the P2M says */
  constructor(s: Views, p2m: PhysicalMap, poolFirst: number, poolFrames: number) {
    const frames = p2m instanceof Int32Array ? p2m.length : typeof p2m === 'object' && p2m !== null ? p2m.frames : -1;
    if (!Number.isInteger(frames) || frames < 0 || frames > FRAMES_MOST) throw new ConfigError('p2m', 'an Int32Array, or { frames, mfn() }', p2m);
    this.s = s;
    this.frames = frames;
    this.poolFirst = poolFirst;
    this.poolEnd = poolFirst + poolFrames;
    this.ask = p2m instanceof Int32Array ? gfn => p2m[gfn] : gfn => p2m.mfn(gfn);
  }

  /** Machine frame of a guest frame, -1 if it has none that can be mapped. */
  mfn(gfn: number): number {
    if (gfn < 0 || gfn >= this.frames) return -1;
    const mfn = this.ask(gfn);
    return mfn >= 0 && mfn < MFN_MOST && !(mfn >= this.poolFirst && mfn < this.poolEnd) ? mfn : -1;
  }

  /** Word index of the guest's bytes at an offset of a machine frame, -1 if there are none. */
  wordAt(mfn: number, offset: number): number {
    return mfn < 0 ? -1 : wordOf(this.s, Math.floor(mfn / 0x100000), (mfn << 12) | offset);
  }

  /** Read an entry of a guest table into `lo`, `hi`; where there is no memory the bus is open. @param bytes - 4 or 8 */
  load(mfn: number, offset: number, bytes: number): void {
    const { s } = this, at = this.wordAt(mfn, offset);
    if (mfn < 0) s.busLo = s.busHi = s.w[HDR_OPEN_BUS >>> 2];
    else if (at < 0) readBus(s, Math.floor(mfn / 0x100000), (mfn << 12) | offset, bytes);
    else if (bytes === 4) s.busLo = s.w[at];
    else loadEntry(s, at);
    this.lo = s.busLo;
    this.hi = s.busHi;
    if (bytes === 4) this.hi = 0;
  }
}
