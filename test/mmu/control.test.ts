import { describe, expect, it } from 'vitest';
import { ACCESS_READ, FAULT_GP, FAULT_NONE } from '../../src/arch/fault.ts';
import {
  CR0_AM, CR0_CD, CR0_DEFINED, CR0_ET, CR0_NW, CR0_PE, CR0_PG, CR0_WP, CR4_CET, CR4_LA57, CR4_OTHER, CR4_PAE, CR4_PCIDE, CR4_PGE, CR4_PKE,
  CR4_PKS, CR4_PSE, CR4_SMAP, CR4_SMEP, EFER_AMD, EFER_LMA, EFER_LME, EFER_NXE, EFER_SCE,
} from '../../src/arch/registers.ts';
import { ConfigError } from '../../src/errors.ts';
import { Machine } from '../../src/machine/machine.ts';
import type { Features } from '../../src/machine/options.ts';
import type { Vcpu } from '../../src/machine/vcpu.ts';
import { ALL, P, Tables, type Mode } from './walk-tables.ts';

const big = (bits: number): bigint => BigInt(bits >>> 0);
const ON = big(CR0_PG | CR0_PE | CR0_WP | CR0_ET);

/** Registers before the write, from reset, in the order that brings them about. */
interface State { efer?: number; cr4?: number; cr0?: bigint; cr3?: bigint; code64?: boolean; cr4After?: number; features?: Partial<Features>; bits?: number }
type Write = (cpu: Vcpu) => number;

const cr0 = (value: bigint): Write => cpu => cpu.writeCr0(value);
const cr3 = (value: bigint): Write => cpu => cpu.writeCr3(value);
const cr4 = (bits: number | bigint): Write => cpu => cpu.writeCr4(typeof bits === 'bigint' ? bits : big(bits));
const efer = (bits: number | bigint): Write => cpu => cpu.writeEfer(typeof bits === 'bigint' ? bits : big(bits));

const LONG: State = { efer: EFER_LME, cr4: CR4_PAE, cr0: ON, cr3: 0x1000n, code64: true };
const COMPAT: State = { ...LONG, code64: false };
const LA57: State = { ...LONG, cr4: CR4_PAE | CR4_LA57 };
const PCID: State = { ...LONG, cr4After: CR4_PAE | CR4_PCIDE };
const PAE: State = { cr4: CR4_PAE, cr0: ON, cr3: 0x1000n };
const LEGACY: State = { cr0: ON, cr3: 0x1000n };

function inState(s: State): Machine {
  const machine = Machine.create({ memory: '64K', mode: 'functional', paging: 'none', physicalAddressBits: s.bits ?? 40, features: { la57: true, ...s.features } });
  const cpu = machine.vcpus[0]!;
  const faults = [cpu.writeEfer(big(s.efer ?? 0)), cpu.writeCr4(big(s.cr4 ?? 0)), cpu.writeCr3(s.cr3 ?? 0n), cpu.writeCr0(s.cr0 ?? big(CR0_ET))];
  cpu.setCode64(s.code64 ?? false);
  if (s.cr4After !== undefined) faults.push(cpu.writeCr4(big(s.cr4After)));
  expect(faults.filter(f => f !== 0)).toEqual([]);
  return machine;
}

const OK = FAULT_NONE, GP = FAULT_GP;

