/**
 * Putting a vCPU under a second stage, and taking it out.
 *
 * Source: Intel SDM vol. 3C, "Extended-Page-Table Pointer (EPTP)", "Checks on VMX Controls" (what VM entry refuses); AMD APM vol. 2,
 *         "Nested Paging" ("Enabling Nested Paging", "Nested Table Walk": the nested walk is one of user mode, and CR0.WP of the host plays no part).
 */
import { EPTP_AD, EPTP_LEVELS_SHIFT, EPTP_MEMTYPE } from '../arch/ept.ts';
import { ACCESS_FETCH, ACCESS_IMPLICIT, ACCESS_RIGHTS, ACCESS_USER, ACCESS_WRITE } from '../arch/fault.ts';
import { CR0_PE, CR0_PG, CR0_WP, CR4_LA57, CR4_PAE, EFER_LMA, EFER_LME, EFER_NXE } from '../arch/registers.ts';
import { ConfigError } from '../errors.ts';
import {
  HOSTD_NX, HOSTD_NXU, HOSTD_R, HOSTD_TW, HOSTD_W, NEST_CTL, NEST_EPT, NEST_FORMAT, NEST_ID, NEST_LINEAR, NEST_NPT, NEST_PHYSICAL, NESTC_AD, NESTC_INFO, NESTC_MBE,
  NESTC_PW, NESTC_XO,
} from '../layout/nested.ts';
import { TLBD_D } from '../layout/tlb.ts';
import {
  CTL_FETCH_CODE, MODE_4LEVEL, RIGHTS_FORBID, RIGHTS_NEED, RIGHTS_STRIDE, UNPLAIN_NESTED, VCPU_CR0, VCPU_CR3_HI, VCPU_CR3_LO, VCPU_CR4, VCPU_CTL, VCPU_EFER,
  VCPU_NEST, VCPU_NESTED, VCPU_PABITS, VCPU_RIGHTS, VCPU_RSVD_HI, VCPU_UNPLAIN,
} from '../layout/vcpu.ts';
import { fastDropAll } from '../mmu/fast-table.ts';
import { dropContext } from '../mmu/invalidate.ts';
import { recompute, reservedHi } from '../mmu/mode.ts';
import { recomputeRights } from '../mmu/rights.ts';
import { enterContext, forContexts, leaveContext } from './context.ts';
import { contextId, flushAsid } from './invalidate.ts';

/** A second stage in EPT format. */
export interface EptStage {
  readonly format: 'ept';
  /** The EPT pointer: bits 2:0 memory type (0 or 6), 5:3 levels - 1 (3 or 4), 6 accessed and dirty flags, and the root's address. */
  readonly eptp: bigint;
  /** 1 to 65535; 0 or left out: none, and entering and leaving flush. */
  readonly vpid?: number;
  /** The processor supports execute-only translations. Default true. */
  readonly executeOnly?: boolean;
  /** VM-execution controls. Default false. */
  readonly modeBasedExecute?: boolean;
  readonly pagingWrite?: boolean;
  /** Exits tell the rights of the guest's translation too. Default false. */
  readonly advancedExitInfo?: boolean;
}

/** A second stage in NPT format: the host's paging mode, as its registers are at VMRUN. */
export interface NptStage {
  readonly format: 'npt';
  /** Address of the nested root table. */
  readonly ncr3: bigint;
  /** 4 or 5. Default 4. */
  readonly levels?: 4 | 5;
  /** EFER.NXE of the host. Default true. */
  readonly nxe?: boolean;
  /** 1 to 65535. Default 1. */
  readonly asid?: number;
  /** TLB_CONTROL of VMRUN: 0 nothing, 1 drop everything, 3 what is this guest's, 7 that but global entries. Default 0. */
  readonly tlbControl?: number;
}

export type Stage = EptStage | NptStage;

/** A stage as the numbers that go into the host block. */
interface Numbers {
  readonly format: number;
  readonly ctl: number;
  readonly id: number;
  readonly levels: number;
  readonly nxe: boolean;
  readonly root: bigint;
  readonly flush: number;
}

