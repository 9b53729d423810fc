/**
 * Replays `paging-conformance-1`: single accesses under given paging structures, with the outcome that real implementations recorded.
 *
 * Every case is replayed in functional and in timed mode, by the register writes that a kernel would make.
 */
import { ACCESS_FETCH, ACCESS_READ, ACCESS_USER, ACCESS_WRITE, FAULT_NONE } from '../arch/fault.ts';
import { CR0_PE, CR0_PG, EFER_LMA } from '../arch/registers.ts';
import { InputError } from '../errors.ts';
import { Machine } from '../machine/machine.ts';
import type { EngineChoice } from '../machine/options.ts';
import type { Vcpu } from '../machine/vcpu.ts';
import { readEntry, writeEntry } from '../memory/entry.ts';
import type { Json, Recording, Row } from './recording.ts';

export const PAGING_FORMAT = 'paging-conformance-1';

/** A case whose outcome is not the recorded one. */
export interface Difference {
  readonly line: number;
  readonly expected: string;
  readonly got: string;
}

export const ACCESS: Readonly<Record<string, number>> = { r: ACCESS_READ, w: ACCESS_WRITE, x: ACCESS_FETCH };

/** Replay a recording. @returns the differences, in order @throws InputError - a case lacks a field */
export function replayPaging(recording: Recording, engine: EngineChoice = 'auto'): Difference[] {
  const { header, file } = recording;
  const memory = header['memory'], bits = header['maxphyaddr'];
  if (typeof memory !== 'number' || typeof bits !== 'number') throw new InputError(file, 'line 1', 'memory and maxphyaddr in the header');
  const features = { amd: header['vendor'] === 'amd rules', la57: true, pages1g: true };
  const machines = (['functional', 'timed'] as const).map(mode =>
    ({ mode, machine: Machine.create({ memory, physicalAddressBits: bits, mode, paging: 'none', features, engine }) }));
  return differencesOf(recording, machines, readCase, replayCase);
}

/** Replay every case on a machine of each mode. @param read - one case from its line @param replay - its outcome, as text */
export function differencesOf<C extends { readonly expected: string }>(
  { rows, file }: Recording, machines: readonly { readonly mode: string; readonly machine: Machine }[],
  read: (file: string, line: number, row: Row) => C, replay: (machine: Machine, one: C) => string,
): Difference[] {
  const differences: Difference[] = [];
  for (const { line, row } of rows) {
    const one = read(file, line, row);
    for (const { mode, machine } of machines) {
      const got = replay(machine, one);
      if (got !== one.expected) differences.push({ line, expected: one.expected, got: `${got} (${mode})` });
    }
  }
  return differences;
}

interface Case {
  readonly cr0: bigint;
  readonly cr3: bigint;
  readonly cr4: bigint;
  readonly efer: bigint;
  readonly pkru: number;
  readonly ac: boolean;
  readonly va: bigint;
  readonly access: number;
  readonly tables: readonly number[];
  readonly entries: readonly bigint[];
  readonly expected: string;
}

function readCase(file: string, line: number, row: Row): Case {
  const bad = (field: string, what: string): never => { throw new InputError(file, `line ${line}`, `${what} in "${field}"`, JSON.stringify(row[field])?.slice(0, 60)); };
  const hex = (value: Json | undefined, field: string): bigint =>
    isHex(value) ? BigInt(value) : bad(field, 'a hexadecimal number');
  const list = (field: string): bigint[] => {
    const value = row[field];
    return Array.isArray(value) ? value.map(x => hex(x, field)) : bad(field, 'a list of hexadecimal numbers');
  };
  const kind = (Object.hasOwn(ACCESS, String(row['access'])) ? ACCESS[String(row['access'])] : undefined) ?? bad('access', 'r, w or x');
  const cpl = row['cpl'] === 0 || row['cpl'] === 3 ? row['cpl'] : bad('cpl', '0 or 3');
  const entries = list('entries'), tables = list('table_pa').map(Number);
  if (tables.length !== entries.length) bad('table_pa', 'as many addresses as entries');
  const ac = row['ac'] === 0 || row['ac'] === 1 ? row['ac'] === 1 : bad('ac', '0 or 1');
  const result = describe(row['result']) ?? bad('result', 'a physical address, a #PF with its CR2, or a #GP and where');
  return {
    cr0: hex(row['cr0'], 'cr0'), cr3: hex(row['cr3'], 'cr3'), cr4: hex(row['cr4'], 'cr4'), efer: hex(row['efer'], 'efer'),
    pkru: Number(hex(row['pkru'], 'pkru')), ac, va: hex(row['va'], 'va'), access: kind | (cpl === 3 ? ACCESS_USER : 0),
    tables, entries, expected: `${result} ${list('after').map(show).join(' ')}`,
  };
}

export const isHex = (value: Json | undefined): value is string => typeof value === 'string' && /^0x[0-9a-f]{1,16}$/i.test(value);
export const show = (value: bigint): string => `0x${value.toString(16)}`;

/** The recorded outcome as text, undefined if it is none. */
function describe(result: Json | undefined): string | undefined {
  if (typeof result !== 'object' || result === null || Array.isArray(result)) return undefined;
  const { pa, pf, cr2, gp, at } = result as Row;
  if (isHex(pa)) return `pa ${show(BigInt(pa))}`;
  if (isHex(pf) && isHex(cr2)) return `#PF ${show(BigInt(pf))} cr2 ${show(BigInt(cr2))}`;
  return gp === true && (at === 'access' || at === 'cr3') ? `#GP at ${at}` : undefined;
}

function replayCase(machine: Machine, one: Case): string {
  const cpu = machine.vcpus[0];
  one.tables.forEach((pa, k) => writeEntry(machine.views, pa, one.entries[k]));
  const outcome = setUp(cpu, one) ?? makeAccess(cpu, one);
  const after = one.tables.map(pa => show(readEntry(machine.views, pa)));
  for (const pa of one.tables) writeEntry(machine.views, pa, 0n);
  return `${outcome} ${after.join(' ')}`;
}

/** Bring the vCPU to the registers of the case; paging is on, with an empty CR3, before CR3 is written. @returns a fault as text */
function setUp(cpu: Vcpu, one: Case): string | undefined {
  cpu.reset();
  const paging = BigInt((CR0_PG | CR0_PE) >>> 0);
  const before = [cpu.writeCr4(one.cr4), cpu.writeEfer(one.efer & ~BigInt(EFER_LMA)), cpu.writeCr0(one.cr0 | paging)];
  cpu.setCode64((cpu.registers.efer & BigInt(EFER_LMA)) !== 0n);
  cpu.writePkru(one.pkru);
  cpu.setAc(one.ac);
  if (before.some(fault => fault !== FAULT_NONE)) return `#GP at setup ${before.join(' ')}`;
  return cpu.writeCr3(one.cr3) === FAULT_NONE ? undefined : '#GP at cr3';
}

function makeAccess(cpu: Vcpu, one: Case): string {
  const t = cpu.translate(one.va, one.access);
  if (t.ok) return `pa ${show(t.paddr)}`;
  return t.vector === 14 ? `#PF ${show(BigInt(t.errorCode))} cr2 ${show(t.cr2!)}` : '#GP at access';
}
