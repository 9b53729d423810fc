/** What a hypervisor is made from. */
import { checkHypervisorCosts, type HypervisorCosts } from '../cost/hypervisor-costs.ts';
import { ConfigError } from '../errors.ts';
import { HDR_FRAME_LIMIT, HDR_FRAME_TABLE } from '../layout/header.ts';
import type { Machine } from '../machine/machine.ts';
import type { FrameSource } from './frame-source.ts';
import type { OwnRange } from './own-frames.ts';
import { BEHAVIOURS, type Behaviour, type XenSlot } from './settings.ts';

/** What `Hypervisor.create()` takes besides the machine. */
export interface HypervisorOptions extends Partial<Behaviour> {
  /** Frames that are memory, from 0 up. Default: the machine's first extent. */
  readonly frames?: number;
  /** Frames of the machine (with bytes) that the hypervisor keeps all it knows in. */
  readonly own: OwnRange;
  /** Frames from 0 up that belong to devices. Default 256: the first megabyte. */
  readonly ioFrames?: number;
  /** The hypervisor's entries in root tables of 64-bit guests; slots 256 and 258 are filled in. */
  readonly xenSlots?: readonly XenSlot[];
  /** ... and in the level-2 table of the fourth GiB of 32-bit guests. Default: the window on the machine-to-physical table. */
  readonly compatSlots?: readonly XenSlot[];
  /** Frame of the level-3 table of the window on the machine-to-physical table. Default: one of `own`. */
  readonly m2pLevel3?: number;
  /** First frame (a multiple of 512) of the table's 4-byte form. Default: of `own`. */
  readonly m2pCompat?: number;
  /** Entries and requests that a call looks at before it is preempted, and continued. Default: calls run to their end. */
  readonly budget?: number;
  /** Interrupt lines of the machine's I/O APICs. Default 24. */
  readonly gsis?: number;
  /** Where frames for guests come from. Default: all that are free. */
  readonly source?: FrameSource;
  /** What its work costs a machine in timed mode. Default: `hypervisorCosts`. */
  readonly costs?: HypervisorCosts;
}

const OPTIONS = ['frames', 'own', 'ioFrames', 'xenSlots', 'compatSlots', 'm2pLevel3', 'm2pCompat', 'budget', 'gsis', 'source', 'costs', ...BEHAVIOURS];
const WORD = 2 ** 32;

/** @returns frames that are memory @throws ConfigError - an option that no hypervisor could have, before anything is made of them */
export function checkHypervisorOptions(machine: Machine, options: HypervisorOptions): number {
  if (typeof options !== 'object' || options === null) throw new ConfigError('options', 'an object', options);
  for (const key of Object.keys(options)) if (!OPTIONS.includes(key)) throw new ConfigError(key, `an option of a hypervisor (${OPTIONS.join(', ')})`, key);
  const { own, frames = machine.extents[0].frames, budget = Infinity, source, costs } = options, { w } = machine.views;
  if (w[HDR_FRAME_TABLE >>> 2] !== 0) throw new ConfigError('machine', 'a machine without a frame table', w[HDR_FRAME_LIMIT >>> 2]);
  if (typeof own !== 'object' || own === null) throw new ConfigError('own', 'an object with first and frames', own);
  integer(frames, 'frames', 1, 2 ** 31);
  integer(options.ioFrames ?? 0, 'ioFrames', 0, frames);
  integer(options.gsis ?? 0, 'gsis', 0, 4096);
  if (options.m2pLevel3 !== undefined) integer(options.m2pLevel3, 'm2pLevel3', 0, WORD - 1);
  if (options.m2pCompat !== undefined) integer(options.m2pCompat, 'm2pCompat', 0, WORD - 1);
  if (budget !== Infinity) integer(budget, 'budget', 0, 2 ** 31 - 1);
  for (const name of BEHAVIOURS) if (typeof (options[name] ?? true) !== 'boolean') throw new ConfigError(name, 'true or false', options[name]);
  checkSlots(options.xenSlots, 'xenSlots');
  checkSlots(options.compatSlots, 'compatSlots');
  if (source !== undefined && (typeof source !== 'object' || source === null)) throw new ConfigError('source', 'a source of frames', source);
  if (costs !== undefined) checkHypervisorCosts(costs);
  return frames;
}

function integer(value: unknown, field: string, least: number, most: number): void {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most) throw new ConfigError(field, `an integer from ${least} to ${most}`, value);
}

function checkSlots(slots: readonly XenSlot[] | undefined, field: string): void {
  if (slots === undefined) return;
  if (!Array.isArray(slots)) throw new ConfigError(field, 'a list of [slot, low word, high word]', slots);
  slots.forEach((row: XenSlot, k) => {
    if (!Array.isArray(row) || row.length !== 3) throw new ConfigError(`${field}[${k}]`, '[slot, low word, high word]', row);
    integer(row[0], `${field}[${k}][0]`, 0, 511);
    for (const word of [1, 2] as const) integer(row[word], `${field}[${k}][${word}]`, -(2 ** 31), WORD - 1);
  });
}
