/**
 * A process that measures grant_table_op and event_channel_op, dispatched for a 64-bit guest; prints JSON.
 *
 * `pair`: a grant of another domain is mapped, writable, and unmapped, 32 to a call, every page at an address of its own. `copy`: a page of
 * another domain's is copied to one of the guest's, 32 to a call, 256 pages in turn. `send`: one event to another domain, which takes it before
 * the next one comes, one to a call.
 */
import { Machine, type Vcpu } from '../dist/index.js';
import { VCPU_CALL, VCPU_CALL_ARGS } from '../dist/layout/vcpu.js';
import { wordOf } from '../dist/memory/extents.js';
import { DOMID_SELF, HYPERVISOR_event_channel_op, HYPERVISOR_grant_table_op, Hypervisor } from '../dist/xen/index.js';
import type { GrantRow } from './grant-row.ts';
import { median } from './median.ts';
import type { Engine } from './rig.ts';

const FRAME = 4096, TABLE = 0x67n, READ = 0x25n, DATA = 0x67n, ENTRIES = 512;
const FIRST = 512, MAIN = 1024, OTHER = 1536, PAGES = 256, INFO = [300, 301], GRANT_FRAME = 310, FRAMES = 2048, OWN = 2048; // frames
const VA = 0x4000_0000, MAPS = 16, UNMAPS = 17, COPIES = 32, EVENT = 18, INTO = 512; // the guest sees its frames from VA on; pages of operations, of copies
const BATCH = 32, HOST_MAP = 2, SOURCE_GREF = 1;
const MAP = 0, UNMAP = 1, COPY = 5, ALLOC_UNBOUND = 6, BIND_INTERDOMAIN = 0, SEND = 4;
const PERMIT = 1, PENDING_BYTES = 0x800, SELECTOR = 2; // in the shared info: pending bits, and the word of vCPU 0's selector

const patternOf = (page: number, at: number): number => (page * 31 + at * 7 + (at >>> 8)) & 0xff;

/** Domain 0, which runs and makes the calls, and domain 1, which grants and is sent events. */
class Scene {
  private readonly machine: Machine;
  private readonly xen: Hypervisor;
  private readonly cpu: Vcpu;
  private readonly w: Int32Array;
  private readonly call: number; // word index
  private readonly port: number;

  constructor(engine: Engine) {
    this.machine = Machine.create({ extents: [{ base: 0, bytes: (FRAMES + OWN) * FRAME }], mode: 'functional', paging: 'none', engine });
    this.xen = Hypervisor.create(this.machine, { frames: FRAMES, own: { first: FRAMES, frames: OWN } });
    this.cpu = this.machine.vcpus[0]!;
    this.call = this.cpu.block + VCPU_CALL >>> 2;
    this.w = this.machine.views.w;
    this.tables();
    const main = this.xen.createDomain({ id: 0, privileged: true, p2m: [[0, FIRST, MAIN]], sharedInfo: INFO[0]! });
    this.xen.createDomain({ id: 1, p2m: [[0, OTHER, PAGES]], sharedInfo: INFO[1]!, grants: { frames: [GRANT_FRAME] } });
    this.xen.startVcpu(main, this.cpu, FIRST);
    for (let ref = 0; ref < PAGES; ref++) this.words(GRANT_FRAME * FRAME + ref * 8, PERMIT, OTHER + ref);
    for (let k = 0; k < BATCH; k++) {
      this.words((FIRST + MAPS) * FRAME + k * 32, VA + (MAIN + k) * FRAME, 0, HOST_MAP, 8 + k, 1);
      this.words((FIRST + UNMAPS) * FRAME + k * 24, VA + (MAIN + k) * FRAME, 0, 0, 0);
    }
    for (let k = 0; k < PAGES; k++) {
      this.words((FIRST + COPIES) * FRAME + k * 40, k, 0, 1, 0, FIRST + INTO + k, 0, DOMID_SELF, 0, FRAME | (SOURCE_GREF << 16));
    }
    for (let page = 0; page < PAGES; page++) this.machine.write(BigInt((OTHER + page) * FRAME), Uint8Array.from({ length: FRAME }, (_, k) => patternOf(page, k)));
    this.port = this.bind();
  }

  /** Write words at a physical address. */
  private words(at: number, ...values: number[]): void {
    this.machine.write(BigInt(at), new Uint8Array(Int32Array.from(values).buffer));
  }

  private put(table: number, slot: number, mfn: number, flags: bigint): void {
    this.machine.write(BigInt(table * FRAME + slot * 8), new Uint8Array(new BigUint64Array([(BigInt(mfn) << 12n) | flags]).buffer));
  }

  /** Tables in the guest's first frames, that map all of them from VA on, and a level-1 table behind those for what is granted. */
  private tables(): void {
    const level1 = MAIN / ENTRIES, tables = 3 + level1 + 1;
    this.put(FIRST, 0, FIRST + 1, TABLE);
    this.put(FIRST + 1, 1, FIRST + 2, TABLE);
    for (let k = 0; k <= level1; k++) this.put(FIRST + 2, k, FIRST + 3 + k, TABLE);
    for (let k = 0; k < MAIN; k++) this.put(FIRST + 3 + Math.floor(k / ENTRIES), k % ENTRIES, FIRST + k, k < tables ? READ : DATA);
  }

