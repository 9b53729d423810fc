/** Domains that make hypercalls, with small pools of pages, frames and numbers, so that operations meet. Back to the start by a copy of memory. */
import { FAST_EMPTY, FAST_PA, FAST_STRIDE, FAST_TABLE_BYTES, FAST_USER, FAST_WRITE } from '../../../src/layout/fast-table.ts';
import { PGT_TYPE_MASK, PGT_WRITABLE } from '../../../src/layout/frame.ts';
import type { Vcpu } from '../../../src/machine/vcpu.ts';
import { DOMID_SELF } from '../../../src/xen/numbers.ts';
import { DATA, P, READ, RW, US } from '../../../test/xen/guest.ts';
import { DATA_FRAME, SPARE, Tenants, type Tenant, type TenantsOptions } from '../../../test/xen/tenants.ts';
import { Pristine } from '../../pristine.ts';
import { Finding } from '../../target.ts';

const DOMAINS = 3, FREE_FRAME = 0x9f0, IO_FRAME = 0x50, NO_FRAME = 0x7fffffff;
const BUDGETS = [undefined, undefined, 1, 7];

/** Frames that operations name: the domain's data, its tables, others' frames, and what is no domain's. */
export const FRAMES = 32;
/** Pages: mapped data, spare ones, that of the tables. */
export const PAGES = 20;
/** Slots of tables: those that map data, those that map nothing, the last, the hypervisor's, that to the next table. */
export const SLOTS = [DATA_FRAME, DATA_FRAME + 1, SPARE, SPARE + 1, SPARE + 2, 0, 1, 2, 3, 4, 255, 256, 258, 272, 300, 510, 511];
const FLAGS = [0n, READ, DATA, P | US, DATA | 1n << 63n, DATA | 0x80n, DATA | 0x100n, P | RW, P, READ | 0x18n, DATA | 1n << 52n, RW | US, DATA | 1n << 51n, READ | 0xe00n];
export const FLAG_CHOICES = FLAGS.length;
const IDS = [DOMID_SELF, 0x7ff1, 0x7ff2, 77, 0x7ff4];
export const ID_CHOICES = DOMAINS + IDS.length;

/** What a grant was mapped as, by whom. */
interface Mapped { readonly by: number; readonly at: bigint; readonly bus: number; readonly handle: number }

export class World {
  readonly tenants: Tenants;
  /** Grants that are mapped, the last ones. */
  mapped: Mapped[] = [];
  /** Frame that a domain was given last. */
  lastFrame = NO_FRAME;
  /** Ports by number, as calls answered them. */
  lastPort = 1;
  /** vCPU of the first domain that makes its calls, if others than the first do. */
  turn = 0;
  nextId = 10;
  /** Nothing can be done any more. */
  over = false;
  private readonly pristine: Pristine;
  private readonly start: readonly Tenant[];
  private readonly cpus: readonly Vcpu[];

  constructor(options: TenantsOptions) {
    const { running = 1 } = options;
    this.tenants = new Tenants({ domains: DOMAINS, maxVcpus: 2, privileged: [0], grants: { maxFrames: 4, maxMaptrackFrames: 1 }, ...options });
    this.tenants.audited = false;
    this.pristine = new Pristine(this.tenants.machine.views.u8);
    this.start = [...this.tenants.list];
    this.cpus = [this.start[0]!.cpu, ...this.tenants.machine.vcpus.slice(DOMAINS, DOMAINS + running - 1)];
  }

  rewind(): void {
    this.pristine.restore(this.tenants.machine.views.u8);
    this.tenants.rewound(this.start);
    this.mapped = [];
    this.lastFrame = NO_FRAME;
    this.lastPort = 1;
    this.turn = 0;
    this.nextId = 10;
    this.over = false;
  }

  /** Do several vCPUs run the first domain? */
  get shared(): boolean {
    return this.cpus.length > 1;
  }

  get wide(): boolean {
    return this.tenants.wide;
  }

  domain(k: number): Tenant {
    const tenant = this.tenants.list[k]!;
    return k === 0 && this.turn > 0 ? tenant.on(this.cpus[this.turn % this.cpus.length]!) : tenant;
  }

