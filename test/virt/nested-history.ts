/**
 * Random histories of several guests on one vCPU in timed mode, whose entries of either stage change with and without invalidations.
 *
 * What is permitted: a change of an entry counts as unseen by an access until an invalidation that the manual makes remove what was cached
 * from it. The answer must be the oracle's for some choice, at each reading of an entry, of its value now or one from before an unseen change.
 * Without unseen changes there is no choice, and every entry afterwards and every reference must be the oracle's, too.
 *
 * Source: Intel SDM vol. 3C, "Operations that Invalidate Cached Mappings"; AMD APM vol. 2, "TLB Control", "Address Space Identifier (ASID)".
 */
import { CR4_LA57, CR4_PAE, CR4_PCIDE, CR4_PGE, EFER_LME, EFER_NXE } from '../../src/arch/registers.ts';
import type { MachineOptions } from '../../src/machine/options.ts';
import { stateOf } from '../wasm/state.ts';
import type { Random } from '../mmu/tlb-random.ts';
import { Engine, FullList } from './nested-engines.ts';
import { NestedAccess, type Access, type Guest, type Mode } from './nested-oracle.ts';
import { hostTable, randomStage, Words, World } from './nested-world.ts';
import type { Memory, Stage } from './second-stage-oracle.ts';

/** A guest: VPID or ASID, second stage, and the root of each of its PCIDs. Two may share a VPID, under different EPT pointers. */
interface Vm {
  readonly id: number;
  readonly stage: Stage;
  readonly roots: readonly bigint[];
}

/** Who makes an access. */
interface Where {
  readonly vm: Vm;
  readonly pcid: number;
  readonly page: bigint;
}

/** A value that an entry had. */
interface Change {
  readonly at: number;
  readonly old: bigint;
  readonly ofHost: boolean;
  /** For whom it can no longer be cached. */
  readonly seen: ((where: Where) => boolean)[];
}

export interface Tally {
  certain: number;
  open: number;
  /** Answers that the tables now would not have given. */
  stale: number;
  invalidations: number;
  switches: number;
}

/** Accessed and dirty flags of both formats: a frame may be taken for a table of either stage. */
const MARKS = 0x360n;
const MOST_CHANGES = 6, MOST_TRIES = 2000, PCIDS = 2;
/** The answer without the size of the page, which a TLB may hold in smaller pieces. */
const essence = (text: string): string => text.replace(/ by a page of .*/, '');

/** Memory in which entries have several values: each `run()` takes another choice. */
class Choices implements Memory {
  private readonly words: Words;
  private readonly olds: ReadonlyMap<bigint, readonly bigint[]>;
  private made: number[] = [];
  private of: number[] = [];
  private next = 0;

  constructor(words: Words, olds: ReadonlyMap<bigint, readonly bigint[]>) {
    this.words = words;
    this.olds = olds;
  }

  read(pa: bigint): bigint {
    const now = this.words.read(pa), old = this.olds.get(pa);
    if (old === undefined) return now;
    const k = this.next++;
    if (k === this.made.length) {
      this.made.push(0);
      this.of.push(old.length + 1);
    }
    return this.made[k] === 0 ? now : old[this.made[k]! - 1]!;
  }

  write(): void {
    // what an access marks is not asked for
  }

  /** Is any choice such that the access gives an answer? */
  permit(answer: string, make: () => string): boolean {
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      this.next = 0;
      if (essence(make()) === answer) return true;
      this.made.length = this.of.length = this.next;
      while (this.made.length > 0 && this.made.at(-1)! + 1 === this.of.at(-1)!) {
        this.made.pop();
        this.of.pop();
      }
      if (this.made.length === 0) return false;
      this.made[this.made.length - 1]!++;
    }
    return true; // too many to say
  }
}

