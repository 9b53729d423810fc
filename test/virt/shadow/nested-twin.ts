/**
 * The kernel of a Twin a third time: in a guest under a second stage, which has all that shadows have not got, and none of what they have.
 *
 * Its memory is far up in the machine, in the same order as the shadowed guest's. Guest frames that are no memory are mapped to themselves, where the
 * machine has none either: the second stage stops nothing, and the bus is open as a machine's own is.
 */
import { EPT_PS, EPT_RWX, EPTP_LEVELS_SHIFT } from '../../../src/arch/ept.ts';
import { PTE_P, PTE_PS, PTE_RW, PTE_US } from '../../../src/arch/pte.ts';
import { Machine } from '../../../src/index.ts';
import type { MachineOptions } from '../../../src/machine/options.ts';
import type { Vcpu } from '../../../src/machine/vcpu.ts';
import { flushAsid, TLB_FLUSH_ALL } from '../../../src/virt/invalidate.ts';

const BASE = 2 ** 38, FRAME = 4096, ENTRIES = 512; // BASE is below MAXPHYADDR of 39
const ROOT = 1, LEVEL3 = 2, LEVEL2 = 3, LEVEL1 = 4; // frames from BASE
const WRITE_BACK = 6;

export class NestedTwin {
  readonly machine: Machine;
  cpu: Vcpu;
  private readonly p2m: Int32Array;
  private readonly ept: boolean;

  /** @param p2m - machine frames, from 0, which are moved to BASE */
  constructor(options: MachineOptions, bytes: number, p2m: Int32Array, scrambled: boolean) {
    this.ept = options.features?.amd !== true;
    this.p2m = p2m;
    this.machine = Machine.create({ ...options, nested: true, extents: [{ base: BASE, bytes }] });
    this.cpu = this.machine.vcpus[0]!;
    this.build(scrambled);
    for (const { guest } of this.machine.vcpus) {
      guest.enter(this.ept ? { format: 'ept', eptp: BigInt(BASE + ROOT * FRAME) | BigInt(WRITE_BACK | 3 << EPTP_LEVELS_SHIFT), vpid: 1 } : { format: 'npt', ncr3: BigInt(BASE + ROOT * FRAME) });
    }
  }

  /** Guest-physical address of a machine address. */
  physical(paddr: bigint, gfnOf: ReadonlyMap<number, number>): bigint {
    if (paddr < BigInt(BASE)) return paddr;
    const gfn = gfnOf.get(Number(paddr - BigInt(BASE) >> 12n));
    return gfn === undefined ? -1n : BigInt(gfn) << 12n | paddr & 0xfffn;
  }

  read(gpa: number, out: Uint8Array): void {
    this.machine.read(this.at(gpa), out);
  }

  write(gpa: number, data: Uint8Array): void {
    this.machine.write(this.at(gpa), data);
  }

  /** To be called when the P2M says something else about a guest frame: it has these bytes, and is elsewhere. */
  move(gfn: number, bytes: Uint8Array): void {
    this.link(LEVEL2, gfn >> 9, LEVEL1 + (gfn >> 9));
    this.leaf(gfn);
    this.write(gfn * FRAME, bytes);
    for (const { block } of this.machine.vcpus) flushAsid(this.machine.views.w, block >>> 2, TLB_FLUSH_ALL, 0);
  }

  private at(gpa: number): bigint {
    return BigInt(BASE + this.p2m[gpa >>> 12]! * FRAME + gpa % FRAME);
  }

  private put(table: number, slot: number, address: number, flags: number): void {
    const data = new Uint8Array(8);
    new DataView(data.buffer).setBigUint64(0, BigInt(address) | BigInt(flags), true);
    this.machine.write(BigInt(BASE + table * FRAME + slot * 8), data);
  }

  private link(table: number, slot: number, below: number): void {
    this.put(table, slot, BASE + below * FRAME, this.ept ? EPT_RWX : PTE_P | PTE_RW | PTE_US);
  }

  private large(table: number, slot: number, address: number): void {
    this.put(table, slot, address, this.ept ? EPT_RWX | WRITE_BACK << 3 | EPT_PS : PTE_P | PTE_RW | PTE_US | PTE_PS);
  }

  private leaf(gfn: number): void {
    this.put(LEVEL1 + (gfn >> 9), gfn % ENTRIES, BASE + this.p2m[gfn]! * FRAME, this.ept ? EPT_RWX | WRITE_BACK << 3 : PTE_P | PTE_RW | PTE_US);
  }

  private build(scrambled: boolean): void {
    this.link(ROOT, 0, LEVEL3);
    this.link(LEVEL3, 0, LEVEL2);
    for (let k = 1; k < ENTRIES; k++) this.large(LEVEL3, k, k * 2 ** 30);
    for (let gfn = 0; gfn < this.p2m.length; gfn++) this.leaf(gfn);
    for (let k = 0; k < ENTRIES; k++) {
      const first = this.p2m[k * ENTRIES];
      if (first === undefined) this.large(LEVEL2, k, k * 2 ** 21);
      else if (scrambled || first % ENTRIES !== 0) this.link(LEVEL2, k, LEVEL1 + k);
      else this.large(LEVEL2, k, BASE + first * FRAME);
    }
  }
}
