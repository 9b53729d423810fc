/** P==M: a domain whose frames have the machine's numbers, from `first` on. */
import { ConfigError } from '../errors.ts';
import type { MemoryModel } from './memory-model.ts';
import { NO_FRAME } from './translation.ts';

export class IdentityModel implements MemoryModel {
  readonly name = 'P==M';
  private readonly first: number;
  private readonly end: number;

  /** @param frames - how many it has from `first` on @throws ConfigError - no frames */
  constructor(first: number, frames: number) {
    if (!Number.isInteger(first) || first < 0) throw new ConfigError('first', 'a frame', first);
    if (!Number.isInteger(frames) || frames < 1) throw new ConfigError('frames', 'an integer from 1', frames);
    this.first = first;
    this.end = first + frames;
  }

  machineFrame(gfn: number): number {
    return gfn >= this.first && gfn < this.end ? gfn : NO_FRAME;
  }

  guestFrame(mfn: number): number {
    return this.machineFrame(mfn);
  }

  deviceFrame(gfn: number): number {
    return this.machineFrame(gfn);
  }
}