/** Check a stage as VM entry would. @param paBits - MAXPHYADDR @throws ConfigError naming the field */
export function checkStage(stage: Stage, paBits: number): Numbers {
  if (typeof stage !== 'object' || stage === null) throw new ConfigError('stage', 'an object', stage);
  if (stage.format === 'ept') return checkEpt(stage, paBits);
  if (stage.format !== 'npt') throw new ConfigError('stage.format', 'ept or npt', (stage as { format: unknown }).format);
  known(stage, ['format', 'ncr3', 'levels', 'nxe', 'asid', 'tlbControl']);
  const { levels = 4, tlbControl = 0 } = stage;
  if (levels !== 4 && levels !== 5) throw new ConfigError('stage.levels', '4 or 5', levels);
  if (![0, 1, 3, 7].includes(tlbControl)) throw new ConfigError('stage.tlbControl', '0, 1, 3 or 7', tlbControl);
  return {
    format: NEST_NPT, flush: tlbControl, ctl: 0, id: identifier(stage.asid ?? 1, 'stage.asid', 1), levels, nxe: flag(stage.nxe ?? true, 'stage.nxe'),
    root: address(stage.ncr3, 'stage.ncr3', paBits) & ~0xfffn,
  };
}

/** Check an EPT pointer as VM entry, and INVEPT, would. @param paBits - MAXPHYADDR @returns bits 11:0 @throws ConfigError naming the field */
export function checkEptp(given: unknown, field: string, paBits: number): number {
  const lo = Number(address(given, field, paBits) & 0xfffn), type = lo & EPTP_MEMTYPE, levels = levelsOf(lo);
  if (type !== 0 && type !== 6) throw new ConfigError(field, 'memory type 0 or 6 in bits 2:0', type);
  if (levels !== 4 && levels !== 5) throw new ConfigError(field, '3 or 4 in bits 5:3', levels - 1);
  if (lo >>> 7 !== 0) throw new ConfigError(field, '0 in bits 11:7', lo >>> 7);
  return lo;
}

const levelsOf = (lo: number): number => ((lo >>> EPTP_LEVELS_SHIFT) & 7) + 1;

function checkEpt(stage: EptStage, paBits: number): Numbers {
  known(stage, ['format', 'eptp', 'vpid', 'executeOnly', 'modeBasedExecute', 'pagingWrite', 'advancedExitInfo']);
  const { eptp } = stage, lo = checkEptp(eptp, 'stage.eptp', paBits), levels = levelsOf(lo);
  const bit = (name: 'executeOnly' | 'modeBasedExecute' | 'pagingWrite' | 'advancedExitInfo', by: boolean, value: number) =>
    (flag(stage[name] ?? by, `stage.${name}`) ? value : 0);
  return {
    format: NEST_EPT, flush: 0, id: identifier(stage.vpid ?? 0, 'stage.vpid', 0), levels, nxe: true, root: eptp & ~0xfffn,
    ctl: (lo & EPTP_AD ? NESTC_AD : 0) | bit('executeOnly', true, NESTC_XO) | bit('modeBasedExecute', false, NESTC_MBE)
      | bit('pagingWrite', false, NESTC_PW) | bit('advancedExitInfo', false, NESTC_INFO),
  };
}

function known(stage: object, fields: readonly string[]): void {
  for (const key of Object.keys(stage)) if (!fields.includes(key)) throw new ConfigError(`stage.${key}`, `one of ${fields.join(', ')}`, key);
}

function flag(value: unknown, field: string): boolean {
  if (typeof value !== 'boolean') throw new ConfigError(field, 'true or false', value);
  return value;
}

function identifier(value: unknown, field: string, least: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > 65535) throw new ConfigError(field, `an integer from ${least} to 65535`, value);
  return value;
}

function address(value: unknown, field: string, paBits: number): bigint {
  if (typeof value !== 'bigint' || value < 0n || value >> BigInt(paBits) !== 0n) throw new ConfigError(field, `an address of ${paBits} bits`, value);
  return value;
}

