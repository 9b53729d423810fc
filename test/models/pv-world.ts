/**
 * A machine with a domain 0 of a few frames, and beside it a paravirtualized guest with some of everything that a saved domain has: several
 * roots, tables that are pinned and such that are not, entries that are not present but not 0, descriptors, an LDT, traps.
 */
import { Machine } from '../../src/index.ts';
import type { Vcpu } from '../../src/machine/vcpu.ts';
import { readEntry, writeEntry } from '../../src/memory/entry.ts';
import type { Domain } from '../../src/xen/domain.ts';
import { Hypervisor } from '../../src/xen/hypervisor.ts';
import {
  DOMID_SELF, HYPERVISOR_mmu_update, HYPERVISOR_mmuext_op, HYPERVISOR_set_gdt, HYPERVISOR_set_segment_base, HYPERVISOR_set_trap_table, HYPERVISOR_stack_switch,
} from '../../src/xen/numbers.ts';
import { DATA, P, READ, TABLE } from '../xen/guest.ts';

const MEMORY = 2048, OWN = 1200, FIRST0 = 0x200, FRAMES0 = 16;
export const PAGES = 256; // of the guest
export const FIRST = 0x400;
export const SHARED = 0x180; // frame of its shared info
const KERNEL = 1n << 52n, GDT_PFN = 40;
/** Tables are the guest's first frames, data from here on. */
export const DATA_PFN = 32;
const USER_VA = 0x10000000n;

export class PvWorld {
  readonly machine: Machine;
  readonly xen: Hypervisor;
  readonly wide: boolean;
  readonly base: bigint;
  readonly dom0: Domain;
  guest: Domain | undefined;

  constructor(wide: boolean, budget = Infinity) {
    this.wide = wide;
    this.machine = Machine.create({ extents: [{ base: 0, bytes: (MEMORY + OWN) * 4096 }], mode: 'functional', paging: 'none', vcpus: 2, engine: 'ts' });
    this.xen = Hypervisor.create(this.machine, { frames: MEMORY, own: { first: MEMORY, frames: OWN }, budget });
    this.base = wide ? 0xffffffff80000000n : 0x40000000n;
    const root = this.build(FIRST0, FRAMES0, pfn => pfn);
    this.dom0 = this.xen.createDomain({ id: 0, privileged: true, is32: !wide, p2m: [[0, FIRST0, FRAMES0]] });
    this.xen.startVcpu(this.dom0, this.cpus[0]!, root);
  }

  get cpus(): readonly Vcpu[] { return this.machine.vcpus; }
  get cpu(): Vcpu { return this.machine.vcpus[1]!; }
  get toolstack() { return { cpu: this.cpus[0]!, arguments: this.va(FRAMES0 - 1) }; }
  /** Where a kernel sees its page. */
  va(pfn: number): bigint { return this.base + BigInt(pfn * 4096); }
  mfn(pfn: number): number { return this.guestFrames.get(pfn)!; }

  get guestFrames(): Map<number, number> {
    const { host } = this.xen, found = new Map<number, number>();
    for (let mfn = 0; mfn < MEMORY; mfn++) if (host.frames.owner(mfn) === this.guest!.id && host.frames.refs(mfn) > 0) found.set(host.m2p.lo(mfn), mfn);
    return found;
  }

  /** Tables that map pages 0 up at `base`, in the first frames. @returns the root */
  private build(first: number, pages: number, mfnOf: (pfn: number) => number): number {
    const put = (table: number, slot: number, pfn: number, flags: bigint) => writeEntry(this.machine.views, mfnOf(table) * 4096 + (first === FIRST0 ? FIRST0 * 4096 : 0) + slot * 8, (BigInt(mfnOf(pfn) + (first === FIRST0 ? FIRST0 : 0)) << 12n) | flags);
    const l1 = this.wide ? 3 : 5;
    if (this.wide) {
      put(0, 511, 1, TABLE);
      put(1, 510, 2, TABLE);
      put(2, 0, l1, TABLE);
    } else {
      for (let k = 0; k < 4; k++) put(0, k, 1 + k, P);
      put(2, 0, l1, TABLE);
    }
    for (let pfn = 0; pfn < pages; pfn++) put(l1, pfn, pfn, (this.wide ? KERNEL : 0n) | (pfn <= l1 || (pages > FRAMES0 && (pfn < DATA_PFN || pfn === GDT_PFN)) ? READ : DATA));
    return mfnOf(0) + (first === FIRST0 ? FIRST0 : 0);
  }