export class History {
  readonly tally: Tally = { certain: 0, open: 0, stale: 0, invalidations: 0, switches: 0 };
  private readonly r: Random;
  private readonly format: 'ept' | 'npt';
  private readonly mode: Mode;
  private readonly globals: boolean;
  private readonly words = new Words();
  private readonly world: World;
  private readonly engines: readonly Engine[];
  private readonly vms: Vm[] = [];
  private readonly guest: Guest;
  private readonly full = new FullList();
  private readonly vas: bigint[];
  private changes: Change[] = [];
  private vm: Vm;
  private pcid = 0;
  private log: string[] = [];
  /** Of the last access: its page, and the entries that a full walk read. */
  private last = 0n;
  private path: number[] = [];

  constructor(r: Random, format: 'ept' | 'npt', mode: 'flat' | '4-level' | '5-level', options: MachineOptions) {
    this.r = r;
    this.format = format;
    this.mode = mode;
    this.globals = mode !== 'flat' && r.chance(40);
    const stage = randomStage(r, format, 46, true);
    this.world = new World(this.words, r, stage, mode, 0.2);
    const all = { ...options, mode: 'timed' as const, physicalAddressBits: 46, features: { pages1g: true, la57: true, amd: format === 'npt' } };
    this.engines = [new Engine({ ...all, engine: 'ts' }), new Engine({ ...all, engine: 'wasm' })];
    for (let k = 0; k < 10; k++) {
      const one = this.world.guestRoot(), roots = Array.from({ length: PCIDS }, () => (this.globals ? one : this.world.guestRoot()));
      this.vms.push({ id: 1 + k, roots, stage: { ...stage, root: hostTable(r, stage.levels) } });
      if (format === 'ept' && k % 3 === 0) this.vms.push({ id: 1 + k, roots, stage: { ...stage, root: hostTable(r, stage.levels) } });
    }
    this.guest = { mode, root: 0n, pdptes: [], pse: true, wp: true, smep: false, smap: false, ac: false, nxe: true };
    this.vas = Array.from({ length: 6 }, () => this.world.va() >> 12n << 12n);
    this.vm = this.vms[0]!;
    this.last = this.vas[0]!;
    for (const e of this.engines) this.start(e);
    this.enter(this.vm, 0);
  }

  private start(e: Engine): void {
    const cpu = e.machine.vcpus[0]!, long = this.mode !== 'flat';
    for (const at of this.world.watched) e.copy(this.words, at);
    if (!long) return;
    // The mode is entered under a second stage that nothing else uses.
    this.must(cpu.writeEfer(BigInt(EFER_LME | EFER_NXE)));
    this.must(cpu.writeCr4(BigInt(CR4_PAE | (this.mode === '5-level' ? CR4_LA57 : 0) | (this.globals ? CR4_PGE : 0))));
    this.must(cpu.writeCr0(0x80010001n));
    this.must(cpu.writeCr4(cpu.registers.cr4 | BigInt(CR4_PCIDE)));
  }

  private must(fault: number): void {
    if (fault !== 0) throw new Error(`fault ${fault.toString(16)}`);
  }

  /** Run another guest, as a hypervisor does: nothing of it is dropped. */
  private enter(vm: Vm, pcid: number, tlbControl = 0): void {
    this.vm = vm;
    this.pcid = this.mode === 'flat' ? 0 : pcid;
    for (const e of this.engines) {
      const cpu = e.machine.vcpus[0]!;
      cpu.guest.leave();
      cpu.guest.enter(e.stageOf(vm.stage, vm.id, tlbControl));
      this.loadRoot(e, true);
    }
    this.tally.switches++;
    this.log.push(`enter ${vm.id} ${vm.stage.root.toString(16)} pcid ${pcid} ${tlbControl}`);
  }

  private loadRoot(e: Engine, keep: boolean): void {
    if (this.mode !== 'flat') this.must(e.machine.vcpus[0]!.writeCr3(this.vm.roots[this.pcid]! | BigInt(this.pcid) | (keep ? 1n << 63n : 0n)));
  }