/** Put the vCPU's guest-physical addresses under a second stage. Its own registers stay as they are. */
export function enterGuest(w: Int32Array, v: number, stage: Numbers): void {
  const n = w[v + (VCPU_NEST >>> 2)] >>> 2;
  w[n + (NEST_FORMAT >>> 2)] = stage.format;
  w[n + (NEST_CTL >>> 2)] = stage.ctl;
  w[n + (NEST_ID >>> 2)] = stage.id;
  w[n + (VCPU_CR0 >>> 2)] = CR0_PE | CR0_PG | CR0_WP;
  w[n + (VCPU_CR3_LO >>> 2)] = Number(stage.root & 0xffffffffn) | 0;
  w[n + (VCPU_CR3_HI >>> 2)] = Number(stage.root >> 32n);
  w[n + (VCPU_CR4 >>> 2)] = CR4_PAE | (stage.levels === 5 ? CR4_LA57 : 0);
  w[n + (VCPU_EFER >>> 2)] = EFER_LME | EFER_LMA | (stage.nxe ? EFER_NXE : 0);
  if (stage.flush !== 0) flushAsid(w, v, stage.flush, stage.id);
  enterContexts(w, v, n, stage);
  recompute(w, n); // after that, as the tags have the context
  recomputeRights(w, n);
  w[n + (VCPU_CTL >>> 2)] |= CTL_FETCH_CODE; // a nested page fault tells fetches whatever EFER.NXE is
  if (stage.format === NEST_EPT) {
    w[n + (VCPU_RSVD_HI >>> 2)] = reservedHi(MODE_4LEVEL, w[n + (VCPU_PABITS >>> 2)], true); // addresses beyond MAXPHYADDR
    eptRights(w, n);
  }
  changeStage(w, v, 1);
}

/**
 * Without a VPID a guest's linear addresses are tagged as the host's, and entering and leaving drop them. A guest's own invalidations are of its
 * VPID under every EPT pointer ("Operations that Invalidate Cached Mappings"): so that they need look at one context, no two of a VPID hold anything.
 */
function enterContexts(w: Int32Array, v: number, n: number, { format, id, root }: Numbers): void {
  const lo = format === NEST_EPT ? Number(root & 0xffffffffn) | 0 : 0, hi = format === NEST_EPT ? Number(root >> 32n) : 0;
  const own = contextId(format, id), base = w[v + (VCPU_NEST >>> 2)];
  enterContext(w, n, (base + NEST_PHYSICAL) >>> 2, format === NEST_EPT ? contextId(format, 0) : own, lo, hi);
  leaveContext(w, v);
  if (id === 0) dropContext(w, v, 0);
  else {
    const table = (base + NEST_LINEAR) >>> 2;
    forContexts(w, table, (other, rootLo, rootHi) => other === own && (rootLo !== lo || rootHi !== hi), context => dropContext(w, v, context));
    enterContext(w, v, table, own, lo, hi);
  }
}

/** Take the vCPU out: its addresses are machine addresses again. */
export function leaveGuest(w: Int32Array, v: number): void {
  const n = w[v + (VCPU_NEST >>> 2)] >>> 2;
  w[n + (NEST_FORMAT >>> 2)] = 0;
  leaveContext(w, v);
  if (w[n + (NEST_ID >>> 2)] === 0) dropContext(w, v, 0);
  changeStage(w, v, 0);
}

function changeStage(w: Int32Array, v: number, nested: number): void {
  w[v + (VCPU_NESTED >>> 2)] = nested;
  fastDropAll(w, v); // its rows have no context
  const unplain = v + (VCPU_UNPLAIN >>> 2);
  w[unplain] = nested ? w[unplain] | UNPLAIN_NESTED : w[unplain] & ~UNPLAIN_NESTED;
  recompute(w, v);
  recomputeRights(w, v);
}

/**
 * The rights table of the host block for EPT: fetches by where their linear address is (ACCESS_USER: a user-mode address), accesses of paging
 * structures (ACCESS_IMPLICIT) by the table-write right.
 */
function eptRights(w: Int32Array, n: number): void {
  for (let access = 0; access <= ACCESS_RIGHTS; access += 2) {
    const at = n + (VCPU_RIGHTS >>> 2) + (access >>> 1) * (RIGHTS_STRIDE >>> 2);
    const fetch = access & ACCESS_FETCH, write = access & ACCESS_WRITE;
    const writable = access & ACCESS_IMPLICIT ? HOSTD_R | HOSTD_TW : HOSTD_W;
    w[at + (RIGHTS_NEED >>> 2)] = fetch ? 0 : write ? writable | TLBD_D : HOSTD_R;
    w[at + (RIGHTS_FORBID >>> 2)] = fetch ? (access & ACCESS_USER ? HOSTD_NXU : HOSTD_NX) : 0;
  }
}