it.each<[string, State, Write, number]>([
  // "MOV - Move to/from Control Registers", exceptions; and what is next to each of them and allowed
  ['CR0: any of bits 63:32', {}, cr0(1n << 32n), GP],
  ['CR0: bit 63', LONG, cr0(ON | (1n << 63n)), GP],
  ['CR0: PG without PE', {}, cr0(big(CR0_PG)), GP],
  ['CR0: NW without CD', {}, cr0(big(CR0_NW)), GP],
  ['CR0: CD without NW', {}, cr0(big(CR0_CD)), OK],
  ['CR0: PG in protected mode', {}, cr0(ON), OK],
  ['CR0: PG with LME but without PAE', { efer: EFER_LME }, cr0(ON), GP],
  ['CR0: PG with LME and PAE', { efer: EFER_LME, cr4: CR4_PAE }, cr0(ON), OK],
  ['CR0: PG with LME, PAE and CS.L', { efer: EFER_LME, cr4: CR4_PAE, code64: true }, cr0(ON), GP],
  ['CR0: PG without LME and with CS.L', { cr4: CR4_PAE, code64: true }, cr0(ON), OK],
  ['CR0: clear PG in 64-bit mode', LONG, cr0(big(CR0_PE)), GP],
  ['CR0: clear PG in compatibility mode', COMPAT, cr0(big(CR0_PE)), OK],
  ['CR0: clear PG after PCIDE', { ...PCID, code64: false, cr4After: CR4_PAE }, cr0(big(CR0_PE)), OK],
  ['CR0: clear PE alone', PAE, cr0(big(CR0_PG)), GP],
  ['CR0: clear WP', LONG, cr0(ON & ~big(CR0_WP)), OK],
  ['CR0: clear WP while CET', { ...LONG, cr4After: CR4_PAE | CR4_CET }, cr0(ON & ~big(CR0_WP)), GP],
  ['CR0: undefined low bits are ignored', LONG, cr0(0xffff_ffffn & ~big(CR0_NW)), OK],
  ['CR3: above MAXPHYADDR', LONG, cr3(1n << 40n), GP],
  ['CR3: the highest address bit', LONG, cr3(1n << 39n), OK],
  ['CR3: bit 51 of 52', { ...LONG, bits: 52 }, cr3(1n << 51n), OK],
  ['CR3: bit 52 of 52', { ...LONG, bits: 52 }, cr3(1n << 52n), GP],
  ['CR3: bits 62:61 without LAM', LONG, cr3(1n << 61n), GP],
  ['CR3: bit 62', { ...PCID, bits: 52 }, cr3(1n << 62n), GP],
  ['CR3: bit 63 while PCIDE = 0', LONG, cr3(1n << 63n), GP],
  ['CR3: bit 63 while PCIDE = 1', PCID, cr3(1n << 63n), OK],
  ['CR3: low bits', LONG, cr3(0x1fffn), OK],
  ['CR4: any of bits 63:32', {}, cr4(1n << 32n), GP],
  ['CR4: a bit that does not exist', {}, cr4(1 << 15), GP],
  ['CR4: bit 31', {}, cr4(1n << 31n), GP],
  ['CR4: clear PAE in long mode', LONG, cr4(0), GP],
  ['CR4: clear PAE outside', PAE, cr4(0), OK],
  ['CR4: set LA57 in long mode', LONG, cr4(CR4_PAE | CR4_LA57), GP],
  ['CR4: clear LA57 in long mode', LA57, cr4(CR4_PAE), GP],
  ['CR4: clear LA57 in compatibility mode', { ...LA57, code64: false }, cr4(CR4_PAE), GP],
  ['CR4: set LA57 in PAE paging', PAE, cr4(CR4_PAE | CR4_LA57), OK],
  ['CR4: set PCIDE in long mode', LONG, cr4(CR4_PAE | CR4_PCIDE), OK],
  ['CR4: set PCIDE in compatibility mode', COMPAT, cr4(CR4_PAE | CR4_PCIDE), OK],
  ['CR4: set PCIDE while CR3[11:0] is not 0', { ...LONG, cr3: 0x1008n }, cr4(CR4_PAE | CR4_PCIDE), GP],
  ['CR4: set PCIDE in PAE paging', PAE, cr4(CR4_PAE | CR4_PCIDE), GP],
  ['CR4: set PCIDE before paging', { efer: EFER_LME, cr4: CR4_PAE }, cr4(CR4_PAE | CR4_PCIDE), GP],
  ['CR4: keep PCIDE with a PCID', { ...PCID }, cpu => cpu.writeCr3(0x1005n) || cpu.writeCr4(big(CR4_PAE | CR4_PCIDE | CR4_PGE)), OK],
  ['CR4: set CET while WP = 0', { ...LONG, cr0: big(CR0_PG | CR0_PE) }, cr4(CR4_PAE | CR4_CET), GP],
  ['CR4: set CET while WP = 1', LONG, cr4(CR4_PAE | CR4_CET), OK],
  ['EFER: any of bits 63:32', {}, efer(1n << 32n), GP],
  ['EFER: a bit that does not exist', {}, efer(1 << 1), GP],
  ['EFER: set LME with paging', LEGACY, efer(EFER_LME), GP],
  ['EFER: clear LME with paging', LONG, efer(0), GP],
  ['EFER: keep LME with paging', LONG, efer(EFER_LME | EFER_NXE | EFER_SCE), OK],
  ['EFER: LMA is not written', LONG, efer(EFER_LME | EFER_LMA), OK],
  ['EFER: AMD bits by Intel rules', { features: { amd: false } }, efer(EFER_AMD), GP],
  ['EFER: AMD bits by AMD rules', { features: { amd: true } }, efer(EFER_AMD), OK],
  ['EFER: NXE where there is no NX', { features: { nx: false } }, efer(EFER_NXE), GP],
  ['EFER: LME where there is no long mode', { features: { long: false } }, efer(EFER_LME), GP],
  ['PKRS: any of bits 63:32', {}, cpu => cpu.writePkrs(1n << 32n), GP],
  ['PKRS: all of bits 31:0', {}, cpu => cpu.writePkrs(0xffff_ffffn), OK],
  ['PKRS where there is none', { features: { pks: false } }, cpu => cpu.writePkrs(0n), GP],
])('%s', (_, state, write, fault) => {
  const machine = inState(state);
  const before = Buffer.from(machine.views.u8);
  expect(write(machine.vcpus[0]!)).toBe(fault);
  if (fault === GP) expect(Buffer.from(machine.views.u8).equals(before)).toBe(true);
});

