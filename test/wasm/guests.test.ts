/** Guests on processors for which accesses take the shortest ways, between the host's own accesses: both engines leave those ways in a guest, and come back. */
import { expect, it } from 'vitest';
import { ACCESS_FETCH, ACCESS_USER, ACCESS_WRITE, FAULT_NONE } from '../../src/arch/fault.ts';
import type { CpuModel } from '../../src/cost/cpu-model.ts';
import type { AccessColumns } from '../../src/machine/columns.ts';
import { Machine } from '../../src/machine/machine.ts';
import type { Vcpu } from '../../src/machine/vcpu.ts';
import { Random } from './engine-duel.ts';
import { flat, four } from './models.ts';
import { stateOf } from './state.ts';

const PAGE = 4096, VA = 0x4000_0000, PAGES = 700, BATCH = 200, STEPS = 400;
const NPT = 0x90_0000, MEMORY = 0xa0_0000, ROOT = 0x1_0000; // the second stage; machine address of guest-physical 0; the guest's tables there
const HOLE = 5, LOST = 3; // of 37 pages one that the second stage lacks, and of 41 one that the guest does

/** A second level of few entries: nearly every access walks. */
const small = (cpu: CpuModel): CpuModel =>
  ({ ...cpu, tlb: cpu.tlb.map((level, l) => (l === 0 ? level : { ...level, structures: level.structures.map(t => ({ ...t, sets: 4 })) })) });

class Side {
  readonly machine: Machine;
  private readonly cpu: Vcpu;
  private readonly columns: AccessColumns;
  private readonly hostRoot: bigint;
  /** Bytes of the state without the columns. */
  private readonly bytes: number;

  constructor(engine: 'ts' | 'wasm', cpu: CpuModel) {
    this.machine = Machine.create({ engine, cpu, memory: '16M', nested: true });
    this.bytes = this.machine.views.byteLength;
    this.cpu = this.machine.vcpus[0];
    this.columns = this.machine.columns(BATCH);
    this.machine.map(BigInt(VA), { frames: PAGES, user: true, write: true });
    this.hostRoot = this.cpu.registers.cr3;
    this.tables(NPT, NPT, 0, page => (page % 37 === HOLE ? 0 : (MEMORY + page * PAGE) | 7));
    this.tables(MEMORY + ROOT, ROOT, 1, page => (page % 41 === LOST ? 0 : (page * PAGE) | 7));
  }

  /** Tables of 1024 pages. @param at - where the first is @param address - as entries say it @param gib - of linear addresses, from 0 */
  private tables(at: number, address: number, gib: number, entry: (page: number) => number): void {
    const put = (offset: number, value: number): void => this.machine.write(BigInt(at + offset), new Uint8Array(Int32Array.of(value, 0).buffer));
    put(0, address + PAGE | 7);
    put(PAGE + gib * 8, address + 2 * PAGE | 7);
    for (let k = 0; k < 2; k++) put(2 * PAGE + k * 8, address + (3 + k) * PAGE | 7);
    for (let page = 0; page < 1024; page++) put(3 * PAGE + page * 8, entry(page));
  }

  enter(asid: number): number {
    this.cpu.guest.enter({ format: 'npt', ncr3: BigInt(NPT), asid });
    return this.cpu.writeCr3(BigInt(ROOT));
  }

  leave(): number {
    this.cpu.guest.leave();
    return this.cpu.writeCr3(this.hostRoot);
  }

  invlpg(va: number): void {
    this.cpu.invlpg(BigInt(va));
  }

  access(va: number, kind: number): unknown {
    const { cpu } = this, fault = cpu.access(0, va, kind);
    return fault === FAULT_NONE ? [cpu.paddr, cpu.cycles] : [fault, cpu.cycles];
  }

  batch(seed: number): unknown {
    const r = new Random(seed), { columns, cpu } = this, span = 1 + r.below(PAGES), answers: number[] = [];
    for (let i = 0; i < BATCH; i++) {
      columns.va[2 * i] = VA + r.below(span) * PAGE + r.below(4000);
      columns.kind[i] = r.of([0, 0, 1, 2, 3]);
      columns.size[i] = 8;
    }
    for (let at = 0; at < BATCH; at++) answers.push(at = cpu.runBatch(columns, at, BATCH, ACCESS_USER), at < BATCH ? cpu.batchFault : FAULT_NONE);
    return [answers, columns.pa.slice()];
  }

  state(): Buffer {
    return stateOf(this.machine, this.bytes);
  }
}

/** @returns what a side does next, the same for both */
function step(r: Random, inside: boolean): (side: Side) => unknown {
  const va = VA + r.below(PAGES) * PAGE + r.below(PAGE), kind = ACCESS_USER | r.of([0, ACCESS_WRITE, ACCESS_FETCH]), seed = r.next(), what = r.below(10), n = r.below(80);
  if (what === 0) return side => side.batch(seed);
  if (what === 1) return side => side.invlpg(va);
  if (what === 2) return side => (inside ? side.leave() : side.enter(1 + (seed & 1)));
  const next = (k: number): number => VA + (((va - VA) >>> 12) + k * 37) % PAGES * PAGE; // most walk
  return side => Array.from({ length: n }, (_, k) => side.access(next(k), kind));
}

it.each([['no caches', small(flat)], ['four ways', small(four)]] as const)('%s', (name, cpu) => {
  const ts = new Side('ts', cpu), wasm = new Side('wasm', cpu), r = new Random(name.length);
  for (let k = 0; k < STEPS; k++) {
    const inside = ts.machine.vcpus[0].guest.format !== undefined, act = step(r, inside), expected = act(ts);
    expect(act(wasm), `step ${k}, ${inside ? 'in a guest' : 'the host'}`).toEqual(expected);
    if (k % 50 === 49) expect(Buffer.compare(ts.state(), wasm.state()), `step ${k}`).toBe(0);
  }
});