  /** Make the guest, by hand and by its hypercalls. */
  start(seed = 1): void {
    const mfn = (pfn: number) => FIRST + pfn, { views } = this.machine, entry = (pfn: number, flags: bigint) => (BigInt(mfn(pfn)) << 12n) | flags;
    for (let pfn = DATA_PFN; pfn < PAGES; pfn++) for (let word = 0; word < 512; word += 7) writeEntry(views, mfn(pfn) * 4096 + word * 8, BigInt.asUintN(64, BigInt(pfn * 512 + word + seed) * 0x9e3779b97f4a7c15n));
    for (let k = 0; k < 512; k++) writeEntry(views, mfn(GDT_PFN) * 4096 + k * 8, 0x00cf_f300_0000_ffffn); // descriptors: flat data of ring 3
    const root = this.build(FIRST, PAGES, mfn), table = (pfn: number, slot: number, value: bigint) => writeEntry(views, mfn(pfn) * 4096 + slot * 8, value);
    const other = 10; // a second address space
    if (this.wide) {
      table(other, 0, entry(11, TABLE));
      table(other, 511, entry(1, TABLE));
      table(11, 0, entry(12, TABLE));
      table(12, 128, entry(13, TABLE));
    } else {
      for (let k = 0; k < 4; k++) table(other, k, entry(14 + k, P));
      table(15, 0, entry(5, TABLE));
      table(14, 128, entry(13, TABLE));
    }
    for (let k = 0; k < 20; k++) table(13, k * 3, entry(DATA_PFN + 20 + k, k % 2 ? DATA : READ));
    table(13, 1, 0xdeadbeefn << 12n); //  swapped out: not present
    table(13, 2, entry(50, DATA & ~P)); // ... and like a machine frame
    for (let k = 0; k < 9; k++) table(20, k, entry(60 + k, READ)); // a level-1 table that no one uses
    const guest = this.guest = this.xen.createDomain({ id: 7, is32: !this.wide, p2m: [[0, FIRST, PAGES]], maxPages: 300, sharedInfo: SHARED });
    this.xen.startVcpu(guest, this.cpu, root);
    this.ext(this.wide ? 3 : 2, mfn(other));
    this.ext(0, mfn(20));
    this.ext(4, root); // in use, and not pinned
    if (this.wide) {
      this.table4Linear(other, mfn);
      this.ext(15, mfn(other));
      this.call(HYPERVISOR_set_segment_base, 0n, 0x7fff12345000n);
    }
    this.call(HYPERVISOR_set_gdt, this.args(BigInt(mfn(GDT_PFN))), 300n);
    this.ext(13, this.va(41), 64n);
    this.call(HYPERVISOR_stack_switch, this.wide ? 0xe02bn : 0xe021n, this.wide ? 0xffffffff80012345n : 0x40012345n);
    this.call(HYPERVISOR_set_trap_table, this.wide ? this.args(14n | (4n << 8n) | (0xe033n << 16n), 0xffffffff80001000n, 0n, 0n) : this.args(14n | (0xe019n << 16n), 0x40001000n, 0n, 0n));
  }

  /** An entry of a root table that is the table itself, read-only. */
  private table4Linear(pfn: number, mfn: (pfn: number) => number): void {
    this.update(mfn(pfn), 300, (BigInt(mfn(pfn)) << 12n) | READ);
  }

  /** Put words where calls of the guest read them: the last page. @returns their address */
  args(...words: bigint[]): bigint {
    const bytes = this.wide ? 8 : 4, data = new Uint8Array(words.length * bytes), view = new DataView(data.buffer);
    words.forEach((word, k) => { if (bytes === 8) view.setBigUint64(k * 8, word, true); else view.setUint32(k * 4, Number(word), true); });
    if (this.xen.write(this.cpu, this.va(PAGES - 1), data) !== 0) throw new Error('arguments');
    return this.va(PAGES - 1);
  }

  call(nr: number, ...args: bigint[]): void {
    const rc = this.xen.hypercall(this.cpu, nr, ...args);
    if (rc !== 0n) throw new Error(`hypercall ${nr}: ${rc}`);
  }

  ext(command: number, arg1: number | bigint, arg2 = 0n): void {
    this.call(HYPERVISOR_mmuext_op, this.args(BigInt(command), BigInt(arg1), arg2), 1n, 0n, BigInt(DOMID_SELF));
  }

  update(mfn: number, slot: number, value: bigint): void {
    const at = (BigInt(mfn) << 12n) | BigInt(slot * 8);
    this.call(HYPERVISOR_mmu_update, this.wide ? this.args(at, value) : this.args(at & 0xffffffffn, at >> 32n, value & 0xffffffffn, value >> 32n), 1n, 0n, BigInt(DOMID_SELF));
  }

  /** What every address of the guest leads to by its roots, in pseudo-physical terms. */
  outcomes(): string[] {
    const { host } = this.xen, found: string[] = [], guest = this.guest!.vcpus[0]!;
    const roots = this.wide ? [guest.root, guest.userRoot] : [guest.root];
    for (const root of roots) for (const kind of [0, 2, 4, 6, 16]) {
      for (let page = 0; page < PAGES + 2; page++) for (const va of [this.va(page), USER_VA + BigInt(page * 4096), 0x4000_0000n * 4n * BigInt(page)]) {
        const probe = this.cpu.probe(va & (this.wide ? -1n : 0xffffffffn) & 0xffffffffffffffffn, kind, { root: BigInt(root) << 12n });
        if (!probe.ok) found.push(`${probe.vector}/${probe.errorCode}`);
        else found.push(`${host.m2p.lo(Number(probe.paddr >> 12n))}+${probe.paddr & 0xfffn}/${probe.pageBytes}`);
      }
    }
    return found;
  }

  /** Pages of data, by pseudo-physical frame. */
  hashes(): bigint[] {
    return Array.from({ length: PAGES - DATA_PFN }, (_, k) => this.machine.pages.hash(BigInt(this.mfn(DATA_PFN + k)) << 12n));
  }

  entry(mfn: number, slot: number): bigint {
    return readEntry(this.machine.views, mfn * 4096 + slot * 8);
  }
}
