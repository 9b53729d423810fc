/**
 * Replays `nested-conformance-1`: single accesses of a guest under given guest and nested paging structures, with the outcome that real
 * implementations recorded. Every case is replayed in functional and in timed mode.
 */
import { ACCESS_USER } from '../arch/fault.ts';
import { CR0_PE, CR0_PG, EFER_LMA, EFER_NXE } from '../arch/registers.ts';
import { InputError } from '../errors.ts';
import { Machine } from '../machine/machine.ts';
import type { EngineChoice } from '../machine/options.ts';
import type { Vcpu } from '../machine/vcpu.ts';
import { readEntry, writeEntry } from '../memory/entry.ts';
import { ACCESS, differencesOf, isHex, show, type Difference } from './paging.ts';
import type { Json, Recording, Row } from './recording.ts';

export const NESTED_FORMAT = 'nested-conformance-1';

const MEMORY = 64 << 20; // as the format says
const FEATURES = { amd: true, pages1g: true };

/** Replay a recording. @returns the differences, in order @throws InputError - a case lacks a field */
export function replayNested(recording: Recording, engine: EngineChoice = 'auto'): Difference[] {
  const { header, file } = recording, bits = header['maxphyaddr'];
  if (typeof bits !== 'number') throw new InputError(file, 'line 1', 'maxphyaddr in the header');
  const machines = (['functional', 'timed'] as const).map(mode =>
    ({ mode, machine: Machine.create({ memory: MEMORY, physicalAddressBits: bits, mode, paging: 'none', features: FEATURES, engine, nested: true }) }));
  return differencesOf(recording, machines, (name, line, row) => new NestedCase(name, line, row), replayCase);
}

interface Entry {
  readonly ma: number;
  readonly value: bigint;
}

class NestedCase {
  readonly registers: Readonly<Record<'cr0' | 'cr3' | 'cr4' | 'efer', bigint>>;
  readonly nxe: boolean;
  readonly ncr3: bigint;
  readonly ac: boolean;
  readonly gva: bigint;
  readonly access: number;
  readonly guest: readonly Entry[];
  readonly nested: readonly Entry[];
  readonly expected: string;
  private readonly where: readonly [file: string, line: string];

  constructor(file: string, line: number, row: Row) {
    this.where = [file, `line ${line}`];
    this.registers = { cr0: this.hex(row, 'cr0'), cr3: this.hex(row, 'cr3'), cr4: this.hex(row, 'cr4'), efer: this.hex(row, 'efer') };
    this.nxe = (this.hex(this.object(row, 'host'), 'efer') & BigInt(EFER_NXE)) !== 0n;
    this.ncr3 = this.hex(row, 'ncr3');
    this.ac = this.oneOf(row, 'ac', [0, 1]) === 1;
    this.gva = this.hex(row, 'gva');
    this.access = ACCESS[this.oneOf(row, 'access', ['r', 'w', 'x'])] | (this.oneOf(row, 'cpl', [0, 3]) === 3 ? ACCESS_USER : 0);
    this.guest = this.entries(row, 'guest');
    this.nested = this.entries(row, 'nested');
    const after = this.object(row, 'after');
    this.expected = [this.result(this.object(row, 'result')), this.values(after, 'guest'), this.values(after, 'nested')].join(' | ');
  }

  private bad(field: string, what: string, value: unknown): never {
    throw new InputError(...this.where, `${what} in "${field}"`, JSON.stringify(value)?.slice(0, 60));
  }

  private object(row: Row, field: string): Row {
    const value = row[field];
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value as Row : this.bad(field, 'an object', value);
  }

  private hex(row: Row, field: string): bigint {
    const value = row[field];
    return isHex(value) ? BigInt(value) : this.bad(field, 'a hexadecimal number', value);
  }

  private oneOf<T extends Json>(row: Row, field: string, values: readonly T[]): T {
    return values.find(v => v === row[field]) ?? this.bad(field, `one of ${values.join(', ')}`, row[field]);
  }

  private entries(row: Row, field: string): Entry[] {
    const list = row[field];
    if (!Array.isArray(list)) return this.bad(field, 'a list of entries', list);
    return list.map((e: Json) => {
      if (typeof e !== 'object' || e === null || Array.isArray(e)) return this.bad(field, 'a list of entries', e);
      const ma = this.hex(e as Row, 'ma');
      return ma % 8n === 0n && ma < MEMORY ? { ma: Number(ma), value: this.hex(e as Row, 'e') } : this.bad('ma', 'the address of an entry in memory', e);
    });
  }

  private values(row: Row, field: string): string {
    const list = row[field];
    return Array.isArray(list) && list.every(isHex) ? list.map(x => show(BigInt(x))).join(' ') : this.bad(field, 'a list of hexadecimal numbers', list);
  }

  private result(row: Row): string {
    const { pa, pf, cr2, npf, gpa } = row;
    if (isHex(pa)) return `pa ${show(BigInt(pa))}`;
    if (isHex(pf) && isHex(cr2)) return `#PF ${show(BigInt(pf))} cr2 ${show(BigInt(cr2))}`;
    if (isHex(npf) && isHex(gpa)) return `NPF ${show(BigInt(npf))} gpa ${show(BigInt(gpa))}`;
    return this.bad('result', 'a machine address, a #PF with its CR2, or an NPF with its address', row);
  }
}

function replayCase(machine: Machine, one: NestedCase): string {
  const cpu = machine.vcpus[0], all = [...one.guest, ...one.nested];
  for (const { ma, value } of all) writeEntry(machine.views, ma, value);
  const outcome = setUp(cpu, one) ?? makeAccess(cpu, one);
  const after = [one.guest, one.nested].map(list => list.map(({ ma }) => show(readEntry(machine.views, ma))).join(' '));
  for (const { ma } of all) writeEntry(machine.views, ma, 0n);
  return [outcome, ...after].join(' | ');
}

/** Bring the vCPU to the registers of the case, under its second stage. @returns a fault as text */
function setUp(cpu: Vcpu, one: NestedCase): string | undefined {
  cpu.guest.leave();
  cpu.reset();
  const { cr0, cr3, cr4, efer } = one.registers;
  const steps = [cpu.writeCr4(cr4), cpu.writeEfer(efer & ~BigInt(EFER_LMA)), cpu.writeCr0(cr0 | BigInt((CR0_PG | CR0_PE) >>> 0)), cpu.writeCr3(cr3)];
  cpu.setCode64(true);
  cpu.setAc(one.ac);
  cpu.guest.enter({ format: 'npt', ncr3: one.ncr3, nxe: one.nxe, tlbControl: 1 });
  return steps.some(fault => fault !== 0) ? `#GP at setup ${steps.join(' ')}` : undefined;
}

function makeAccess(cpu: Vcpu, one: NestedCase): string {
  const t = cpu.translate(one.gva, one.access);
  if (t.ok) return `pa ${show(t.paddr)}`;
  if (t.exit) return `NPF ${show(t.exit.info)} gpa ${show(t.exit.gpa)}`;
  return t.vector === 14 ? `#PF ${show(BigInt(t.errorCode))} cr2 ${show(t.cr2!)}` : '#GP at access';
}