  /** Bind a port of domain 0 to one of domain 1, and leave it where sending finds it. @returns the one of domain 1 */
  private bind(): number {
    const structure = this.word(FIRST + EVENT);
    this.words((FIRST + EVENT) * FRAME, 1, 0);
    this.dispatch(HYPERVISOR_event_channel_op, ALLOC_UNBOUND, EVENT * FRAME, 0);
    const remote = this.w[structure + 1]!;
    this.words((FIRST + EVENT) * FRAME, 1, remote, 0);
    this.dispatch(HYPERVISOR_event_channel_op, BIND_INTERDOMAIN, EVENT * FRAME, 0);
    const local = this.w[structure + 2]!;
    this.words((FIRST + EVENT) * FRAME, local);
    return remote;
  }

  /** Word index of a frame. */
  private word(mfn: number): number {
    return wordOf(this.machine.views, 0, mfn * FRAME);
  }

  private dispatch(nr: number, command: number, offset: number, count: number): void {
    const { w, call } = this, args = call + ((VCPU_CALL_ARGS - VCPU_CALL) >>> 2);
    w[call] = nr;
    w[args] = command;
    w[args + 1] = 0;
    w[args + 2] = VA + offset;
    w[args + 3] = 0;
    w[args + 4] = count;
    w[args + 5] = 0;
    if (this.xen.dispatch(this.cpu) !== 0) throw new Error(`hypercall ${nr} is refused`);
  }

  /** Nanoseconds of CPU time each, of `count` of what `step` does `each` of. */
  private timed(count: number, each: number, step: (done: number) => void): number {
    const before = process.cpuUsage();
    for (let done = 0; done < count; done += each) step(done);
    const { user, system } = process.cpuUsage(before);
    return ((user + system) * 1000) / count;
  }

  pairs(count: number): number {
    const { w } = this, maps = this.word(FIRST + MAPS), unmaps = this.word(FIRST + UNMAPS);
    return this.timed(count, BATCH, () => {
      this.dispatch(HYPERVISOR_grant_table_op, MAP, MAPS * FRAME, BATCH);
      for (let k = 0; k < BATCH; k++) {
        w[unmaps + k * 6 + 4] = w[maps + k * 8 + 5]!;
        if ((w[maps + k * 8 + 4]! >> 16) !== 0) throw new Error('a grant was not mapped');
      }
      this.dispatch(HYPERVISOR_grant_table_op, UNMAP, UNMAPS * FRAME, BATCH);
      if ((w[unmaps + 5]! << 16) !== 0) throw new Error('a grant was not unmapped');
    });
  }

  copies(count: number): number {
    const { w } = this, ops = this.word(FIRST + COPIES);
    return this.timed(count, BATCH, done => {
      const first = done % PAGES;
      this.dispatch(HYPERVISOR_grant_table_op, COPY, COPIES * FRAME + first * 40, BATCH);
      if ((w[ops + first * 10 + 9]! << 16) !== 0) throw new Error('a page was not copied');
    });
  }

  sends(count: number): number {
    const { w, port } = this, info = this.word(INFO[1]!), pending = info + (PENDING_BYTES >>> 2) + (port >>> 5);
    return this.timed(count, 1, () => {
      this.dispatch(HYPERVISOR_event_channel_op, SEND, EVENT * FRAME, 0);
      if (w[pending] === 0 || w[info] === 0) throw new Error('an event was lost');
      w[pending] = w[info + SELECTOR] = w[info] = 0;
    });
  }

  /** @throws Error - what was measured did not happen, or left something behind */
  check(): void {
    const complaints = this.xen.audit(), page = new Uint8Array(FRAME);
    this.machine.read(BigInt((FIRST + INTO + PAGES - 1) * FRAME), page);
    if (complaints.length > 0 || page.some((byte, k) => byte !== patternOf(PAGES - 1, k))) throw new Error(`grants went wrong: ${complaints.join('; ')}`);
  }
}

const scene = new Scene(process.argv[2] as Engine), runs = Number(process.argv[3]);
const PAIRS = 32_000, COPIED = 32_000, SENT = 200_000;
for (let k = 0; k < 5; k++) {
  scene.pairs(PAIRS);
  scene.copies(COPIED);
  scene.sends(SENT);
}
const times: { pair: number[]; copy: number[]; send: number[] } = { pair: [], copy: [], send: [] };
for (let run = 0; run < runs * 3; run++) {
  times.pair.push(scene.pairs(PAIRS));
  times.copy.push(scene.copies(COPIED));
  times.send.push(scene.sends(SENT));
}
scene.check();
const row: GrantRow = { pair: median(times.pair), copy: median(times.copy), send: median(times.send) };
console.log(JSON.stringify(row));
