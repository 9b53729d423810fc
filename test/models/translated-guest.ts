/** A guest under a second stage: 256 frames of its own, scattered over machine memory, each mapped at one address by tables in the last of them. */
import { ACCESS_WRITE } from '../../src/arch/fault.ts';
import { Machine, type MachineOptions } from '../../src/index.ts';
import { readEntry, writeEntry } from '../../src/memory/entry.ts';
import type { DirtyLog } from '../../src/models/dirty-log.ts';
import { SecondStageTables, type SecondStageOptions } from '../../src/models/second-stage-tables.ts';

export const FRAMES = 256;
/** Root, then the tables below it. */
export const TABLES = [252, 253, 254, 255] as const;
const BASE = 0x4000_0000;
const ENTRY = 0x67n; // present, writable, user, accessed, dirty
const FIRST_MFN = 0x1000;

export class TranslatedGuest {
  readonly machine: Machine;
  readonly tables: SecondStageTables;

  constructor(options: Omit<SecondStageOptions, 'frames'>, machine: MachineOptions = {}, pages: 1 | 512 = 1) {
    this.machine = Machine.create({ memory: '32M', paging: 'none', nested: true, features: { amd: options.format === 'npt', la57: options.levels === 5 }, ...machine });
    this.tables = new SecondStageTables(this.machine, { frames: pages === 512 ? 512 : FRAMES, ...options });
    for (let gfn = 0; gfn < FRAMES; gfn += pages) this.tables.map(gfn, pages === 512 ? FIRST_MFN : FIRST_MFN + ((gfn * 37 + 11) % FRAMES), { pages });
    const [root, l3, l2, l1] = TABLES, put = (table: number, slot: number, gfn: number) => writeEntry(this.machine.views, this.pa(table) + slot * 8, (BigInt(gfn) << 12n) | ENTRY);
    put(root, 0, l3);
    put(l3, 1, l2);
    put(l2, 0, l1);
    for (let gfn = 0; gfn < FRAMES; gfn++) put(l1, gfn, gfn);
    this.cpu.guest.enter(this.tables.stage());
    const faults = [this.cpu.writeCr4(1n << 5n), this.cpu.writeEfer(0x100n), this.cpu.writeCr3(BigInt(root * 4096)), this.cpu.writeCr0(0x8001_0001n)];
    if (faults.some(fault => fault !== 0)) throw new Error(`set-up: ${faults}`);
    this.cpu.setCode64(true);
  }

  get cpu() { return this.machine.vcpus[0]!; }
  pa(gfn: number): number { return this.tables.machineFrame(gfn) * 4096; }
  va(gfn: number): bigint { return BigInt(BASE + gfn * 4096); }

  /** The guest stores a byte; faults go to the log. @returns the fault that the log does not know, 0 without one */
  write(log: DirtyLog, gfn: number, value: number, offset = gfn * 7 % 4096): number {
    for (;;) {
      const fault = this.cpu.write(this.va(gfn) + BigInt(offset), Uint8Array.of(value), ACCESS_WRITE);
      if (fault === 0 || !log.fault(this.cpu, fault)) return fault;
    }
  }

  read(log: DirtyLog, gfn: number): number {
    const out = new Uint8Array(8);
    for (;;) {
      const fault = this.cpu.read(this.va(gfn), out, 0);
      if (fault === 0 || !log.fault(this.cpu, fault)) return fault;
    }
  }

  /** The guest's page tables as it sees them. */
  ownTables(): bigint[] {
    return TABLES.flatMap(gfn => Array.from({ length: 512 }, (_, slot) => readEntry(this.machine.views, this.pa(gfn) + slot * 8)));
  }

  bytes(gfn: number): Uint8Array {
    const out = new Uint8Array(4096);
    this.machine.read(BigInt(this.pa(gfn)), out);
    return out;
  }
}