  run(operations: number): void {
    for (let n = 0; n < operations; n++) this.step();
  }

  step(): void {
    const { r } = this, what = r.below(100);
    if (what < 72) this.access();
    else if (what < 82) this.change();
    else if (what < 92) this.invalidate();
    else this.enter(r.pick(this.vms), r.below(PCIDS));
    if (this.changes.length > MOST_CHANGES) this.everything();
  }

  /** Have both engines left the same bytes? */
  get same(): boolean {
    const [a, b] = this.engines.map(e => stateOf(e.machine)) as [Buffer, Buffer];
    return Buffer.compare(a, b) === 0;
  }

  private access(): void {
    const { r, words } = this, va = (r.chance(40) ? this.last : r.pick(this.vas)) | BigInt(r.below(4096));
    this.last = va >> 12n << 12n;
    const access: Access = { va, by: r.pick(['user', 'supervisor'] as const), kind: r.pick(['read', 'read', 'write', 'fetch'] as const) };
    const where: Where = { vm: this.vm, pcid: this.pcid, page: va >> 12n }, guest = { ...this.guest, root: this.vm.roots[this.pcid]! };
    const olds = new Map<bigint, bigint[]>();
    for (const c of this.changes) {
      if (c.seen.some(by => by(where))) continue;
      const pa = BigInt(c.at) * 4n, values = olds.get(pa) ?? [];
      if (!values.includes(c.old)) values.push(c.old);
      olds.set(pa, values);
    }
    const choices = new Choices(words, olds), make = () => new NestedAccess(choices, guest, this.vm.stage, access).make().text;
    const certain = olds.size === 0;
    const got = this.engines.map(e => essence(e.access(access)));
    if (got[0] !== got[1]) this.fail(`${got[0]} and in wasm ${got[1]}`, access);
    const before = certain ? undefined : essence(make());
    if (certain) {
      const fresh = new NestedAccess(words, guest, this.vm.stage, access).make();
      this.full.set(fresh.references);
      this.path = fresh.references.map(({ pa }) => Number(pa / 8n) * 2).filter(at => this.world.watched.includes(at));
      if (got[0] !== essence(fresh.text)) this.fail(`${got[0]}, ought to be ${fresh.text}`, access);
      for (const e of this.engines) {
        const at = e.different(words, this.world.watched), stray = e.stray(this.full);
        if (at >= 0) this.fail(`${e.name}: the entry at ${(at * 4).toString(16)} is another`, access);
        if (stray) this.fail(`${e.name} reads ${stray}`, access);
      }
      this.tally.certain++;
      return;
    }
    if (got[0] !== before && !choices.permit(got[0]!, make)) this.fail(`${got[0]} is not permitted; the tables say ${before}`, access);
    if (got[0] !== before) this.tally.stale++;
    this.tally.open++;
    this.adopt(access);
  }

  /** Take over what the engines marked, the same in both: A and D only. */
  private adopt(access: Access): void {
    const [ts, wasm] = this.engines as [Engine, Engine];
    for (let at = ts.different(this.words, this.world.watched); at >= 0; at = ts.different(this.words, this.world.watched)) {
      const now = ts.entry(at), was = this.words.all[at / 2]!;
      if ((now & was) !== was || (now & ~was & ~MARKS) !== 0n) this.fail(`the entry at ${(at * 4).toString(16)} became ${now.toString(16)} from ${was.toString(16)}`, access);
      this.words.all[at / 2] = now;
    }
    if (wasm.different(this.words, this.world.watched) >= 0) this.fail('wasm marks other entries', access);
  }

  private isHost(at: number): boolean {
    return at >> 10 >= 32 && at >> 10 < 47;
  }

