/**
 * The door that accesses of a domain's device come through: by addresses that the domain's drivers gave it.
 *
 *   P==M  they are machine addresses, and nothing is in the way
 *   P2M   they are machine addresses, and have to be of the domain's own frames
 *   VP    they are not: an access without an IOMMU would hit whoever has the machine frame of that number, and is caught
 *
 * With an IOMMU they are what it translates.
 */
import { FRAME_BYTES } from '../memory/extents.ts';
import { readBytes, writeBytes } from '../memory/bytes.ts';
import type { Views } from '../memory/views.ts';
import type { Machine } from '../machine/machine.ts';
import type { DirtyLog } from './dirty-log.ts';
import type { Iommu, IommuFault } from './iommu.ts';
import type { MemoryModel } from './memory-model.ts';
import { NO_FRAME } from './translation.ts';

/** Why an access was refused; nothing was read or written then. */
export type DmaRefusal =
  | { readonly reason: 'not an address' }
  | { readonly reason: 'not its frame'; readonly mfn: number }
  /** What it would have hit, and what the guest meant; -1: nothing. */
  | { readonly reason: 'untranslated'; readonly hit: number; readonly meant: number }
  | { readonly reason: 'IOMMU fault'; readonly fault: IommuFault };

export type DmaResult = { readonly ok: true } | ({ readonly ok: false; readonly address: number } & DmaRefusal);

export interface DmaOptions {
  readonly iommu?: Iommu;
  /** Is told of what devices write, as no fault of the guest tells it. */
  readonly log?: DirtyLog;
}

const MOST = 2 ** 52;

export class DmaDoor {
  /** Accesses that were made, and that were refused, by reason. */
  readonly counts = { made: 0, 'not an address': 0, 'not its frame': 0, 'untranslated': 0, 'IOMMU fault': 0 };
  private readonly s: Views;
  private readonly model: MemoryModel;
  private readonly options: DmaOptions;

  constructor(machine: Machine, model: MemoryModel, options: DmaOptions = {}) {
    this.s = machine.views;
    this.model = model;
    this.options = options;
  }

  /** The device reads memory, all of it or nothing. @param address - device address */
  read(address: number, out: Uint8Array): DmaResult {
    return this.transfer(address, out.length, false, (pa, from, to) => readBytes(this.s, pa, out.subarray(from, to)));
  }

  /** The device writes memory, all of it or nothing. */
  write(address: number, data: Uint8Array): DmaResult {
    return this.transfer(address, data.length, true, (pa, from, to) => {
      writeBytes(this.s, pa, data.subarray(from, to));
      this.options.log?.mark(this.model.guestFrame(Math.floor(pa / FRAME_BYTES)));
    });
  }

  private transfer(address: number, bytes: number, write: boolean, move: (pa: number, from: number, to: number) => void): DmaResult {
    const moves: [number, number, number][] = [];
    if (!Number.isInteger(address) || address < 0 || address + bytes > MOST) return this.refuse(address, { reason: 'not an address' });
    for (let done = 0; done < bytes;) {
      const here = address + done, end = Math.min(bytes, done + FRAME_BYTES - here % FRAME_BYTES);
      const pa = this.reach(here, write);
      if (typeof pa !== 'number') return this.refuse(here, pa);
      moves.push([pa, done, end]);
      done = end;
    }
    for (const [pa, from, to] of moves) move(pa, from, to);
    this.counts.made++;
    return { ok: true };
  }

  /** Machine address behind a device address. */
  private reach(address: number, write: boolean): number | DmaRefusal {
    const { model, options: { iommu } } = this, frame = Math.floor(address / FRAME_BYTES);
    if (iommu !== undefined) {
      const pa = iommu.translate(address, write);
      return typeof pa === 'number' ? pa : { reason: 'IOMMU fault', fault: pa };
    }
    if (model.name === 'P==M') return address;
    if (model.name === 'VP') return { reason: 'untranslated', hit: frame, meant: model.machineFrame(frame) };
    return model.guestFrame(frame) === NO_FRAME ? { reason: 'not its frame', mfn: frame } : address;
  }

  private refuse(address: number, why: DmaRefusal): DmaResult {
    this.counts[why.reason]++;
    return { ok: false, address, ...why };
  }
}