it('refuses to clear PG while PCIDE = 1', () => {
  const machine = inState(PCID), cpu = machine.vcpus[0]!;
  cpu.setCode64(false);
  const before = Buffer.from(machine.views.u8);
  expect(cpu.writeCr0(big(CR0_PE))).toBe(GP);
  expect(Buffer.from(machine.views.u8).equals(before)).toBe(true);
});

const FEATURE_OF = {
  pse: CR4_PSE, pae: CR4_PAE, pge: CR4_PGE, la57: CR4_LA57, smep: CR4_SMEP, smap: CR4_SMAP, pku: CR4_PKE, pks: CR4_PKS, cet: CR4_CET,
} as const;

it('accepts exactly the bits of CR4 whose feature is there', () => {
  const known = Object.values(FEATURE_OF).reduce((sum, bit) => sum | bit, CR4_OTHER);
  for (let bit = 0; bit < 32; bit++) {
    const { vcpus } = inState({ cr0: big(CR0_PE | CR0_WP) }), value = 1n << BigInt(bit);
    expect(vcpus[0]!.writeCr4(value), `bit ${bit}`).toBe(value & big(known) ? OK : GP);
  }
  for (const [name, bit] of Object.entries(FEATURE_OF)) {
    const cpu = inState({ cr0: big(CR0_PE | CR0_WP), features: { [name]: false } }).vcpus[0]!;
    expect(cpu.writeCr4(big(bit)), name).toBe(GP);
  }
  const cpu = inState({ ...LONG, features: { pcid: false } }).vcpus[0]!;
  expect(cpu.writeCr4(big(CR4_PAE | CR4_PCIDE))).toBe(GP);
});

it('reads CR0 back with ET set and nothing undefined', () => {
  const cpu = inState({}).vcpus[0]!;
  expect(cpu.writeCr0(0xffff_ffffn)).toBe(OK);
  expect(cpu.registers.cr0).toBe(big(CR0_DEFINED));
  expect(cpu.writeCr0(0n)).toBe(OK);
  expect(cpu.registers.cr0).toBe(big(CR0_ET));
});

it('reads CR3 back without the bit that is an instruction', () => {
  const cpu = inState(PCID).vcpus[0]!;
  expect(cpu.writeCr3((1n << 63n) | 0x12_3456_7abcn)).toBe(OK);
  expect(cpu.registers.cr3).toBe(0x12_3456_7abcn);
});

it('keeps LMA to itself', () => {
  const cpu = inState(COMPAT).vcpus[0]!;
  expect(cpu.registers.efer).toBe(big(EFER_LME | EFER_LMA));
  expect(cpu.writeEfer(big(EFER_LME))).toBe(OK);
  expect(cpu.registers.efer).toBe(big(EFER_LME | EFER_LMA));
  expect(cpu.writeCr0(big(CR0_PE))).toBe(OK);
  expect(cpu.registers.efer).toBe(big(EFER_LME));
  expect(cpu.writeEfer(big(EFER_LMA))).toBe(OK);
  expect(cpu.registers.efer).toBe(0n);
});

it('is as after a hardware reset when it is made, and after reset()', () => {
  const cpu = inState(LONG).vcpus[0]!;
  cpu.translate(0x5000n, 0);
  cpu.setAc(true);
  cpu.writePkru(5);
  cpu.reset();
  const zero = { cr2: 0n, cr3: 0n, cr4: 0n, efer: 0n, pkru: 0, pkrs: 0, ac: false, pdpte: [0n, 0n, 0n, 0n] };
  expect(cpu.registers).toEqual({ cr0: 0x6000_0010n, ...zero });
  expect(inState({}).vcpus[0]!.writeCr0(ON)).toBe(OK); // CS.L is clear again, too
});

