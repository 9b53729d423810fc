/**
 * A guest's side of its own grant table: entries it writes, and takes back when no one uses them. What a frontend needs.
 *
 * Source: xen/include/public/grant_table.h of Xen 4.17, "Introducing a valid entry into the grant table" and the two on invalidating one;
 *         struct grant_entry_v1, union grant_entry_v2, grant_status_t.
 */
import { ConfigError } from '../errors.ts';
import type { Machine } from '../machine/machine.ts';
import { wordOf } from '../memory/extents.ts';
import { GNTTAB_NR_RESERVED_ENTRIES, GTF_permit_access, GTF_reading, GTF_readonly, GTF_transitive, GTF_writing } from './grant-numbers.ts';

const V1_ENTRIES = 512; // a frame
const V2_ENTRIES = 256;
const STATUSES = 2048;
const IN_USE = GTF_reading | GTF_writing;

/** A grant table as its guest has it mapped. */
export interface GrantFrames {
  /** Frames of the entries, in order. */
  readonly frames: readonly number[];
  /** Frames of the status, in order: then the entries are of version 2. */
  readonly statusFrames?: readonly number[];
}

export class GuestGrants {
  private readonly machine: Machine;
  private readonly table: GrantFrames;
  private readonly free: number[] = [];

  /** @throws ConfigError - frames that have no bytes */
  constructor(machine: Machine, table: GrantFrames) {
    this.machine = machine;
    this.table = table;
    for (const [field, list] of [['frames', table.frames], ['statusFrames', table.statusFrames ?? []]] as const) {
      list.forEach((mfn, k) => { if (this.word(mfn) < 0) throw new ConfigError(`${field}[${k}]`, 'a frame that has bytes', mfn); });
    }
    for (let ref = table.frames.length * (this.isV2 ? V2_ENTRIES : V1_ENTRIES); ref-- > GNTTAB_NR_RESERVED_ENTRIES;) this.free.push(ref);
  }

  /** References that are free. */
  get available(): number { return this.free.length; }

  private get isV2(): boolean { return this.table.statusFrames !== undefined; }
  private word(mfn: number): number { return wordOf(this.machine.views, mfn >>> 20, mfn << 12); }

  /** Word index of an entry. */
  private at(ref: number): number {
    const each = this.isV2 ? V2_ENTRIES : V1_ENTRIES;
    return this.word(this.table.frames[Math.floor(ref / each)]) + (ref % each) * (this.isV2 ? 4 : 2);
  }

  /** Let a domain use a frame. @returns the reference, -1 if none is free */
  grant(domid: number, frame: number, readonly = false): number {
    return this.write(domid, GTF_permit_access | (readonly ? GTF_readonly : 0), 0, frame);
  }

  /** Pass a grant of another domain's on: version 2. @returns the reference, -1 if none is free */
  grantTransitive(domid: number, granter: number, ref: number, readonly = false): number {
    if (!this.isV2) throw new ConfigError('table', 'one of version 2', 1);
    return this.write(domid, GTF_transitive | (readonly ? GTF_readonly : 0), granter, ref);
  }

  private write(domid: number, flags: number, second: number, value: number): number {
    const ref = this.free.pop(), { w } = this.machine.views;
    if (ref === undefined) return -1;
    const at = this.at(ref);
    if (this.isV2) {
      w[at + 1] = second;
      w[at + 2] = value;
      w[at + 3] = Math.floor(value / 2 ** 32);
    } else w[at + 1] = value;
    Atomics.store(w, at, flags | (domid << 16)); // last: from here on it counts
    return ref;
  }

  /** Does the other domain use a grant now? */
  inUse(ref: number): boolean {
    const { w } = this.machine.views;
    if (!this.isV2) return (Atomics.load(w, this.at(ref)) & IN_USE) !== 0;
    const status = this.word(this.table.statusFrames![Math.floor(ref / STATUSES)]) + ((ref % STATUSES) >>> 1);
    return ((Atomics.load(w, status) >>> ((ref & 1) * 16)) & IN_USE) !== 0;
  }

  /**
   * Take a grant back. An entry of version 2 says from here on that it grants nothing, in use or not; one of version 1 only if it is not in use.
   *
   * @returns false: it is in use, to be tried again; the frame is not the guest's alone yet
   */
  end(ref: number): boolean {
    const { w } = this.machine.views, at = this.at(ref);
    if (this.isV2) {
      Atomics.store(w, at, 0);
      if (this.inUse(ref)) return false;
    } else {
      let entry = Atomics.load(w, at);
      for (;;) {
        if ((entry & IN_USE) !== 0) return false;
        const found = Atomics.compareExchange(w, at, entry, 0);
        if (found === entry) break;
        entry = found;
      }
    }
    this.free.push(ref);
    return true;
  }
}
