/**
 * Several domains that all run, each on a vCPU of its own, with few frames, a grant table and a shared info page: for what domains do to each
 * other. Every call is followed by the audit.
 */
import { FRAME_STAMP, FRAME_STRIDE } from '../../src/layout/frame.ts';
import { Machine } from '../../src/machine/machine.ts';
import type { EngineChoice, MachineOptions } from '../../src/machine/options.ts';
import type { Vcpu } from '../../src/machine/vcpu.ts';
import { readEntry, writeEntry } from '../../src/memory/entry.ts';
import type { Domain } from '../../src/xen/domain.ts';
import { GNTTABOP_copy, GNTTABOP_map_grant_ref, GNTTABOP_set_version, GNTTABOP_transfer, GNTTABOP_unmap_grant_ref } from '../../src/xen/grant-numbers.ts';
import type { GrantLimits } from '../../src/xen/grant-table.ts';
import { Hypervisor } from '../../src/xen/hypervisor.ts';
import type { HypervisorOptions } from '../../src/xen/hypervisor-options.ts';
import {
  HYPERVISOR_event_channel_op, HYPERVISOR_grant_table_op, HYPERVISOR_mmuext_op, HYPERVISOR_update_va_mapping, DOMID_SELF,
} from '../../src/xen/numbers.ts';
import { copyOp, copyStatus, MAP_STATUS, mapOp, struct, transferOp, transferStatus, UNMAP_STATUS, unmapOp, type CopySide } from './grant-struct.ts';
import { DATA, READ, TABLE, P, entryOf } from './guest.ts';

const FRAMES = 0xa00, OWN = 0x600;
const FIRST = 0x400, EACH = 0x60;
/** Frames of a domain; its kernel sees frame `k` in page `k`. */
export const OWNED = 64;
const SHARED = 0x300, TABLES = 0x310, PLACES = 16;
const ARGS = OWNED - 1; // frame of a domain that its calls' structures are in
/** A domain's first frame that is no table; up to the last but one they are data. */
export const DATA_FRAME = 8;
/** The first page of a domain that maps nothing. */
export const SPARE = OWNED;

export interface TenantsOptions extends Partial<HypervisorOptions> {
  readonly wide?: boolean;
  readonly engine?: EngineChoice;
  readonly domains?: number;
  readonly privileged?: readonly number[];
  readonly grants?: GrantLimits;
  readonly maxEventPort?: number;
  /** vCPUs of each domain; all but the first never run. */
  readonly maxVcpus?: number;
  /** vCPUs of the first domain that run. */
  readonly running?: number;
}

export class Tenants {
  readonly machine: Machine;
  /** With which other threads would attach to its memory. */
  readonly machineOptions: MachineOptions;
  xen: Hypervisor;
  readonly wide: boolean;
  readonly list: Tenant[];
  readonly options: TenantsOptions;
  /** Is the audit made after each call? Off for long preparations. */
  audited = true;

  constructor(options: TenantsOptions = {}) {
    const { wide = true, engine = 'ts', domains = 2, privileged: _, grants: __, maxEventPort: ___, maxVcpus: ____, running = 1, ...rest } = options;
    this.options = options;
    this.wide = wide;
    this.machineOptions = { extents: [{ base: 0, bytes: (FRAMES + OWN) * 4096 }], mode: 'functional', paging: 'none', openBus: 0, engine, vcpus: domains + running - 1 };
    this.machine = Machine.create(this.machineOptions);
    this.xen = Hypervisor.create(this.machine, { frames: FRAMES, own: { first: FRAMES, frames: OWN }, ...rest });
    this.list = Array.from({ length: domains }, (_x, k) => new Tenant(this, k, k));
    for (let k = 1; k < running; k++) this.list[0]!.run(this.machine.vcpus[domains + k - 1]!);
  }

  /** How calls are made: here to their end. */
  dispatch(cpu: Vcpu, nr: number, args: readonly bigint[]): number {
    return Number(this.xen.hypercall(cpu, nr, ...args));
  }

  /** Machine memory was made what it was: so is all else. @param list - the domains of then */
  rewound(list: readonly Tenant[]): void {
    this.machine.views.look();
    this.xen = Hypervisor.attach(this.machine);
    this.list.splice(0, Infinity, ...list.map(t => t.on(t.cpu)));
  }

  /** What does not hold is an error. */
  check(): void {
    const complaints = this.audited ? this.xen.audit() : [];
    if (complaints.length > 0) throw new Error(complaints.join('; '));
  }

  /** Every byte that a domain can reach or has given, and the frame table but for the ticks of the clock of flushes: for "nothing changed". */
  state(): Buffer {
    const { views } = this.machine, { frames } = this.xen.host, at = views.lowWord * 4, row = FRAME_STRIDE >>> 2;
    const rows = views.w.slice(frames.rows, frames.rows + frames.count * row);
    for (let mfn = 0; mfn < frames.count; mfn++) if (frames.typeCount(mfn) === 0) rows[mfn * row + (FRAME_STAMP >>> 2)] = 0;
    return Buffer.concat([views.u8.slice(at + SHARED * 4096, at + (FIRST + this.list.length * EACH) * 4096), Buffer.from(rows.buffer)]);
  }

