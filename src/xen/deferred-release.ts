/**
 * Grants that are to be taken back and are still in use: a list of which some are tried at each tick, until the other domain lets go of them.
 * Without it a frontend that is unloaded while its backend is slow, or gone astray, would have to wait, or give memory away that another domain
 * can write to.
 *
 * Source: facts of Linux 6, gnttab_end_foreign_access(), gnttab_add_deferred(), gnttab_handle_deferred() (drivers/xen/grant-table.c): one tick a
 *         second, ten entries a tick, one that is still in use to the end of the list, and no entry twice in a tick.
 */
import { ConfigError } from '../errors.ts';
import type { GuestGrants } from './guest-grants.ts';

const ENTRIES_A_TICK = 10;

export class DeferredRelease<T> {
  private readonly grants: GuestGrants;
  private readonly release: (what: T) => void;
  private readonly perTick: number;
  private list: { readonly ref: number; readonly what: T }[] = [];

  /**
   * @param release - called with what a grant was of, a page as a rule, when no one uses it any more
   * @param perTick - entries that a tick tries
   */
  constructor(grants: GuestGrants, release: (what: T) => void, perTick = ENTRIES_A_TICK) {
    if (!Number.isInteger(perTick) || perTick < 1) throw new ConfigError('perTick', 'an integer from 1', perTick);
    this.grants = grants;
    this.release = release;
    this.perTick = perTick;
  }

  /** Grants that are still to be taken back. */
  get waiting(): number { return this.list.length; }

  /** Take a grant back, at once or as soon as it can be. @returns whether it was at once */
  end(ref: number, what: T): boolean {
    if (this.grants.end(ref)) {
      this.release(what);
      return true;
    }
    this.list.push({ ref, what });
    return false;
  }

  /** Try some. @returns how many were taken back */
  tick(): number {
    const tried = this.list.slice(0, this.perTick), left: typeof tried = [];
    this.list = this.list.slice(tried.length);
    for (const entry of tried) {
      if (this.grants.end(entry.ref)) this.release(entry.what);
      else left.push(entry);
    }
    this.list.push(...left);
    return tried.length - left.length;
  }
}
