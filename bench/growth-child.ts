/**
 * A process that measures whether an access costs more in a larger machine, after more accesses, or among more domains; prints JSON.
 *
 * Two streams over 128 pages: `hits` in random order (the TLBs hold them), `walks` at addresses that share one set of each TLB level, so
 * that every access walks.
 */
import { ACCESS_USER, Machine, type AccessColumns, type Vcpu } from '../dist/index.js';
import { LIMIT_MODEL } from './limit-work.ts';
import { median } from './median.ts';
import type { Engine } from './rig.ts';
import { Xorshift } from './xorshift.ts';

/** Nanoseconds of CPU time an access, by what grows. */
export interface GrowthRow {
  readonly what: 'memory' | 'accesses' | 'domains';
  readonly size: string;
  readonly hits: number;
  readonly walks: number;
}

const PAGES = 128, FRAME = 4096, TABLES = 2 ** 20, LOW_RAM = 2 ** 20, MACHINE = 64 * 2 ** 20, SETS = 128;
const VA = 0x10_0000_0000n, HI = 0x10;
const LENGTH = 100_000, PART = 10_000; // accesses of a column; of a domain before the next has its turn

type Kind = 'hits' | 'walks';
const strideOf = (kind: Kind): number => (kind === 'hits' ? FRAME : FRAME * SETS);

/** A machine of `bytes` of RAM, without bytes beyond the first MiB, with `domains` vCPUs of an address space each; their pages are all over the RAM. */
function domainsOf(engine: Engine, bytes: number, domains: number, kind: Kind): { cpus: Vcpu[]; columns: AccessColumns } {
  const tables = LOW_RAM + TABLES * (domains - 1);
  const machine = Machine.create({
    engine, cpu: LIMIT_MODEL, vcpus: domains,
    extents: [{ base: 0, bytes: tables }, ...(bytes > tables ? [{ base: tables, bytes: bytes - tables, kind: 'unbacked' as const }] : [])],
  });
  const cpus = [...machine.vcpus], frames = bytes / FRAME;
  for (const cpu of cpus) {
    const space = machine.addressSpace(cpu);
    for (let k = 0; k < PAGES; k++) {
      const va = k * strideOf(kind), frame = Math.floor((k * frames) / PAGES);
      space.map(HI + Math.floor(va / 2 ** 32), va | 0, 0, frame, { user: true });
    }
  }
  const columns = machine.columns(LENGTH), random = new Xorshift(7);
  for (let i = 0; i < LENGTH; i++) {
    const page = kind === 'hits' ? random.next() & (PAGES - 1) : i % PAGES, va = VA + BigInt(page * strideOf(kind));
    columns.va.set([Number(va & 0xffffffffn) | 0, Number(va >> 32n)], 2 * i);
    columns.size[i] = 8;
  }
  return { cpus, columns };
}

/** Make `accesses` accesses, a part of them by each vCPU in turn. @returns nanoseconds an access */
function timed({ cpus, columns }: ReturnType<typeof domainsOf>, accesses: number): number {
  const part = cpus.length === 1 ? LENGTH : PART;
  const before = process.cpuUsage();
  for (let done = 0, turn = 0; done < accesses; done += part, turn++) {
    const from = done % LENGTH;
    if (cpus[turn % cpus.length]!.runBatch(columns, from, from + part, ACCESS_USER) !== from + part) throw new Error('an access faulted');
  }
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1000) / accesses;
}

function measured(engine: Engine, bytes: number, domains: number, accesses: number, runs: number): Record<Kind, number> {
  const one = (kind: Kind): number => {
    const scene = domainsOf(engine, bytes, domains, kind);
    timed(scene, Math.max(5, domains) * LENGTH);
    return median(Array.from({ length: runs }, () => timed(scene, accesses)));
  };
  return { hits: one('hits'), walks: one('walks') };
}

const engine = process.argv[2] as Engine, runs = Number(process.argv[3]);
const sizeName = (bytes: number): string => (bytes < 2 ** 30 ? `${bytes / 2 ** 20} MiB` : `${bytes / 2 ** 30} GiB`);
const rows: GrowthRow[] = [];
measured(engine, MACHINE, 1, 20 * LENGTH, 1); // warms up
for (const bytes of [20, 22, 24, 26, 28, 30, 32, 34, 36].map(n => 2 ** n)) {
  rows.push({ what: 'memory', size: sizeName(bytes), ...measured(engine, bytes, 1, 1e6, runs) });
}
for (const millions of [1, 10, 100]) rows.push({ what: 'accesses', size: `${millions} million`, ...measured(engine, MACHINE, 1, millions * 1e6, millions < 100 ? runs : 1) });
for (const domains of [1, 2, 4, 16, 64]) rows.push({ what: 'domains', size: String(domains), ...measured(engine, 2 * MACHINE, domains, 3.2e6, runs) });
console.log(JSON.stringify(rows));