  /**
   * The vCPU of one that is destroyed goes to another domain, with other frames, as others may still map its own, and another number.
   *
   * @param reuse - with the same number, if that is free
   */
  replace(index: number, id: number, reuse = false): Tenant {
    const { cpu, id: dead } = this.list[index], { frames } = this.xen.host;
    this.xen.destroyDomain(dead);
    this.check();
    const isFree = (place: number): boolean => [SHARED + place, TABLES + place, ...Array.from({ length: OWNED }, (_, k) => FIRST + place * EACH + k)].every(mfn => frames.isFree(mfn));
    const place = Array.from({ length: PLACES }, (_, k) => k).find(isFree);
    if (place === undefined) throw new Error('no place for another domain');
    this.list[index] = new Tenant(this, reuse && this.xen.host.domain(dead) === undefined ? dead : id, place, cpu);
    this.check();
    return this.list[index];
  }
}

export class Tenant {
  readonly world: Tenants;
  readonly id: number;
  readonly domain: Domain;
  readonly cpu: Vcpu;
  readonly first: number;
  readonly sharedInfo: number;
  private readonly base: bigint;
  readonly level1: number;
  private readonly root: number;

  constructor(world: Tenants, id: number, place: number, cpu = world.machine.vcpus[place]!) {
    const { wide, xen, options } = world;
    this.world = world;
    this.id = id;
    this.cpu = cpu;
    this.sharedInfo = SHARED + place;
    this.first = FIRST + place * EACH;
    this.base = wide ? 0xffffffff80000000n : 0x40000000n;
    this.level1 = this.first + (wide ? 3 : 5);
    this.root = this.first;
    this.build();
    this.domain = xen.createDomain({
      id, is32: !wide, privileged: options.privileged?.includes(id) ?? false, p2m: [[0, this.first, OWNED]], maxPages: OWNED + 4, sharedInfo: this.sharedInfo,
      maxVcpus: options.maxVcpus ?? 1, grants: { ...options.grants, frames: [TABLES + place] }, ...(options.maxEventPort === undefined ? {} : { maxEventPort: options.maxEventPort }),
    });
    world.machine.write(BigInt(this.sharedInfo) * 4096n, new Uint8Array(4096));
    world.machine.write(BigInt(TABLES + place) * 4096n, new Uint8Array(4096));
    this.run(cpu);
    while (this.domain.vcpus.length < this.domain.maxVcpus) this.domain.addVcpu();
  }

  run(cpu: Vcpu): void {
    if (this.domain.vcpus.length > 0 && this.domain.vcpus.at(-1)!.cpu === undefined) this.domain.dropVcpus(1);
    this.world.xen.startVcpu(this.domain, cpu, this.root);
  }

  /** The same domain as it is now, its calls made by another vCPU. */
  on(cpu: Vcpu): Tenant {
    return Object.assign(Object.create(Tenant.prototype) as Tenant, this, { cpu, domain: this.world.xen.host.domain(this.id)! });
  }

  /** Tables, written before the hypervisor knows of them. */
  private build(): void {
    const { wide, machine: { views } } = this.world, { first } = this, put = (table: number, slot: number, value: bigint) => writeEntry(views, table * 4096 + slot * 8, value);
    for (let k = 0; k < OWNED; k++) this.world.machine.write(BigInt(first + k) * 4096n, new Uint8Array(4096));
    if (wide) [[0, 511], [1, 510], [2, 0]].forEach(([k, slot]) => put(first + k!, slot!, entryOf(first + k! + 1, TABLE)));
    else [1, 2, 3, 4].forEach(k => put(first, k - 1, entryOf(first + k, P)));
    if (!wide) put(first + 2, 0, entryOf(first + 5, TABLE));
    for (let k = 0; k < OWNED; k++) put(this.level1, k, entryOf(first + k, (k < DATA_FRAME ? READ : DATA) | (wide ? 1n << 52n : 0n)));
  }

  /** A frame of the domain's; from DATA_FRAME on they are data. */
  frame(k: number): number { return this.first + k; }
  /** Where the kernel sees page `k`. */
  va(k: number): bigint { return this.base + BigInt(k) * 4096n; }
  /** The level-1 entry of page `k`, and its machine address. */
  entry(k: number): bigint { return readEntry(this.world.machine.views, this.level1 * 4096 + k * 8); }
  entryAddress(k: number): bigint { return BigInt(this.level1 * 4096 + k * 8); }

  call(nr: number, ...args: bigint[]): number {
    const rc = this.world.dispatch(this.cpu, nr, args);
    this.world.check();
    return rc;
  }

