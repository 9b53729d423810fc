/** Domains that run beside each other, each with a small kernel of its own: what split drivers need of one. After every call all is audited. */
import { ACCESS_READ, ACCESS_USER, ACCESS_WRITE } from '../../../src/arch/fault.ts';
import { Machine } from '../../../src/machine/machine.ts';
import type { Vcpu } from '../../../src/machine/vcpu.ts';
import { writeEntry } from '../../../src/memory/entry.ts';
import { wordOf } from '../../../src/memory/extents.ts';
import type { Domain } from '../../../src/xen/domain.ts';
import {
  GNTMAP_host_map, GNTMAP_readonly, GNTTABOP_copy, GNTTABOP_map_grant_ref, GNTTABOP_set_version, GNTTABOP_unmap_grant_ref,
} from '../../../src/xen/grant-numbers.ts';
import { GuestGrants } from '../../../src/xen/guest-grants.ts';
import { Hypervisor } from '../../../src/xen/hypervisor.ts';
import { HYPERVISOR_event_channel_op, HYPERVISOR_grant_table_op, HYPERVISOR_update_va_mapping } from '../../../src/xen/numbers.ts';
import type { RingPage } from '../../../src/xen/ring.ts';
import { struct } from '../grant-struct.ts';

const FRAME = 4096, EACH = 256, OWN = 2048, TABLES = 5, MOST = 4;
const VA = 0x4000_0000n, WINDOW = VA + 512n * 4096n; // a kernel sees its frames from VA on, what it maps of others' from WINDOW on
const P = 1n, RW = 2n, US = 4n;
const PENDING = 0x800 >>> 2, MASK = 0xa00 >>> 2; // words of the shared info
export const INVALID_PORT = 0;

/** A grant of another domain's as it is mapped. */
export interface Mapping {
  readonly va: bigint;
  readonly handle: number;
  readonly slot: number;
}

/** What a kernel has done. */
export interface Tally { mapped: number; unmapped: number; copied: number; sent: number }

/** The machine and its hypervisor. */
export class Host {
  readonly machine: Machine;
  readonly xen: Hypervisor;
  private readonly count: number;

  constructor(vcpus: number) {
    this.count = EACH * (MOST + 1);
    this.machine = Machine.create({ extents: [{ base: 0, bytes: (this.count + OWN) * FRAME }], mode: 'functional', paging: 'none', vcpus });
    this.xen = Hypervisor.create(this.machine, { frames: this.count, own: { first: this.count, frames: OWN }, ioFrames: 16 });
  }

  audit(): void {
    const complaints = this.xen.audit();
    if (complaints.length > 0) throw new Error(complaints.join('\n'));
  }

  /** Word index of a frame. */
  word(mfn: number): number { return wordOf(this.machine.views, 0, mfn * FRAME); }

  destroy(kernel: Kernel): void {
    this.xen.destroyDomain(kernel.id);
    this.audit();
  }

  /** What grants and ports are in use: none once everything is over. */
  leftovers(...kernels: Kernel[]): { pinned: number; ports: number; free: number[] } {
    let pinned = 0, ports = 0;
    for (const { domain } of kernels) {
      for (let ref = 0; ref < domain.grants.entries; ref++) if (domain.grants.active.pin(ref) !== 0) pinned++;
      for (let port = 1; port < (domain.events?.valid ?? 0); port++) if (domain.events!.port(port).usable) ports++;
    }
    return { pinned, ports, free: kernels.map(k => k.pages.length) };
  }
}

export interface KernelOptions { readonly privileged?: boolean; readonly pages?: number; readonly maxPages?: number; readonly vcpus?: number; readonly pirqs?: number }

export class Kernel {
  readonly id: number;
  readonly host: Host;
  readonly cpu: Vcpu;
  readonly domain: Domain;
  grants: GuestGrants;
  readonly tally: Tally = { mapped: 0, unmapped: 0, copied: 0, sent: 0 };
  /** Frames that are free. */
  readonly pages: number[] = [];
  private readonly first: number;
  private readonly windows: number[] = Array.from({ length: 512 }, (_, k) => 511 - k);

