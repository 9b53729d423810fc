/** A random history of one vCPU, in timed or functional mode, every answer of which must be one that the manual permits. */
import { ACCESS_FETCH, ACCESS_READ, ACCESS_USER, ACCESS_WRITE, FAULT_PF, faultVector } from '../../src/arch/fault.ts';
import {
  CR0_ET, CR0_NE, CR0_PE, CR0_PG, CR0_WP, CR4_LA57, CR4_PAE, CR4_PCIDE, CR4_PGE, CR4_SMAP, CR4_SMEP,
} from '../../src/arch/registers.ts';
import type { CpuModel, PageSize } from '../../src/cost/cpu-model.ts';
import { Machine } from '../../src/machine/machine.ts';
import type { EngineChoice } from '../../src/machine/options.ts';
import { readEntry, writeEntry } from '../../src/memory/entry.ts';
import { answerText, Permits } from './stale-oracle.ts';
import { Random } from './tlb-random.ts';
import { everyEntry, randomAddress, randomChange, randomEntry, ROOTS, type Mix } from './tlb-world.ts';

const KINDS = [ACCESS_READ, ACCESS_WRITE, ACCESS_FETCH, ACCESS_USER, ACCESS_USER | ACCESS_WRITE, ACCESS_USER | ACCESS_FETCH];
const PCIDS = [0, 1, 0x800];
const AD = 0x60n;

export interface Plan {
  readonly mode: 'timed' | 'functional';
  readonly model: CpuModel;
  readonly levels: 4 | 5;
  readonly hostPage: PageSize;
  readonly seed: number;
  readonly mix: Mix;
  /** Few invalidations, so that much is stale. */
  readonly calm: boolean;
  /** Default: as every machine's. */
  readonly engine?: EngineChoice;
}

/** What a history was made of. */
export interface Tally {
  accesses: number;
  /** Answers that the tables alone would not have given. */
  stale: number;
  staleFaults: number;
  /** Accesses with one permitted answer, and with several. */
  certain: number;
  open: number;
}

export class History {
  readonly tally: Tally = { accesses: 0, stale: 0, staleFaults: 0, certain: 0, open: 0 };
  readonly permits: Permits;
  private readonly machine: Machine;
  private readonly random: Random;
  private readonly plan: Plan;
  private readonly pages: bigint[];
  private readonly kinds: readonly number[];
  private smap = false;

  constructor(plan: Plan, random = new Random(plan.seed)) {
    this.plan = plan;
    this.random = random;
    this.kinds = plan.calm ? KINDS.slice(3) : KINDS;
    const paging = plan.levels === 5 ? '5-level' : '4-level';
    this.machine = Machine.create({ memory: '1M', cpu: plan.model, hostPage: plan.hostPage, mode: plan.mode, paging, ...(plan.engine ? { engine: plan.engine } : {}) });
    this.pages = this.somePages(12);
    this.permits = new Permits(this.pages, plan.levels, 46);
    for (const { at, level } of everyEntry(plan.levels)) this.write(at, randomEntry(this.random, level, this.plan.mix));
    this.writeCr3(ROOTS[0], 0, false);
  }

  /** Half of the pages are near others: they share tables and large pages. */
  private somePages(count: number): bigint[] {
    const pages = new Set<bigint>(), { levels } = this.plan, top = 12 + 9 * levels;
    while (pages.size < count) {
      const page = (randomAddress(this.random, levels) >> 12n) << 12n;
      if (BigInt.asUintN(64, BigInt.asIntN(top, page)) === page) pages.add(page).add(page ^ 0x1000n).add(page ^ 0x2000n);
    }
    return [...pages];
  }

  run(operations: number): void {
    for (let n = 0; n < operations; n++) this.step();
  }

  step(): void {
    if (this.random.chance(78)) this.access();
    else this.change();
  }

  private get cpu() {
    return this.machine.vcpus[0];
  }

  private address(): bigint {
    return this.random.pick(this.pages) | BigInt(this.random.below(4096));
  }

