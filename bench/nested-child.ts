/**
 * A process that measures walks through a second stage, 4K pages in both; prints JSON.
 *
 * Accesses to more pages than the TLB holds, in an order that misses nearly always. `cold`: on a processor that caches nothing but combined
 * translations, so that each walk makes all 24 references; `warm`: on Skylake with its paging-structure caches and the nested ones; `functional`: in that mode, where
 * each walk makes all references, too.
 */
import { Machine, nestedDefault, presets, type CpuModel, type NestedModel, type Vcpu } from '../dist/index.js';
import { median } from './median.ts';
import type { Engine } from './rig.ts';

/** CPU nanoseconds a walk, and references a walk. */
export interface NestedRow {
  readonly format: 'ept' | 'npt';
  readonly cold: number;
  readonly coldReferences: number;
  readonly warm: number;
  readonly warmReferences: number;
  readonly functional: number;
}

const MIB = 2 ** 20, PAGE = 4096, ENTRIES = 512, PAGES = 8192, ACCESSES = 200_000;
const GUEST = 2 * MIB, ROOM = 40 * MIB; // machine address of guest-physical 0, and how much the guest has; host tables are below
const TABLES = 33 * MIB, STEP = 4099; // guest-physical address of the guest's tables; pages from an access to the next, a prime
const NOTHING: NestedModel = { tlb: [], hitCycles: 0, psc: {} }, BARE: CpuModel = { ...presets.skylake, psc: {} };

/** A guest of 4-level paging whose linear pages 0 to PAGES - 1 are mapped. */
function guest(engine: Engine, format: 'ept' | 'npt', mode: 'timed' | 'functional', cpu: CpuModel, nested: NestedModel): Vcpu {
  const machine = Machine.create({ memory: 64 * MIB, engine, mode, cpu, nested, paging: 'none' });
  const put = (pa: number, value: number) => machine.write(BigInt(pa), new Uint8Array(BigUint64Array.of(BigInt(value)).buffer));
  const map = (base: number, tables: number, pages: number, table: number, leaf: number, at: (page: number) => number) => {
    const lists = Math.ceil(pages / ENTRIES);
    put(base, tables + PAGE | table);
    put(base + PAGE, tables + 2 * PAGE | table);
    for (let k = 0; k < lists; k++) put(base + 2 * PAGE + k * 8, tables + (3 + k) * PAGE | table);
    for (let k = 0; k < pages; k++) put(base + 3 * PAGE + k * 8, at(k) | leaf);
  };
  map(PAGE, PAGE, ROOM / PAGE, 7, format === 'ept' ? 0x37 : 7, page => GUEST + page * PAGE);
  map(GUEST + TABLES, TABLES, PAGES, 7, 7, page => page * PAGE);
  const [v] = machine.vcpus as readonly [Vcpu];
  v.guest.enter(format === 'ept' ? { format, eptp: BigInt(PAGE | 0x1e), vpid: 1 } : { format, ncr3: BigInt(PAGE) });
  for (const fault of [v.writeCr4(0x20n), v.writeEfer(0x100n), v.writeCr3(BigInt(TABLES)), v.writeCr0(0x80000001n)]) if (fault !== 0) throw new Error(`set-up: ${fault}`);
  return v;
}

/** @returns CPU nanoseconds a walk, references a walk */
function measure(cpu: Vcpu, runs: number): readonly [number, number] {
  const times: number[] = [];
  let page = 0, references = 0;
  for (let run = -1; run < runs; run++) {
    cpu.resetCounters();
    const start = process.cpuUsage();
    for (let n = 0; n < ACCESSES; n++) {
      page = (page + STEP) % PAGES;
      if (cpu.access(0, page * PAGE, 0) !== 0) throw new Error(`page ${page}: a fault`);
    }
    const { user, system } = process.cpuUsage(start), { walks, referenceHits, hostHits } = cpu.counters();
    if (walks < ACCESSES * 0.9) throw new Error(`${walks} walks of ${ACCESSES} accesses`);
    references = [...referenceHits, ...hostHits].reduce((sum, x) => sum + x) / walks;
    if (run >= 0) times.push(((user + system) * 1000) / walks); // the first warms up
  }
  return [median(times), references];
}

const [engine, runs] = process.argv.slice(2) as [Engine, string], rows: NestedRow[] = [];
for (const format of ['ept', 'npt'] as const) {
  const [cold, coldReferences] = measure(guest(engine, format, 'timed', BARE, NOTHING), Number(runs));
  const [warm, warmReferences] = measure(guest(engine, format, 'timed', presets.skylake, nestedDefault), Number(runs));
  const [functional] = measure(guest(engine, format, 'functional', presets.skylake, nestedDefault), Number(runs));
  rows.push({ format, cold, coldReferences, warm, warmReferences, functional });
}
console.log(JSON.stringify(rows));
