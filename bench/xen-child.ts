/**
 * A process that measures the hypercalls mmu_update and mmuext_op, dispatched for a 64-bit guest; prints JSON.
 *
 * The entries are of a level-1 table in use, each mapping another frame than before, writable: two references taken and two put. `batch`: 512 to
 * a call; `alone`: one to a call. `validate`: level-1 tables of 512 writable entries pinned, 64 to a call. All with one domain and with a thousand that
 * have frames, tables and pages mapped.
 */
import { Machine, type Vcpu } from '../dist/index.js';
import { VCPU_CALL, VCPU_CALL_ARGS } from '../dist/layout/vcpu.js';
import { DOMID_SELF, HYPERVISOR_mmu_update, HYPERVISOR_mmuext_op, Hypervisor, MMUEXT_PIN_L1_TABLE, MMUEXT_UNPIN_TABLE } from '../dist/xen/index.js';
import { median } from './median.ts';
import type { Engine } from './rig.ts';

/** Nanoseconds of CPU time an entry. */
export interface XenRow {
  readonly domains: number;
  readonly batch: number;
  readonly alone: number;
  readonly validate: number;
}

const FRAME = 4096n, P = 1n, TABLE = 0x67n, READ = 0x25n, ENTRIES = 512, OWN = 8192;
const FIRST = 512, EACH = 32, MAIN = 4096, PER_CALL = 512; // frames: the first domain's, of each other, of the first; entries a batch
const VA = 0x4000_0000n, REQUESTS = 1024, TARGET = 1200; // the guest sees its frames from VA on; pages of requests, frames that the entries map
const LEVEL1 = MAIN / ENTRIES, TABLES = 64, TABLE_FRAME = FIRST + 4 + LEVEL1, OPERATIONS = REQUESTS + 8; // tables to validate, the first of them; pages of their operations
const BATCHES = 200, ALONE = 20_000, PINS = 60;

/** A machine with `domains` domains, the first of which runs. */
class Scene {
  readonly xen: Hypervisor;
  readonly cpu: Vcpu;
  private readonly machine: Machine;
  private readonly call: number; // word index

  constructor(engine: Engine, domains: number) {
    const frames = FIRST + MAIN + EACH * domains;
    this.machine = Machine.create({ extents: [{ base: 0, bytes: (frames + OWN) * 4096 }], mode: 'functional', paging: 'none', engine });
    this.xen = Hypervisor.create(this.machine, { frames, own: { first: frames, frames: OWN } });
    this.cpu = this.machine.vcpus[0]!;
    this.call = this.cpu.block + VCPU_CALL >>> 2;
    const root = this.tables(FIRST, MAIN);
    const main = this.xen.createDomain({ id: 0, p2m: [[0, FIRST, MAIN]] });
    for (let id = 1; id < domains; id++) {
      const first = FIRST + MAIN + (id - 1) * EACH;
      this.xen.createDomain({ id, p2m: [[0, first, EACH]] });
    }
    this.xen.startVcpu(main, this.cpu, root);
    for (let batch = 0; batch < 2; batch++) this.requests(batch);
    [MMUEXT_PIN_L1_TABLE, MMUEXT_UNPIN_TABLE].forEach((command, page) => this.operations(command, page));
  }

  private put(table: number, slot: number, mfn: number, flags: bigint): void {
    const entry = new BigUint64Array([(BigInt(mfn) * FRAME) | flags]);
    this.machine.write(BigInt(table) * FRAME + BigInt(slot * 8), new Uint8Array(entry.buffer));
  }

  /** Tables in the first frames that map all frames from VA on, and behind them a level-1 table for the entries that change. @returns the root */
  private tables(first: number, count: number): number {
    const level1 = count / ENTRIES, [l4, l3, l2] = [first, first + 1, first + 2];
    this.put(l4, 0, l3, TABLE);
    this.put(l3, 1, l2, TABLE);
    for (let k = 0; k <= level1; k++) this.put(l2, k, first + 3 + k, TABLE);
    for (let k = 0; k < count; k++) this.put(first + 3 + Math.floor(k / ENTRIES), k % ENTRIES, first + k, k < level1 + 4 + TABLES ? READ : TABLE);
    for (let t = 0; t < TABLES; t++) for (let k = 0; k < ENTRIES; k++) this.put(TABLE_FRAME + t, k, FIRST + TARGET + k, TABLE);
    return l4;
  }