  private fail(what: string, access: Access): never {
    const text = JSON.stringify(access, (_, v: unknown) => (typeof v === 'bigint' ? v.toString(16) : v));
    throw new Error(`${what}: ${text} by guest ${this.vm.id} under ${this.vm.stage.root.toString(16)}, PCID ${this.pcid}, after ${this.log.slice(-8).join('; ')}`);
  }

  private change(): void {
    const { world, path, r } = this, before = world.watched.map(at => this.words.all[at / 2]!);
    const at = path.length > 0 && r.chance(50) ? world.renewAt(r.pick(path)) : world.renew(), old = before[world.watched.indexOf(at)]!;
    if (this.words.all[at / 2] === old) return;
    this.changes.push({ at, old, ofHost: this.isHost(at), seen: [] });
    for (const e of this.engines) e.copy(this.words, at);
    this.log.push(`change ${(at * 4).toString(16)}`);
    if (this.r.chance(50)) this.invalidate();
  }

  private each(make: (cpu: Engine['machine']['vcpus'][number]) => void): void {
    for (const e of this.engines) make(e.machine.vcpus[0]!);
  }

  /** @param both - of the second stage's entries, too */
  private see(what: string, both: boolean, by: (where: Where) => boolean): void {
    for (const c of this.changes) if (both || !c.ofHost) c.seen.push(by);
    this.log.push(what);
    this.tally.invalidations++;
  }

  private everything(): void {
    if (this.format === 'ept') this.each(cpu => cpu.guest.invept(2, 0n));
    else this.enter(this.vm, this.pcid, 1);
    this.changes = [];
    this.log.push('everything');
  }

  private invalidate(): void {
    const { r, vm, pcid, globals } = this, va = r.chance(60) ? this.last : r.pick(this.vas), page = va >> 12n, other = r.pick(this.vms), long = this.mode !== 'flat';
    const here = (w: Where) => w.vm.id === vm.id;
    const what = r.below(long ? 9 : 4);
    if (what === 0) return this.ofHypervisor(other, va);
    if (what <= 3) return this.ofHypervisor(r.chance(70) ? vm : other, va);
    if (what === 4 || what === 5) {
      this.each(cpu => cpu.invlpg(va));
      return this.see('INVLPG', false, w => here(w) && w.pcid === pcid && w.page === page);
    }
    if (what === 6) {
      for (const e of this.engines) this.loadRoot(e, false);
      return this.see('MOV CR3', false, w => !globals && here(w) && w.pcid === pcid);
    }
    const type = r.below(4), named = r.below(PCIDS);
    this.each(cpu => this.must(cpu.invpcid(type, BigInt(named), va)));
    this.see(`INVPCID ${type}`, false, w => here(w) && (type === 2 || (!globals && (type === 3 || (w.pcid === named && (type === 1 || w.page === page))))));
  }

  /** INVEPT, INVVPID; flushes by ASID, INVLPGA. */
  private ofHypervisor(of: Vm, va: bigint): void {
    const { r, globals } = this, ofIt = (w: Where) => w.vm.id === of.id;
    if (this.format === 'npt') {
      const control = r.pick([0, 3, 7]);
      if (control === 0) {
        this.each(cpu => cpu.guest.invlpga(va, of.id));
        return this.see('INVLPGA', false, w => ofIt(w) && w.page === va >> 12n);
      }
      this.enter(of, r.below(PCIDS), control);
      return this.see(`flush ${control}`, true, w => ofIt(w) && (control === 3 || !globals));
    }
    if (r.chance(40)) {
      this.each(cpu => cpu.guest.invept(1, of.stage.root | 0x1en));
      return this.see('INVEPT', true, w => w.vm.stage.root === of.stage.root);
    }
    const type = r.below(4);
    this.each(cpu => cpu.guest.invvpid(type, of.id, va));
    this.see(`INVVPID ${type}`, false, w => type === 2 || (ofIt(w) && (type === 1 || (type === 0 && w.page === va >> 12n) || (type === 3 && !globals))));
  }
}
