/** One random history on the engine and on the oracle, compared after every operation. */
import { ACCESS_FETCH, ACCESS_READ, ACCESS_USER, ACCESS_WRITE } from '../../src/arch/fault.ts';
import {
  CR0_ET, CR0_NE, CR0_PE, CR0_PG, CR0_WP, CR4_LA57, CR4_PAE, CR4_PCIDE, CR4_PGE, CR4_SMAP, CR4_SMEP,
} from '../../src/arch/registers.ts';
import { auditArray } from '../../src/cache/array.ts';
import type { CpuModel, PageSize } from '../../src/cost/cpu-model.ts';
import { ARR_CLOCK } from '../../src/layout/array.ts';
import { VCPU_OUT_HIT, VCPU_OUT_REFS, VCPU_OUT_START } from '../../src/layout/vcpu.ts';
import { Machine } from '../../src/machine/machine.ts';
import type { EngineChoice } from '../../src/machine/options.ts';
import type { Vcpu } from '../../src/machine/vcpu.ts';
import { readEntry, writeEntry } from '../../src/memory/entry.ts';
import { TlbOracle, type Outcome } from './tlb-oracle.ts';
import { Random } from './tlb-random.ts';
import { arraysOf, listPsc, listTlb, showPiece, showStart } from './tlb-state.ts';
import { everyEntry, randomChange, randomEntry, ROOTS, WILD, WorkingSet } from './tlb-world.ts';

export interface Setting {
  readonly model: CpuModel;
  readonly levels: 4 | 5;
  readonly hostPage: PageSize;
  readonly seed: number;
  /** Addresses in use at a time. */
  readonly addresses: number;
  /** How often entries change and things are invalidated, 1 = often. Large TLBs need peace to fill. */
  readonly unrest: number;
  /** Default: as every machine's. */
  readonly engine?: EngineChoice;
}

const KINDS = [ACCESS_READ, ACCESS_WRITE, ACCESS_FETCH, ACCESS_USER, ACCESS_USER | ACCESS_WRITE, ACCESS_USER | ACCESS_FETCH];
const PCIDS = [0, 1, 2, 0xfff];
const NO_FLUSH = 1n << 63n;

type Operation = [share: number, run: (duel: Duel) => void];

/** What a history is made of. Shares are parts of the whole that are not plain accesses, times `unrest`. */
const OPERATIONS: readonly Operation[] = [
  [120, d => d.changeEntry()], [30, d => d.invlpg()], [20, d => d.invpcid()], [40, d => d.switchSpace()],
  [2, d => d.togglePge()], [3, d => d.set('smep', 30)], [3, d => d.set('smap', 15)], [4, d => d.set('wp', 60)], [4, d => d.togglePcide()],
];
const SHARES = OPERATIONS.reduce((sum, [share]) => sum + share, 0);

export class Duel {
  readonly oracle: TlbOracle;
  readonly machine: Machine;
  readonly cpu: Vcpu;
  /** Operations done, and whole comparisons of the state. */
  operations = 0;
  comparisons = 0;
  private readonly setting: Setting;
  private readonly random: Random;
  private readonly addresses: WorkingSet;
  private readonly arrays: { tlb: number[]; psc: Map<number, number> };
  private readonly out: { readonly hit: number; readonly refs: number; readonly start: number };
  private last = 'start';

  constructor(setting: Setting, random = new Random(setting.seed)) {
    this.setting = setting;
    this.random = random;
    this.addresses = new WorkingSet(this.random, setting.levels, setting.addresses);
    this.machine = Machine.create({
      memory: '1M', cpu: setting.model, hostPage: setting.hostPage, paging: setting.levels === 5 ? '5-level' : '4-level', ...(setting.engine ? { engine: setting.engine } : {}),
    });
    this.cpu = this.machine.vcpus[0];
    const w = this.machine.views.w, v = this.cpu.block >>> 2;
    this.out = { hit: v + (VCPU_OUT_HIT >>> 2), refs: v + (VCPU_OUT_REFS >>> 2), start: v + (VCPU_OUT_START >>> 2) };
    this.arrays = arraysOf(w, this.cpu.block);
    const seed = (a: number) => w[a + (ARR_CLOCK >>> 2)];
    const psc = new Map([...this.arrays.psc].map(([level, a]) => [level, seed(a)]));
    this.oracle = new TlbOracle(setting.model, setting.levels, setting.hostPage, { tlb: this.arrays.tlb.map(seed), psc });
    for (const { at, level } of everyEntry(setting.levels)) this.writeEntry(at, randomEntry(this.random, level, WILD));
    this.loadCr3(ROOTS[0], 0, false);
  }

  /** Go on with `count` operations, comparing the whole state after every `every` of them. */
  run(count: number, every: number): void {
    for (let n = 0; n < count; n++) {
      this.step();
      this.operations++;
      if (this.operations % every === 0) this.compareAll();
    }
    this.compareAll();
  }

  step(): void {
    if (!this.random.chance(100 * this.setting.unrest * SHARES / 1000)) {
      this.access(this.addresses.next(), this.random.pick(KINDS));
      return;
    }
    let left = this.random.below(SHARES);
    for (const [share, run] of OPERATIONS) {
      if (left < share) return run(this);
      left -= share;
    }
  }

