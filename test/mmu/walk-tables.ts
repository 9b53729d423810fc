/** Paging structures at fixed places, written entry by entry, so that a test decides every bit. */
import { CR0_PE, CR0_PG, CR0_WP, CR4_LA57, CR4_PAE, CR4_PSE, EFER_LMA, EFER_LME, EFER_NXE } from '../../src/arch/registers.ts';
import { Machine } from '../../src/machine/machine.ts';
import type { MachineOptions } from '../../src/machine/options.ts';
import type { Vcpu } from '../../src/machine/vcpu.ts';
import { readEntry, writeEntry } from '../../src/memory/entry.ts';
import { readEntry32, writeEntry32 } from '../memory/entry32.ts';

export const P = 1n, RW = 2n, US = 4n, A = 0x20n, D = 0x40n, PS = 0x80n, G = 0x100n, XD = 1n << 63n;
export const ALL = P | RW | US;

export type Mode = 'legacy' | 'pae' | '4-level' | '5-level';
export const MODES: readonly Mode[] = ['legacy', 'pae', '4-level', '5-level'];
/** Levels whose entries a walk reads: PAE's PDPTEs are registers. */
export const TOP = { legacy: 2, pae: 2, '4-level': 4, '5-level': 5 } as const;

export interface Setup extends MachineOptions {
  /** Bits beyond what the mode needs. WP is on and NXE where it counts, unless `without`. */
  readonly cr4?: number;
  readonly without?: { readonly wp?: boolean; readonly nxe?: boolean; readonly pse?: boolean };
}

const big = (bits: number): bigint => BigInt(bits >>> 0);

export class Tables {
  readonly mode: Mode;
  readonly machine: Machine;
  readonly cpu: Vcpu;

  constructor(mode: Mode, { cr4 = 0, without = {}, ...options }: Setup = {}) {
    this.mode = mode;
    const ram = options.extents ? {} : { memory: '1M' };
    this.machine = Machine.create({ ...ram, mode: 'functional', openBus: 0, ...options, paging: 'none', features: { la57: true, ...options.features } });
    this.cpu = this.machine.vcpus[0]!;
    const long = mode === '4-level' || mode === '5-level';
    const nxe = without.nxe || mode === 'legacy' ? 0 : EFER_NXE;
    const base = mode === 'legacy' ? (without.pse ? 0 : CR4_PSE) : mode === '5-level' ? CR4_PAE | CR4_LA57 : CR4_PAE;
    const faults = [
      this.cpu.writeCr4(big(base)), this.cpu.writeEfer(big((long ? EFER_LME : 0) | nxe)), this.cpu.writeCr3(this.root),
      this.cpu.writeCr0(big(CR0_PG | CR0_PE | (without.wp ? 0 : CR0_WP))), this.cpu.writeCr4(big(base | cr4)),
    ];
    if (faults.some(f => f !== 0)) throw new Error(`setting up ${mode}: ${faults}`);
    this.cpu.setCode64((this.cpu.registers.efer & big(EFER_LMA)) !== 0n);
  }

  /** Where the table of a level is; PAE's PDPTEs are level 3. */
  table(level: number): bigint {
    return BigInt(level) << 16n;
  }

  get root(): bigint {
    return this.table(this.mode === 'pae' ? 3 : TOP[this.mode]);
  }

  entryPa(level: number, va: bigint): number {
    if (this.mode === 'legacy') return Number(this.table(level) + (((va & 0xffffffffn) >> (level === 1 ? 12n : 22n)) & 0x3ffn) * 4n);
    const index = (va >> BigInt(3 + 9 * level)) & (level === 3 && this.mode === 'pae' ? 3n : 0x1ffn);
    return Number(this.table(level) + index * 8n);
  }

  get(level: number, va: bigint): bigint {
    return this.mode === 'legacy' ? BigInt(readEntry32(this.machine.views, this.entryPa(level, va))) : readEntry(this.machine.views, this.entryPa(level, va));
  }

  set(level: number, va: bigint, value: bigint): void {
    if (this.mode === 'legacy') writeEntry32(this.machine.views, this.entryPa(level, va), Number(value));
    else writeEntry(this.machine.views, this.entryPa(level, va), value);
  }

  /** Write the whole chain for an address: `leaf` at `level`, links with `above` down to it. PAE loads its PDPTEs again. */
  map(va: bigint, level: number, leaf: bigint, above = ALL): void {
    for (let l = TOP[this.mode]; l > level; l--) this.set(l, va, this.table(l - 1) | above);
    this.set(level, va, leaf);
    if (this.mode !== 'pae') return;
    this.set(3, va, this.table(2) | P);
    if (this.cpu.writeCr3(this.root) !== 0) throw new Error('CR3');
  }

  /** Entries of the chain, root first. */
  chain(va: bigint, level = 1): bigint[] {
    return Array.from({ length: TOP[this.mode] - level + 1 }, (_, k) => this.get(TOP[this.mode] - k, va));
  }

  bytes(): Buffer {
    return Buffer.from(this.machine.views.u8);
  }
}