  /** @param slot - which frames and which vCPU of the machine it gets, and the next ones if it has several */
  constructor(host: Host, id: number, slot: number, options: KernelOptions = {}) {
    const { privileged = false, pages = 128, maxPages = pages, vcpus = 1, pirqs = 0 } = options;
    this.host = host;
    this.id = id;
    this.first = EACH * (slot + 1);
    this.cpu = host.machine.vcpus[slot]!;
    const { first } = this, put = (table: number, at: number, mfn: number, flags: bigint) => writeEntry(host.machine.views, (first + table) * FRAME + at * 8, (BigInt(mfn) << 12n) | flags);
    host.machine.views.u8.fill(0, host.word(first) * 4, host.word(first + TABLES) * 4);
    put(0, 0, first + 1, P | RW | US);
    put(1, 1, first + 2, P | RW | US);
    for (const k of [0, 1]) put(2, k, first + 3 + k, P | RW | US);
    for (let k = 0; k < pages; k++) put(3, k, first + k, k < TABLES ? P | US : P | RW | US);
    const grantFrames = [16 + slot * 8, 17 + slot * 8];
    this.domain = host.xen.createDomain({ id, privileged, maxPages, p2m: [[0, first, pages]], sharedInfo: 18 + slot * 8, maxVcpus: vcpus, pirqs, grants: { frames: grantFrames } });
    host.machine.views.u8.fill(0, host.word(16 + slot * 8) * 4, host.word(19 + slot * 8) * 4);
    this.grants = new GuestGrants(host.machine, { frames: grantFrames });
    for (let k = 0; k < vcpus; k++) host.xen.startVcpu(this.domain, host.machine.vcpus[slot + k]!, first);
    for (let k = pages; k-- > TABLES + 1;) this.pages.push(first + k);
    host.audit();
  }

  /** A free frame, zeroed. */
  take(): number {
    const mfn = this.pages.pop();
    if (mfn === undefined) throw new Error('no page');
    this.bytes(mfn).fill(0);
    return mfn;
  }

  /** Where a frame of its own is in machine memory. */
  page(mfn: number): RingPage { return { buffer: this.host.machine.views.memory.buffer, offset: this.host.word(mfn) * 4 }; }
  bytes(mfn: number): Uint8Array { return new Uint8Array(this.host.machine.views.memory.buffer, this.host.word(mfn) * 4, FRAME); }

  /** Where the kernel sees a frame that it began with; a window that nothing is mapped at; and the frame that calls' structures are in. */
  address(mfn: number): bigint { return VA + BigInt((mfn - this.first) * FRAME); }
  window(): bigint { return WINDOW + BigInt(this.windows.pop()! * FRAME); }
  get argument(): bigint { return VA + BigInt(TABLES * FRAME); }
  bytesAt(offset: number): DataView { return new DataView(this.bytes(this.first + TABLES).buffer, this.page(this.first + TABLES).offset + offset); }

  /** Change the entry that maps an address. */
  update(va: bigint, entry: bigint): void {
    const rc = this.host.xen.hypercall(this.cpu, HYPERVISOR_update_va_mapping, va, entry, 2n);
    if (rc !== 0n) throw new Error(`update_va_mapping: ${rc}`);
    this.host.audit();
  }

  /** Where an address is that the kernel has mapped, by its own tables. */
  reach(va: bigint, write = true): RingPage {
    const result = this.cpu.translate(va, ACCESS_USER | (write ? ACCESS_WRITE : ACCESS_READ));
    if (!result.ok) throw new Error(`domain ${this.id} does not reach 0x${va.toString(16)}`);
    return { buffer: this.host.machine.views.memory.buffer, offset: wordOf(this.host.machine.views, 0, Number(result.paddr)) * 4 };
  }

  /** Make a call on structures, which are in the frame behind the tables. @returns its result, and the structures as they are then */
  call(nr: number, command: number, ...ops: Uint8Array[]): { readonly rc: number; readonly out: readonly DataView[] } {
    const data = this.bytes(this.first + TABLES), at = this.argument;
    let offset = 0;
    const places = ops.map(op => {
      data.set(op, offset);
      return [offset, (offset += op.length)] as const;
    });
    const rc = Number(this.host.xen.hypercall(this.cpu, nr, BigInt(command), at, BigInt(ops.length)));
    this.host.audit();
    return { rc, out: places.map(([from, to]) => new DataView(data.slice(from, to).buffer)) };
  }

  private fine({ rc, out }: ReturnType<Kernel['call']>): readonly DataView[] {
    if (rc !== 0) throw new Error(`domain ${this.id}: ${rc}`);
    return out;
  }

  /** Use version 2 of the grant table: before anything is granted. */
  version2(): void {
    this.fine(this.call(HYPERVISOR_grant_table_op, GNTTABOP_set_version, struct([[4, 2]])));
    const { frames, statusFrames } = this.domain.grants;
    this.grants = new GuestGrants(this.host.machine, { frames: [...frames], statusFrames: [...statusFrames] });
  }

  /** Map grants, all in one call. */
  map(from: number, refs: readonly number[], readonly = false): Mapping[] {
    const slots = refs.map(() => this.windows.pop()!), flags = GNTMAP_host_map | (readonly ? GNTMAP_readonly : 0);
    const ops = refs.map((ref, k) => struct([[8, WINDOW + BigInt(slots[k]! * FRAME)], [4, flags], [4, ref], [2, from], [2, 0], [4, 0], [8, 0]]));
    const out = this.fine(this.call(HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref, ...ops));
    return out.map((view, k) => {
      if (view.getInt16(18, true) !== 0) throw new Error(`map: ${view.getInt16(18, true)}`);
      this.tally.mapped++;
      return { va: WINDOW + BigInt(slots[k]! * FRAME), handle: view.getUint32(20, true), slot: slots[k]! };
    });
  }