  /** Leave 512 requests in guest memory; those of two batches differ in the frame they map. */
  private requests(batch: number): void {
    const table = BigInt(FIRST + 3 + MAIN / ENTRIES) * FRAME, words = new BigUint64Array(PER_CALL * 2);
    for (let k = 0; k < PER_CALL; k++) {
      words[k * 2] = table + BigInt(k * 8);
      words[k * 2 + 1] = (BigInt(FIRST + TARGET + batch * PER_CALL + k) * FRAME) | TABLE;
    }
    this.machine.write(BigInt(FIRST + REQUESTS + batch * 2) * FRAME, new Uint8Array(words.buffer));
  }

  /** Leave an operation for each of the tables in guest memory. */
  private operations(command: number, page: number): void {
    const words = new BigUint64Array(TABLES * 3);
    for (let t = 0; t < TABLES; t++) words.set([BigInt(command), BigInt(TABLE_FRAME + t), 0n], t * 3);
    this.machine.write(BigInt(FIRST + OPERATIONS + page) * FRAME, new Uint8Array(words.buffer));
  }

  private dispatch(nr: number, at: number, count: number): void {
    const { w } = this.machine.views, { call } = this, args = call + ((VCPU_CALL_ARGS - VCPU_CALL) >>> 2);
    w[call] = nr;
    w[args] = at;
    w[args + 1] = 0;
    w[args + 2] = count;
    w[args + 3] = w[args + 4] = w[args + 5] = 0;
    w[args + 6] = DOMID_SELF;
    w[args + 7] = 0;
    if (this.xen.dispatch(this.cpu) !== 0) throw new Error('a hypercall is refused');
  }

  /** Change `entries` entries, `each` to a call. @returns nanoseconds an entry */
  timed(entries: number, each: number): number {
    const base = Number(VA) + REQUESTS * 4096, before = process.cpuUsage();
    for (let done = 0; done < entries; done += each) {
      const batch = Math.floor(done / PER_CALL) & 1;
      this.dispatch(HYPERVISOR_mmu_update, base + batch * 8192 + (done % PER_CALL) * 16, each);
    }
    const { user, system } = process.cpuUsage(before);
    return ((user + system) * 1000) / entries;
  }

  /** Pin all tables, so many times; that they are unpinned again is not measured. @returns nanoseconds an entry */
  pins(times: number): number {
    const base = Number(VA) + OPERATIONS * 4096;
    let microseconds = 0;
    for (let k = 0; k < times; k++) {
      const before = process.cpuUsage();
      this.dispatch(HYPERVISOR_mmuext_op, base, TABLES);
      const { user, system } = process.cpuUsage(before);
      microseconds += user + system;
      this.dispatch(HYPERVISOR_mmuext_op, base + 4096, TABLES);
    }
    return (microseconds * 1000) / (times * TABLES * ENTRIES);
  }

  /** @throws Error - what was measured is not what the tables hold */
  check(): void {
    const complaints = this.xen.audit();
    const table = new BigUint64Array(ENTRIES);
    this.machine.read(BigInt(FIRST + 3 + MAIN / ENTRIES) * FRAME, new Uint8Array(table.buffer));
    if (complaints.length > 0 || table.some(entry => (entry & P) === 0n)) throw new Error(`updates went wrong: ${complaints.join('; ')}`);
  }
}

const engine = process.argv[2] as Engine, runs = Number(process.argv[3]);
const scenes = [1, 1000].map(domains => ({ domains, scene: new Scene(engine, domains) }));
for (const { scene } of scenes) {
  for (let k = 0; k < 5; k++) {
    scene.timed(PER_CALL * BATCHES, PER_CALL);
    scene.timed(ALONE, 1);
    scene.pins(PINS);
  }
}
const rows = scenes.map(({ domains, scene }): XenRow => {
  const [batch, alone] = [[PER_CALL * BATCHES, PER_CALL], [ALONE, 1]].map(([entries, each]) => median(Array.from({ length: runs * 3 }, () => scene.timed(entries!, each!))));
  const validate = median(Array.from({ length: runs * 3 }, () => scene.pins(PINS)));
  scene.check();
  return { domains, batch: batch!, alone: alone!, validate };
});
console.log(JSON.stringify(rows));