  /** Leave bytes where calls read them. @returns their address */
  leave(data: Uint8Array, offset = 0): bigint {
    this.world.machine.write(BigInt(this.frame(ARGS)) * 4096n + BigInt(offset), data);
    return this.va(ARGS) + BigInt(offset);
  }

  taken(length: number, offset = 0): DataView {
    const data = new Uint8Array(length);
    this.world.machine.read(BigInt(this.frame(ARGS)) * 4096n + BigInt(offset), data);
    return new DataView(data.buffer);
  }

  /** grant_table_op on operations given as bytes. @returns its result, and the operations as they are then */
  grantOp(command: number, ...ops: readonly Uint8Array[]): { readonly rc: number; readonly out: readonly DataView[] } {
    let at = 0;
    for (const data of ops) {
      this.leave(data, at);
      at += data.length;
    }
    const rc = this.call(HYPERVISOR_grant_table_op, BigInt(command), this.va(ARGS), BigInt(ops.length));
    at = 0;
    return { rc, out: ops.map(({ length }) => this.taken(length, (at += length) - length)) };
  }

  /** event_channel_op on words. @returns its result, and the words as they are then */
  event(command: number, ...words: number[]): { readonly rc: number; readonly out: readonly number[] } {
    const at = this.leave(struct(Array.from({ length: 6 }, (_, k) => [4, (words[k] ?? 0) >>> 0] as const)));
    const rc = this.call(HYPERVISOR_event_channel_op, BigInt(command), at), view = this.taken(24);
    return { rc, out: Array.from({ length: 6 }, (_, k) => view.getInt32(k * 4, true)) };
  }

  /** Write an entry of the grant table, of version 1. */
  grant(ref: number, flags: number, to: number, frame: number): void {
    this.write(ref * 8, struct([[2, flags], [2, to], [4, frame]]));
  }

  /** ... and of version 2: the second word, and the frame or, of a transitive one, the other reference. */
  grant2(ref: number, flags: number, to: number, second: number, frame: number): void {
    this.write(ref * 16, struct([[2, flags], [2, to], [4, second], [8, frame]]));
  }

  private write(at: number, data: Uint8Array): void {
    this.world.machine.write(BigInt(this.domain.grants.frames[0]!) * 4096n + BigInt(at), data);
  }

  /** Flags of an entry as they are now, with those of its status. */
  flags(ref: number): number {
    const { grants } = this.domain, word = (mfn: number, at: number): number => {
      const data = new Uint8Array(2);
      this.world.machine.read(BigInt(mfn) * 4096n + BigInt(at), data);
      return data[0]! | (data[1]! << 8);
    };
    return grants.version === 1 ? word(grants.frames[0]!, ref * 8) : word(grants.frames[0]!, ref * 16) | word(grants.statusFrames[0]!, ref * 2);
  }

  pins(ref: number): number { return this.domain.grants.active.pin(ref); }

  mapGrant(address: bigint, flags: number, ref: number, from: number): { readonly status: number; readonly handle: number } {
    const [view] = this.grantOp(GNTTABOP_map_grant_ref, mapOp(address, flags, ref, from)).out;
    return { status: view!.getInt16(MAP_STATUS, true), handle: view!.getUint32(20, true) };
  }

  unmapGrant(address: bigint, device: number | bigint, handle: number): number {
    return this.grantOp(GNTTABOP_unmap_grant_ref, unmapOp(address, device, handle)).out[0]!.getInt16(UNMAP_STATUS, true);
  }

  copy(...copies: readonly (readonly [source: CopySide, dest: CopySide, length: number])[]): number[] {
    const { wide } = this.world;
    return this.grantOp(GNTTABOP_copy, ...copies.map(one => copyOp(wide, ...one))).out.map(view => view.getInt16(copyStatus(wide), true));
  }

  transfer(frame: number, to: number, ref: number): number {
    const { wide } = this.world;
    return this.grantOp(GNTTABOP_transfer, transferOp(wide, frame, to, ref)).out[0]!.getInt16(transferStatus(wide), true);
  }

  setVersion(version: number): number {
    return this.grantOp(GNTTABOP_set_version, struct([[4, version]])).rc;
  }

  /** update_va_mapping of page `k`, with a flush of the address. */
  map(k: number, value: bigint): number {
    const va = this.va(k);
    return this.call(HYPERVISOR_update_va_mapping, ...(this.world.wide ? [va, value, 2n] : [va, value & 0xffffffffn, value >> 32n, 2n]));
  }

  /** mmuext_op of one operation. */
  ext(command: number, argument: number): number {
    const size = this.world.wide ? 8 : 4, at = this.leave(struct([[size, command], [size, argument], [size, 0]]));
    return this.call(HYPERVISOR_mmuext_op, at, 1n, 0n, BigInt(DOMID_SELF));
  }
}