  unmap(mappings: readonly Mapping[]): void {
    const ops = mappings.map(({ va, handle }) => struct([[8, va], [8, 0], [4, handle], [2, 0], [2, 0]]));
    for (const view of this.fine(this.call(HYPERVISOR_grant_table_op, GNTTABOP_unmap_grant_ref, ...ops))) {
      if (view.getInt16(20, true) !== 0) throw new Error(`unmap: ${view.getInt16(20, true)}`);
    }
    this.tally.unmapped += mappings.length;
    for (const { slot } of mappings) this.windows.push(slot);
  }

  /** Copy, all in one call: each side is `[domain, reference]`, or a frame of its own; with an offset. @returns the statuses */
  copy(...copies: readonly { from: number | readonly [number, number]; at?: number; to: number | readonly [number, number]; toAt?: number; bytes: number }[]): number[] {
    const side = (what: number | readonly [number, number], at = 0): [number, number][] =>
      typeof what === 'number' ? [[8, what], [2, 0x7ff0], [2, at], [4, 0]] : [[8, what[1]], [2, what[0]], [2, at], [4, 0]];
    const ops = copies.map(({ from, at, to, toAt, bytes }) =>
      struct([...side(from, at), ...side(to, toAt), [2, bytes], [2, (typeof from === 'number' ? 0 : 1) | (typeof to === 'number' ? 0 : 2)], [2, 0], [2, 0]]));
    const statuses = this.fine(this.call(HYPERVISOR_grant_table_op, GNTTABOP_copy, ...ops)).map(view => view.getInt16(36, true));
    this.tally.copied += statuses.filter(status => status === 0).length;
    return statuses;
  }

  private event(command: number, ...words: number[]): DataView {
    const data = struct([...words, ...Array<number>(6 - words.length).fill(0)].map(word => [4, word] as const));
    return this.fine(this.call(HYPERVISOR_event_channel_op, command, data))[0]!;
  }

  /** A port that a domain may bind to. */
  offer(to: number): number { return this.event(6, 0x7ff0 | (to << 16)).getUint32(4, true); }
  /** Bind to another's port. */
  bind(remote: number, port: number): number { return this.event(0, remote, port).getUint32(8, true); }
  close(port: number): void { this.event(3, port); }
  moveTo(port: number, vcpu: number): void { this.event(8, port, vcpu); }
  unmask(port: number): void { this.event(9, port); }
  setMask(port: number): void { Atomics.or(this.host.machine.views.w, this.host.word(this.domain.sharedInfo) + MASK + (port >>> 5), 1 << (port & 31)); }

  /** Go over to the FIFO format. @returns word indices of the vCPUs' control blocks, and of the event array */
  useFifo(vcpus: number): { readonly controls: readonly number[]; readonly array: number } {
    const frames = Array.from({ length: vcpus + 1 }, () => this.take());
    for (let vcpu = 0; vcpu < vcpus; vcpu++) this.event(11, frames[vcpu]!, 0, 0, vcpu);
    this.event(12, frames[vcpus]!, 0);
    return { controls: frames.slice(0, vcpus).map(mfn => this.host.word(mfn)), array: this.host.word(frames[vcpus]!) };
  }

  send(port: number): void {
    this.tally.sent++;
    this.event(4, port);
  }

  /**
   * Take the events that came, in the two-level format.
   *
   * @param mine - those that the vCPU looks at, by words of pending bits: others it leaves as they are
   * @returns their ports; none while the upcall bit is clear
   */
  events(vcpu = 0, mine: (word: number) => number = () => -1): number[] {
    const { w } = this.host.machine.views, shared = this.host.word(this.domain.sharedInfo), info = shared + vcpu * 16, ports: number[] = [];
    if ((Atomics.and(w, info, ~0xff) & 0xff) === 0) return ports;
    for (const half of [0, 1]) {
      const selector = Atomics.exchange(w, info + 2 + half, 0);
      for (let n = half * 64; n < half * 64 + 64; n++) {
        if (((selector >>> ((n >>> 1) & 31)) & 1) === 0) continue;
        const ready = Atomics.load(w, shared + PENDING + n) & ~Atomics.load(w, shared + MASK + n) & mine(n);
        Atomics.and(w, shared + PENDING + n, ~ready);
        for (let bit = 0; bit < 32; bit++) if (((ready >>> bit) & 1) !== 0) ports.push(n * 32 + bit);
      }
    }
    return ports;
  }
}