it('takes 64-bit values only', () => {
  const cpu = inState({}).vcpus[0]!;
  for (const bad of [-1n, 1n << 64n, 0 as never, undefined as never]) {
    for (const write of ['writeCr0', 'writeCr3', 'writeCr4', 'writeEfer', 'writePkrs'] as const) expect(() => cpu[write](bad), write).toThrow(ConfigError);
  }
});

describe('PAE: which writes load the PDPTEs', () => {
  it.each<[string, Write, boolean]>([
    ['CR3', cpu => cpu.writeCr3(0x30000n), true],
    ['CR0.CD', cr0(ON | big(CR0_CD)), true],
    ['CR0.CD and NW', cr0(ON | big(CR0_CD | CR0_NW)), true],
    ['CR0.WP', cr0(ON & ~big(CR0_WP)), false],
    ['CR0.AM', cr0(ON | big(CR0_AM)), false],
    ['CR4.PGE', cr4(CR4_PAE | CR4_PGE), true],
    ['CR4.PSE', cr4(CR4_PAE | CR4_PSE), true],
    ['CR4.SMEP', cr4(CR4_PAE | CR4_SMEP), true],
    ['CR4.SMAP', cr4(CR4_PAE | CR4_SMAP), false],
    ['CR4.LA57', cr4(CR4_PAE | CR4_LA57), false],
    ['CR4 unchanged', cr4(CR4_PAE), false],
    ['EFER.SCE', efer(EFER_NXE | EFER_SCE), false],
  ])('%s', (_, write, loads) => {
    const t = new Tables('pae');
    t.map(0n, 1, ALL);
    t.set(3, 0n, t.table(2) | P | 0x18n);
    expect(write(t.cpu)).toBe(OK);
    expect(t.cpu.registers.pdpte[0]).toBe(loads ? t.table(2) | P | 0x18n : t.table(2) | P);
    const bad = new Tables('pae');
    bad.set(3, 1n << 31n, P | 2n);
    const before = bad.bytes();
    expect(write(bad.cpu)).toBe(loads ? GP : OK);
    if (loads) expect(bad.bytes().equals(before)).toBe(true);
  });

  it('turning PAE paging on, by CR0.PG and by CR4.PAE', () => {
    const t = new Tables('pae');
    t.map(0n, 1, ALL);
    t.cpu.reset();
    expect(t.cpu.writeCr3(t.root)).toBe(OK);
    expect(t.cpu.writeCr4(big(CR4_PAE))).toBe(OK);
    expect(t.cpu.registers.pdpte[0]).toBe(0n); // not yet
    expect(t.cpu.writeCr0(ON)).toBe(OK);
    expect(t.cpu.registers.pdpte[0]).toBe(t.table(2) | P);
    t.cpu.reset();
    expect([t.cpu.writeCr3(t.root), t.cpu.writeCr0(ON), t.cpu.writeCr4(big(CR4_PAE))]).toEqual([OK, OK, OK]);
    expect(t.cpu.registers.pdpte[0]).toBe(t.table(2) | P);
    t.set(3, 0n, P | 0x100n);
    t.cpu.reset();
    expect([t.cpu.writeCr3(t.root), t.cpu.writeCr0(ON), t.cpu.writeCr4(big(CR4_PAE))]).toEqual([OK, OK, GP]);
    expect(t.cpu.registers.cr4).toBe(0n);
  });

  it('not in long mode', () => {
    const t = new Tables('4-level');
    t.set(4, 0n, P | 2n); // fine as a PML4E, not as a PDPTE
    expect([t.cpu.writeCr3(t.root), t.cpu.writeCr4(big(CR4_PAE | CR4_PGE)), t.cpu.writeCr0(ON | big(CR0_CD))]).toEqual([OK, OK, OK]);
    expect(t.cpu.registers.pdpte).toEqual([0n, 0n, 0n, 0n]);
  });
});

it.each<Mode>(['legacy', 'pae', '4-level', '5-level'])('uses only the address bits of CR3 for the root: %s', mode => {
  const t = new Tables(mode);
  t.map(0n, 1, 0x7000n | P);
  expect(t.cpu.writeCr3(t.root | (mode === 'pae' ? 0x1fn : 0xfffn))).toBe(OK);
  expect(t.cpu.translate(0n, ACCESS_READ)).toMatchObject({ ok: true, paddr: 0x7000n });
});
