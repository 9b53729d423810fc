/**
 * What running under a hypervisor adds to the cost of an access, for a guest whose memory the host keeps in single 4K frames wherever it
 * found them. A stage of cost only: no host tables exist, and no translation comes out different.
 *
 *   - Lines are cached by where the host put the frame, see `hostFrameLo`.
 *   - A walk also loads the host's level-1 entry of every table page that it reads and of the page that it finds: 8 bytes for each 4K of
 *     guest-physical memory, side by side, as a host's tables are. Entries above are taken as always at hand.
 *   - Other tenants leave only a part of the shared cache.
 *
 * Guest pages are cached as 4K fragments: the machine's `hostPage` is `4k`.
 */
import { ConfigError } from '../errors.ts';
import { checkFigure } from './costs-check.ts';
import type { Figure } from './cpu-model.ts';

export interface HostModel {
  /** Name for people. */
  readonly title: string;
  /** Cycles that each host entry adds to a walk, besides the load of the entry; 0 to 1000. */
  readonly entryCycles: Figure;
  /** Part of the last of three cache levels that this guest has, in percent of its sets: 1 to 100. */
  readonly lastCachePercent: Figure;
}

/** @returns the host as it was given. @throws ConfigError - a figure is missing or out of range */
export function checkHostModel(host: HostModel): HostModel {
  if (typeof host !== 'object' || host === null) throw new ConfigError('host', 'an object', host);
  checkFigure(host.entryCycles, 'host.entryCycles', 0, 1000);
  checkFigure(host.lastCachePercent, 'host.lastCachePercent', 1, 100);
  return host;
}

/**
 * Low word of the host address of guest-physical address `hi:lo`; the high word stays. A fixed shuffle, one to one, of the 2^20 frames of
 * each 4 GiB: a stand-in for the host's placement, which a guest cannot know. It scatters neighbouring frames over the sets of a cache.
 */
export function hostFrameLo(hi: number, lo: number): number {
  let frame = ((lo >>> 12) ^ Math.imul(hi, 0x9e3779b1)) & 0xfffff;
  frame = Math.imul(frame ^ (frame >>> 11), 0x5bd1e995) & 0xfffff;
  frame = Math.imul(frame ^ (frame >>> 9), 0x2c1b3c6d) & 0xfffff;
  frame ^= frame >>> 10;
  return (frame << 12) | (lo & 0xfff);
}

/** Bit 52 of an address: where the host's level-1 entries stand, above any memory of a guest. */
const HOST_TABLES_HI = 1 << 20;

/** High word of the address of the host's level-1 entry for the guest frame at `hi:lo`. */
export const hostEntryHi = (hi: number): number => HOST_TABLES_HI | (hi >>> 9);

/** Low word of the same: entries are 8 bytes, side by side in the order of guest frames. */
export const hostEntryLo = (hi: number, lo: number): number => ((lo >>> 12) << 3) | (hi << 23);
