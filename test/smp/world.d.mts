import type { Machine, MachineOptions } from '../../dist/index.js';
import type { Hypervisor } from '../../dist/xen/index.js';

export interface GuestPlace {
  readonly id: number;
  readonly is32: boolean;
  /** Where its kernel sees its first frame. */
  readonly base: bigint;
  readonly first: number;
  readonly level1: number;
  /** The level-2 table whose first entry is that. */
  readonly level2: number;
  readonly sharedInfo: number;
  readonly grantFrame: number;
  /** Numbers of the machine's vCPUs that run its own. */
  readonly cpus: readonly number[];
  readonly ports: readonly number[];
  /** Ports of its own that are bound to others': whose, and which. */
  readonly links: readonly { readonly to: number; readonly local: number; readonly peer: number }[];
}

export interface World {
  readonly machine: Machine;
  readonly xen: Hypervisor;
  readonly guests: readonly GuestPlace[];
  readonly options: MachineOptions;
}

export const READ: bigint, DATA: bigint, TABLE: bigint, BASE: bigint;
export const OWNED: number, SPARE_TABLE: number, SPARE_TABLES: number, ARGS: number, DATA_FRAME: number, SPARE_PAGE: number, PAGES_EACH: number, REFS: number;
export function entryOf(mfn: number, flags: bigint): bigint;
export function makeWorld(options?: {
  domains?: number; vcpus?: number; engine?: 'ts' | 'wasm' | 'auto'; mode?: 'timed' | 'functional'; fifo?: boolean; budget?: number;
  narrow?: 'none' | 'some' | 'all'; privileged?: boolean;
}): World;
export function dataFor(world: World, guest: GuestPlace, k: number, rest: Record<string, unknown>): unknown;