  private access(): void {
    const va = this.address(), kind = this.random.pick(this.kinds), { permits, tally } = this;
    const allowed = permits.answers(va, kind), fresh = permits.fresh(va, kind);
    const fault = this.cpu.access(Number(va >> 32n) | 0, Number(va & 0xffffffffn) | 0, kind);
    const got = answerText(fault, fault ? 0n : this.cpu.paddr);
    if (!allowed.has(got)) {
      const what = `access ${tally.accesses} of ${va.toString(16)}, kind ${kind}`;
      throw new Error(`${what}: ${got} is not one of ${[...allowed].join(', ')}; the tables say ${fresh}`);
    }
    tally.accesses++;
    if (got !== fresh) tally[fault ? 'staleFaults' : 'stale']++;
    tally[allowed.size === 1 ? 'certain' : 'open']++;
    if (faultVector(fault) === FAULT_PF >>> 16) permits.pageFault(va);
    this.learnMarks(fault !== 0);
  }

  /** The engine may have set A and D, nothing else, and nothing at all by an access that faulted. */
  private learnMarks(faulted: boolean): void {
    let dirtied = false;
    for (const [at, { value }] of this.permits.memory) {
      const now = readEntry(this.machine.views, Number(at));
      if (now === value) continue;
      if (faulted || (now & value) !== value || (now & ~AD) !== (value & ~AD)) {
        throw new Error(`entry ${at.toString(16)} changed from ${value.toString(16)} to ${now.toString(16)}`);
      }
      this.permits.writeEntry(at, now);
      dirtied ||= ((now ^ value) & 0x40n) !== 0n;
    }
    if (dirtied) this.permits.refresh();
  }

  private change(): void {
    const { random, permits } = this, what = this.plan.calm && random.chance(85) ? 0 : random.below(240);
    if (what < 130) {
      const { at, value } = randomChange(random, this.plan.levels, this.plan.mix);
      this.write(at, value);
      permits.refresh();
    } else if (what < 155) {
      const va = this.address();
      this.cpu.invlpg(va);
      permits.invlpg(va);
    } else if (what < 172) this.invpcid();
    else if (what < 208) this.writeCr3(random.pick(ROOTS), permits.pcide ? random.pick(PCIDS) : 0, permits.pcide && random.chance(80));
    else this.control(what);
  }

  private write(at: bigint, value: bigint): void {
    writeEntry(this.machine.views, Number(at), value);
    this.permits.writeEntry(at, value);
  }

  private invpcid(): void {
    const type = this.random.pick([0, 0, 0, 1, 1, 2, 3]), pcid = this.permits.pcide ? this.random.pick(PCIDS) : 0, va = this.address();
    this.must(this.cpu.invpcid(type, BigInt(pcid), va));
    this.permits.invpcid(type, pcid, va);
  }

  private writeCr3(root: bigint, pcid: number, keep: boolean): void {
    this.must(this.cpu.writeCr3(root | BigInt(pcid) | (keep ? 1n << 63n : 0n)));
    this.permits.writeCr3(root, pcid, keep);
  }

  /** The bits of CR0 and CR4. CR4.PCIDE can be set only while the PCID is 0. */
  private control(what: number): void {
    const { random, permits } = this, { control } = permits, on = (yes: boolean, bit: number) => (yes ? bit : 0);
    if (what < 220) control.wp = random.chance(60);
    else if (what < 224) this.smap = random.chance(15);
    const was = permits.pcide, pge = what === 224 ? !control.pge : control.pge;
    const smep = what > 224 && what < 230 ? random.chance(40) : control.smep;
    const pcide = what >= 230 ? (permits.pcide ? random.chance(60) : permits.pcid === 0) : permits.pcide;
    const cr4 = CR4_PAE | on(this.plan.levels === 5, CR4_LA57) | on(pge, CR4_PGE) | on(smep, CR4_SMEP) | on(this.smap, CR4_SMAP) |
      on(pcide, CR4_PCIDE);
    control.smap = this.smap;
    this.must(this.cpu.writeCr4(BigInt(cr4)));
    this.must(this.cpu.writeCr0(BigInt((CR0_PE | CR0_ET | CR0_NE | CR0_PG | on(control.wp, CR0_WP)) >>> 0)));
    permits.writeCr4(pge, pcide, smep);
    if (was && !pcide) this.writeCr3(random.pick(ROOTS), 0, false);
  }

  private must(fault: number): void {
    if (fault !== 0) throw new Error(`fault ${fault.toString(16)}`);
  }
}
