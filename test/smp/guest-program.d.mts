import type { Machine, Vcpu } from '../../dist/index.js';
import type { Context, Program } from '../../dist/smp/index.js';
import type { Hypervisor } from '../../dist/xen/index.js';
import type { GuestPlace } from './world.mjs';

export const run: Program;

/** A guest's vCPU: how it makes calls. Each returns what the call answers, or the status of its operation. */
export class Guest {
  readonly machine: Machine;
  readonly xen: Hypervisor;
  readonly cpu: Vcpu;
  readonly s: Machine['views'];
  /** Page for arguments: where it is, as a word index and for the guest. */
  readonly at: number;
  readonly argsVa: bigint;
  /** Of update_va_mapping, UVMF_*. */
  flags: bigint;
  va(page: number): bigint;
  call(nr: number, ...args: bigint[]): number;
  constructor(context: Context);
  readonly guest: GuestPlace;
  readonly cpu: Context['cpu'];
  readonly handles: { readonly handle: number; readonly page: number }[];
  readonly wrong: string[];
  /** What its calls' structures are in, and where that is. */
  readonly view: DataView;
  readonly argsVa: bigint;
  mapping(page: number, value: bigint, flags: bigint): bigint[];
  multicall(...calls: (readonly (number | bigint)[])[]): number;
  frame(k: number): number;
  map(page: number, value: bigint, flags?: bigint): number;
  update(...requests: (readonly [table: number, slot: number, value: bigint, command?: number])[]): number;
  ext(command: number, argument?: bigint): number;
  grant(ref: number, flags: number, to: number, k: number): void;
  mapGrant(page: number, flags: number, ref: number, from: number): number;
  unmapGrant(mapping: { readonly handle: number; readonly page: number }): number;
  copy(toRef: boolean, from: number, ref: number, k: number, length: number): number;
  event(command: number, ...words: number[]): number;
  reservation(command: number, mfn: number): number;
  churn(page: number): boolean;
  use(page: number, kind: number): number;
}
