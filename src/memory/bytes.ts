/** Byte copies to and from physical memory, across frames, extents and devices. */
import { FRAME_BYTES, readBus, wordOf, writeBus } from './extents.ts';
import type { Views } from './views.ts';

const hiOf = (pa: number): number => Math.floor(pa / 0x1_0000_0000);

/** Copy from physical address `pa` (bytes, below 2^52) into all of `out`. What does not exist reads as the open bus. */
export function readBytes(s: Views, pa: number, out: Uint8Array): void {
  for (let done = 0; done < out.length;) {
    const here = pa + done;
    const n = Math.min(out.length - done, FRAME_BYTES - (here % FRAME_BYTES));
    const at = wordOf(s, hiOf(here), here | 0);
    if (at >= 0) out.set(s.u8.subarray(at * 4 + (here & 3), at * 4 + (here & 3) + n), done);
    else readDevice(s, here, out.subarray(done, done + n));
    done += n;
  }
}

/** Copy all of `data` to physical address `pa`. Bytes for memory that does not exist are dropped. */
export function writeBytes(s: Views, pa: number, data: Uint8Array): void {
  for (let done = 0; done < data.length;) {
    const here = pa + done;
    const n = Math.min(data.length - done, FRAME_BYTES - (here % FRAME_BYTES));
    const at = wordOf(s, hiOf(here), here | 0);
    if (at >= 0) s.u8.set(data.subarray(done, done + n), at * 4 + (here & 3));
    else writeDevice(s, here, data.subarray(done, done + n));
    done += n;
  }
}

/** Largest naturally aligned piece of 1, 2, 4 or 8 bytes at `pa`, at most `left` bytes: how a device sees a copy. */
function piece(pa: number, left: number): number {
  for (const n of [8, 4, 2]) if (left >= n && pa % n === 0) return n;
  return 1;
}

function readDevice(s: Views, pa: number, out: Uint8Array): void {
  for (let i = 0, n = 0; i < out.length; i += n) {
    n = piece(pa + i, out.length - i);
    readBus(s, hiOf(pa + i), (pa + i) | 0, n);
    for (let b = 0; b < n; b++) out[i + b] = (b < 4 ? s.busLo : s.busHi) >>> (8 * (b & 3));
  }
}

function writeDevice(s: Views, pa: number, data: Uint8Array): void {
  for (let i = 0, n = 0; i < data.length; i += n) {
    n = piece(pa + i, data.length - i);
    let value = 0n;
    for (let b = n - 1; b >= 0; b--) value = (value << 8n) | BigInt(data[i + b]);
    writeBus(s, hiOf(pa + i), (pa + i) | 0, n, value);
  }
}
