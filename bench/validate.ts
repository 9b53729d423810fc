/** Validation of level-1 tables, as limit.c does it: 64 tables of each kind, taken with all their references and put again. */
import { type Accelerator, type Machine } from '../dist/index.js';
import { layFrameTable } from '../dist/frames/table.js';
import { dropEntries, validateTable } from '../dist/frames/validate.js';
import { FRAME_OWNER, FRAME_REFS, FRAME_STRIDE, FRAME_TYPE, PGT_VALIDATED, PGT_WRITABLE } from '../dist/layout/frame.js';
import { limitMachine, VALIDATED } from './limit-work.ts';
import type { Engine } from './rig.ts';

/** limit.c's Call, Chalf and Cfail: tables whole, half of their entries present, and refused at their last entry. */
export const VALIDATIONS = ['validate', 'validate-half', 'validate-fail'] as const;
export type Validation = (typeof VALIDATIONS)[number];

const FRAMES = 65536, ENTRIES = 512, OWNER = 3, ROUNDS = 20, WARM_ROUNDS = 100, REPETITIONS = 3;

export class ValidateRig {
  private readonly machine: Machine;
  private readonly wasm: Accelerator | undefined;
  private readonly block: number;
  private readonly rows: number;

  /** @throws Error - it does not count what the tables say */
  constructor(engine: Engine) {
    this.machine = limitMachine({ engine });
    const { views, accelerator, vcpus } = this.machine;
    this.wasm = accelerator;
    this.block = vcpus[0]!.block;
    this.rows = layFrameTable(views, FRAMES) >>> 2;
    for (let frame = 0; frame < FRAMES; frame++) this.put(frame, PGT_WRITABLE | PGT_VALIDATED | 1, 1);
    for (const what of VALIDATIONS) this.check(what);
  }

  private put(frame: number, type: number, references: number): void {
    const { w } = this.machine.views, row = this.rows + frame * (FRAME_STRIDE >>> 2);
    w[row + (FRAME_TYPE >>> 2)] = type;
    w[row + (FRAME_REFS >>> 2)] = references;
    w[row + (FRAME_OWNER >>> 2)] = OWNER;
  }

  /** Byte offset in machine memory of a table of a kind. */
  private table(what: Validation, k: number): number {
    return this.machine.views.lowWord * 4 + VALIDATED.at[VALIDATIONS.indexOf(what)]! + k * 4096;
  }

  /** @returns tables that hold their references now */
  private take(what: Validation): number {
    const { wasm, block, machine: { views } } = this;
    let taken = 0;
    for (let k = 0; k < VALIDATED.tables; k++) {
      const table = this.table(what, k);
      taken += wasm ? wasm.validateTable(block, table, OWNER, 0, 0) : validateTable(views, block >>> 2, table, OWNER, 0, 0);
    }
    return taken / ENTRIES;
  }

  private give(what: Validation): void {
    const { wasm, block, machine: { views } } = this;
    for (let k = 0; k < VALIDATED.tables; k++) {
      const table = this.table(what, k);
      if (wasm) wasm.dropEntries(block, table, 0, ENTRIES, OWNER);
      else dropEntries(views, block >>> 2, table, 0, ENTRIES, OWNER);
    }
  }

  /** Nanoseconds of CPU time an entry. */
  measure(what: Validation): number {
    this.rounds(what, WARM_ROUNDS);
    return Array.from({ length: REPETITIONS }, () => this.rounds(what, ROUNDS)).sort((a, b) => a - b)[REPETITIONS >> 1]!;
  }

  private rounds(what: Validation, rounds: number): number {
    let microseconds = 0;
    for (let k = 0; k < rounds; k++) {
      const before = process.cpuUsage();
      const taken = this.take(what);
      const { user, system } = process.cpuUsage(before);
      microseconds += user + system;
      if (taken > 0) this.give(what);
    }
    return (microseconds * 1000) / (rounds * VALIDATED.tables * ENTRIES);
  }

  /** Take the references of a kind, and compare with a count made from the tables. */
  private check(what: Validation): void {
    const { w, u8 } = this.machine.views, before = Buffer.from(u8), fails = what === 'validate-fail';
    const references = new Int32Array(FRAMES).fill(1), uses = new Int32Array(FRAMES).fill(1);
    for (let k = 0; k < VALIDATED.tables && !fails; k++) {
      for (let i = 0, at = this.table(what, k) >>> 2; i < ENTRIES; i++, at += 2) {
        if (!(w[at]! & 1)) continue;
        references[w[at]! >>> 12]!++;
        if (w[at]! & 2) uses[w[at]! >>> 12]!++;
      }
    }
    const taken = this.take(what), row = (frame: number) => this.rows + frame * (FRAME_STRIDE >>> 2);
    const wrong = references.findIndex((n, frame) =>
      w[row(frame) + (FRAME_REFS >>> 2)] !== n || w[row(frame) + (FRAME_TYPE >>> 2)] !== ((PGT_WRITABLE | PGT_VALIDATED) + uses[frame]! | 0));
    if (taken !== (fails ? 0 : VALIDATED.tables) || wrong >= 0) throw new Error(`${what}: ${taken} tables validated, frame ${wrong} miscounted`);
    if (!fails) this.give(what);
    if (Buffer.compare(before, Buffer.from(u8)) !== 0) throw new Error(`${what}: references are left`);
  }
}