  private access(va: bigint, kind: number): void {
    const expected = this.oracle.access(va, kind);
    const fault = this.cpu.access(Number(va >> 32n) | 0, Number(va & 0xffffffffn) | 0, kind);
    this.last = `access ${va.toString(16)} kind ${kind}`;
    const w = this.machine.views.w, hit = w[this.out.hit], refs = hit === 0 ? w[this.out.refs] : 0;
    const start = refs > 0 ? w[this.out.start] : 0, pa = fault === 0 ? this.cpu.paddr : 0n;
    if (fault !== expected.fault || pa !== expected.pa || hit !== expected.hit || refs !== expected.refs || start !== expected.start) {
      this.differ({ fault, pa, hit, start, refs }, expected);
    }
    if (fault !== 0 && this.random.chance(15)) this.addresses.replace();
  }

  changeEntry(): void {
    const { at, value } = randomChange(this.random, this.setting.levels, WILD);
    this.writeEntry(at, value);
  }

  private writeEntry(at: bigint, value: bigint): void {
    this.last = `entry ${at.toString(16)} = ${value.toString(16)}`;
    this.oracle.writeEntry(at, value);
    writeEntry(this.machine.views, Number(at), value);
  }

  invlpg(): void {
    const va = this.addresses.next();
    this.last = `invlpg ${va.toString(16)}`;
    this.oracle.invlpg(va);
    this.cpu.invlpg(va);
  }

  invpcid(): void {
    const type = this.random.pick([0, 0, 0, 0, 1, 1, 2, 3, 4]), va = this.addresses.next();
    const pcid = this.random.chance(3) ? 0x1000n : BigInt(this.random.pick(PCIDS));
    this.last = `invpcid ${type} ${pcid} ${va.toString(16)}`;
    const expected = this.oracle.invpcid(type, pcid, va);
    this.same(this.cpu.invpcid(type, pcid, va), expected);
  }

  switchSpace(): void {
    const root = this.random.pick(ROOTS);
    const low = this.oracle.usesPcids ? this.random.pick(PCIDS) : this.random.pick([0, 0, 0, 0x18]);
    this.loadCr3(root, low, this.oracle.usesPcids && this.random.chance(75));
  }

  private loadCr3(root: bigint, low: number, keep: boolean): void {
    this.last = `cr3 ${root.toString(16)} ${low} ${keep}`;
    this.oracle.writeCr3(root, low, keep);
    this.same(this.cpu.writeCr3(root | BigInt(low) | (keep ? NO_FLUSH : 0n)), 0);
  }

  togglePge(): void {
    this.oracle.togglePge();
    this.writeCr4('pge');
  }

  /** Set a control bit in so many of 100 cases, else clear it. */
  set(what: 'smep' | 'smap' | 'wp', percent: number): void {
    const { control } = this.oracle, on = this.random.chance(percent);
    if (what === 'smep') this.oracle.writeSmep(on);
    else control[what] = on;
    this.writeCr4(what);
    this.same(this.cpu.writeCr0(BigInt((CR0_PE | CR0_ET | CR0_NE | CR0_PG | (control.wp ? CR0_WP : 0)) >>> 0)), 0);
  }

  togglePcide(): void {
    const expected = this.oracle.togglePcide(), wanted = expected === 0 ? this.oracle.usesPcids : true;
    this.writeCr4('pcide', expected, wanted);
  }

  private writeCr4(what: string, expected = 0, pcide = this.oracle.usesPcids): void {
    const { control } = this.oracle, on = (yes: boolean, bit: number) => (yes ? bit : 0);
    this.last = `write ${what}`;
    const value = CR4_PAE | on(this.setting.levels === 5, CR4_LA57) | on(control.pge, CR4_PGE) | on(control.smep, CR4_SMEP) |
      on(control.smap, CR4_SMAP) | on(pcide, CR4_PCIDE);
    this.same(this.cpu.writeCr4(BigInt(value)), expected);
  }

  private same(got: number, expected: number): void {
    if (got !== expected) this.differ(got, expected);
  }

  /** Every entry of every array, every entry in memory, the counters; and the arrays' own invariants. */
  compareAll(): void {
    const w = this.machine.views.w;
    const structures = this.oracle.levels.flat();
    this.arrays.tlb.forEach((a, k) => {
      auditArray(w, a);
      this.sameList(listTlb(w, a), structures[k].array.list(showPiece), structures[k].model.name);
    });
    for (const [level, a] of this.arrays.psc) {
      auditArray(w, a);
      this.sameList(listPsc(w, a), this.oracle.psc.get(level)!.list(showStart), `psc ${level}`);
    }
    for (const [at, { value }] of this.oracle.memory) {
      const got = readEntry(this.machine.views, Number(at));
      if (got !== value) this.differ(`entry ${at.toString(16)} ${got.toString(16)}`, value.toString(16));
    }
    this.compareCounters();
    this.comparisons++;
  }

  private sameList(got: string[], expected: string[], what: string): void {
    if (got.join('\n') !== expected.join('\n')) {
      this.differ(`${what}: ${got.filter(x => !expected.includes(x)).join('; ')}`, expected.filter(x => !got.includes(x)).join('; '));
    }
  }

  private compareCounters(): void {
    const { totals } = this.oracle, counters = this.cpu.counters();
    const hits = counters.hits.map(h => h.load + h.store + h.fetch);
    const got = [...hits, counters.walks, counters.faults, ...counters.walkDepth].join(' ');
    const expected = [...totals.hits.slice(1, 1 + hits.length), totals.walks, totals.faults, ...totals.depth].join(' ');
    if (got !== expected) this.differ(got, expected);
  }

  private differ(got: Outcome | number | string, expected: Outcome | number | string): never {
    const fields = (x: object) => Object.entries(x).map(([k, v]) => `${k} ${v.toString(16)}`).join(', ');
    const text = (x: object | number | string) => (typeof x === 'object' ? fields(x) : String(x));
    throw new Error(`operation ${this.operations} (${this.last}): got ${text(got)}; the oracle says ${text(expected)}`);
  }
}
