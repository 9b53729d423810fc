/** vCPUs in worker threads on the same memory, on the built package: nothing that one of them writes is lost. */
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { presets } from '../../src/cost/presets/all.ts';
import { layFrameTable } from '../../src/frames/table.ts';
import { FRAME_OWNER, FRAME_REFS, FRAME_STRIDE, FRAME_TYPE, PGC_ALLOCATED, PGT_COUNT, PGT_L1_TABLE, PGT_LOCKED, PGT_VALIDATED } from '../../src/layout/frame.ts';
import { Machine } from '../../src/machine/machine.ts';
import { readEntry, writeEntry } from '../../src/memory/entry.ts';
import { wordOf } from '../../src/memory/extents.ts';

const PAIRS = [['TypeScript', 'TypeScript'], ['wasm', 'wasm'], ['TypeScript', 'wasm']] as const;
const FIRST = 32, COUNT = 6, TABLE = 16;

type Result = Record<string, unknown>;

/** Run a job on a worker for each vCPU. @returns what they say */
async function race(machine: Machine, engines: readonly string[], job: string, steps: number, table: number, requests = 0): Promise<Result[]> {
  const meeting = new Int32Array(new SharedArrayBuffer(20));
  return Promise.all(engines.map((engine, index) => new Promise<Result>((resolve, reject) => {
    const worker = new Worker(new URL('./race-worker.mjs', import.meta.url), {
      workerData: {
        memory: machine.views.memory, block: machine.vcpus[index]!.block, engine, index, workers: engines.length, meeting, job, steps, table,
        frames: { first: FIRST, count: COUNT, table: TABLE, requests },
      },
    });
    worker.on('message', resolve);
    worker.on('error', reject);
  })));
}

const offset = (machine: Machine, pa: number) => wordOf(machine.views, 0, pa) * 4;

/** A machine with two vCPUs and a frame table; every frame belongs to domain 7. */
function framed(): { machine: Machine; rows: number } {
  const machine = Machine.create({ memory: '256K', vcpus: 2, mode: 'functional', paging: 'none' });
  const rows = layFrameTable(machine.views, 64) >>> 2, w = machine.views.w;
  for (let f = 0; f < 64; f++) w.set([0, 0, 1, 7 | PGC_ALLOCATED << 16], rows + f * (FRAME_STRIDE >>> 2));
  return { machine, rows };
}

describe.each(PAIRS)('%s and %s', (...engines) => {
  it.each(['timed', 'functional'] as const)('lose no A, no D and no bit of the kernel in one entry, %s', async mode => {
    const machine = Machine.create({ memory: '1M', vcpus: 2, mode });
    machine.map(0n, { user: true, write: true, frames: 64 });
    for (const cpu of machine.vcpus) cpu.writeCr3(machine.vcpus[0]!.registers.cr3);
    const [leaf] = machine.vcpus[0]!.explain(0n, 4).references.slice(-1);
    const results = await race(machine, engines, 'marks', 300, offset(machine, Number(leaf!.paddr)));
    expect(results).toEqual([{ lost: [], count: 0 }, { lost: [], count: 0 }]);
  });

  it('meet an entry as a whole', async () => {
    const machine = Machine.create({ memory: '64K', vcpus: 2, mode: 'functional' });
    machine.map(0n, { user: true, write: true });
    for (const cpu of machine.vcpus) cpu.writeCr3(machine.vcpus[0]!.registers.cr3);
    const [leaf] = machine.vcpus[0]!.explain(0n, 4).references.slice(-1);
    writeEntry(machine.views, Number(leaf!.paddr), 0x5067n);
    const [walker] = await race(machine, engines, 'whole', 100_000, offset(machine, Number(leaf!.paddr)));
    expect(walker).toEqual({ both: expect.any(Boolean), wrong: [], count: 0 });
  });

  it('meet entries as a whole in batches', async () => {
    const lru = (sets: number) => ({ sets, ways: 4, replacement: 'lru' as const });
    const machine = Machine.create({ memory: '1M', vcpus: 2, cpu: { ...presets.skylake, psc: { pde: lru(8), pdpte: lru(1) } } }); // walks are plain
    machine.map(0n, { user: true, write: true });
    for (const cpu of machine.vcpus) cpu.writeCr3(machine.vcpus[0]!.registers.cr3);
    const [directory, leaf] = machine.vcpus[0]!.explain(0n, 4).references.slice(-2).map(r => Number(r.paddr));
    for (let k = 1; k < 32; k++) writeEntry(machine.views, directory! + k * 8, readEntry(machine.views, directory!));
    writeEntry(machine.views, leaf!, 0x5067n);
    const [walker] = await race(machine, engines, 'wholes', 3000, offset(machine, leaf!), offset(machine, 0x80000));
    expect(walker).toEqual({ wrong: [], count: 0 });
  });

  it('count every reference of tables and updates on the same frames', async () => {
    const { machine, rows } = framed(), w = machine.views.w;
    w.set([PGT_L1_TABLE | PGT_VALIDATED | 1, 0, 2], rows + TABLE * (FRAME_STRIDE >>> 2));
    const results = await race(machine, engines, 'frames', 3000, offset(machine, 0x4000), offset(machine, 0x8000));
    for (const r of results) expect(r).toEqual({ done: expect.any(Number) });
    expect(results.reduce((sum, r) => sum + (r.done as number), 0)).toBeGreaterThan(20_000);
    const refs = new Array<number>(64).fill(1), uses = new Array<number>(64).fill(0);
    refs[TABLE]!++;
    for (let i = 0; i < 512; i++) {
      const e = Number(readEntry(machine.views, TABLE * 4096 + i * 8));
      if (e & 1) refs[e >>> 12]!++;
      if ((e & 3) === 3) uses[e >>> 12]!++;
    }
    for (let f = 0; f < 64; f++) {
      const row = rows + f * (FRAME_STRIDE >>> 2), type = w[row + (FRAME_TYPE >>> 2)]!;
      expect(w[row + (FRAME_REFS >>> 2)], `references of frame ${f}`).toBe(refs[f]);
      expect(type & (PGT_COUNT | PGT_LOCKED), `uses of frame ${f}`).toBe(f === TABLE ? 1 : uses[f]);
    }
  });

  it('hold no frame that went to another', async () => {
    const { machine, rows } = framed(), w = machine.views.w;
    const [, mapper] = await race(machine, engines, 'hands', 10_000, offset(machine, 0x4000));
    expect(mapper!.mapped).toBeGreaterThan(1000);
    expect(mapper!.foreign).toBe(0);
    for (let f = 0; f < 64; f++) {
      const row = rows + f * (FRAME_STRIDE >>> 2);
      expect([w[row + (FRAME_REFS >>> 2)], w[row + (FRAME_TYPE >>> 2)]! & PGT_COUNT, w[row + (FRAME_OWNER >>> 2)]! >>> 16], `frame ${f}`).toEqual([1, 0, PGC_ALLOCATED]);
    }
  });
});