  /** @param k - below FRAMES */
  frame(t: Tenant, k: number): number {
    if (k < 12) return t.frame(DATA_FRAME + k);
    const next = this.tenants.list[(this.tenants.list.findIndex(({ id }) => id === t.id) + 1) % DOMAINS]!, { grants } = t.domain;
    switch (k) {
      case 12: return t.level1;
      case 13: case 14: case 15: return t.frame(k - 13); // root, level 3, level 2
      case 16: case 17: case 18: return next.frame(DATA_FRAME + k - 16);
      case 19: return next.level1;
      case 20: return t.sharedInfo;
      case 21: return grants.frames[0] ?? NO_FRAME;
      case 22: return grants.statusFrames[0] ?? NO_FRAME;
      case 23: return next.domain.grants.frames[0] ?? NO_FRAME;
      case 24: return FREE_FRAME;
      case 25: return IO_FRAME;
      case 26: return NO_FRAME;
      case 27: return this.lastFrame;
      case 28: return 0;
      case 29: return next.frame(0);
      case 30: return t.frame(62);
      default: return t.frame(3);
    }
  }

  page(k: number): number {
    return k < 8 ? DATA_FRAME + k : k < 16 ? SPARE + k - 8 : [62, 0, 3, 200][k - 16]!;
  }

  value(t: Tenant, frame: number, flags: number): bigint {
    return (BigInt(this.frame(t, frame)) << 12n) | FLAGS[flags]!;
  }

  id(k: number): number {
    return k < DOMAINS ? this.tenants.list[k]!.id : IDS[k - DOMAINS]!;
  }

  /** @throws Finding - what does not hold */
  audit(): void {
    const complaints = this.tenants.xen.audit();
    if (complaints.length > 0) throw new Finding(complaints.join('; '));
    for (const { id, totalPages, maxPages } of this.tenants.xen.host.domains.values()) if (totalPages > maxPages) throw new Finding(`domain ${id} has ${totalPages} pages, and may have ${maxPages}`);
    for (const cpu of this.tenants.machine.vcpus) this.auditCached(cpu);
  }

  /** What a processor may still write by what it has cached is a writable page, or one that no one has got since all were flushed. */
  private auditCached(cpu: Vcpu): void {
    const { host } = this.tenants.xen, { w } = this.tenants.machine.views;
    if (host.freed) return;
    for (const kind of [FAST_WRITE, FAST_USER + FAST_WRITE]) {
      const first = (cpu.fastTable + kind * FAST_TABLE_BYTES) >>> 2;
      for (let row = first; row < first + (FAST_TABLE_BYTES >>> 2); row += FAST_STRIDE >>> 2) {
        if (w[row] === FAST_EMPTY) continue;
        const mfn = (w[row + (FAST_PA >>> 2)]! >>> 12) + (w[row + (FAST_PA >>> 2) + 1]! >>> 0) * 0x100000;
        if (host.frames.valid(mfn) && (host.frames.type(mfn) & PGT_TYPE_MASK) !== PGT_WRITABLE) {
          throw new Finding(`a processor can write frame 0x${mfn.toString(16)} by what it has cached, whose type word is 0x${(host.frames.type(mfn) >>> 0).toString(16)}`);
        }
      }
    }
  }

  /** When all have died, nothing of them is left, but for what the real Xen loses, too. */
  end(): void {
    const { xen } = this.tenants, { host } = xen;
    for (const id of [...host.domains.keys()]) if (host.domain(id)?.dead === false) xen.destroyDomain(id);
    this.audit();
    const left = [...host.domains.keys()];
    if (left.length > 0 && host.lost.length === 0) throw new Finding(`domains that died are still there: ${left.join(', ')}`);
  }

  /** Everything that may not depend on the engine. */
  state(): Buffer {
    return this.tenants.state();
  }
}

const worlds = new Map<string, World>();

/** The world that a head chooses: the width, the budget, what it does where the real Xen loses references. */
export function worldOf(head: Uint8Array, engine: 'ts' | 'wasm', running = 1): World {
  const choice = head[0]!, budget = running > 1 ? [1, 2, 7, 3][choice >> 1 & 3] : BUDGETS[choice >> 1 & 3], name = `${choice & 9} ${budget} ${engine} ${running}`;
  let world = worlds.get(name);
  if (!world) {
    const leaks = (choice & 8) === 0 ? {} : { leakPartialTables: false, leakPreemptedTables: false };
    world = new World({ wide: (choice & 1) === 0, engine, running, ...(budget === undefined ? {} : { budget }), ...leaks });
    worlds.set(name, world);
  }
  world.rewind();
  return world;
}
