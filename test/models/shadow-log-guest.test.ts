/** The log that shadows keep, of real ones. */
import { expect, it } from 'vitest';
import { ACCESS_READ, ACCESS_USER } from '../../src/arch/fault.ts';
import { dirtyFrames } from '../../src/models/dirty-log.ts';
import { migrate } from '../../src/models/live-migration.ts';
import { ShadowLog } from '../../src/models/shadow-log.ts';
import type { ShadowPolicy } from '../../src/virt/shadow/policy.ts';
import { Kernel } from '../virt/shadow/kernel.ts';
import { A, bytesOf, D, DATA, FRAMES, Guest, L1, MAP, MAP_L3, page, ROOT, USER_PAGE } from '../virt/shadow/small-guest.ts';
import { FRAMES as TWIN_FRAMES, MODES } from '../virt/shadow/twin.ts';
import { Random } from '../wasm/engine-duel.ts';

const TABLES = Array.from({ length: MAP_L3 }, (_, k) => ROOT + k), PAGES = 16, ENTRY_BYTES = 8;

/** Two guests that do the same, one of which is logged, and what the log has to have. */
class Pair {
  readonly logged: Guest;
  readonly plain: Guest;
  readonly log: ShadowLog;
  readonly written = new Set<number>();
  /** Of them, those that took a fault. */
  readonly faulted = new Set<number>();
  private value = 0n;
  private readonly random: Random;

  constructor(policy: Partial<ShadowPolicy>, seed: number) {
    this.logged = new Guest(policy);
    this.plain = new Guest(policy);
    this.random = new Random(seed);
    this.log = new ShadowLog(this.logged.shadow, FRAMES);
    this.log.enable();
  }

  /** The frame that a page of the process is. */
  frameOf(k: number): number {
    return Number(this.logged.entry(L1, k) >> 12n & 0xffff_ffffn);
  }

  step(): void {
    const { random } = this, dice = random.below(20), k = random.below(PAGES), frame = DATA + random.below(2 * PAGES), before = this.tables();
    if (dice < 8) this.store(page(k) + BigInt(random.below(500) * ENTRY_BYTES), ACCESS_USER, this.frameOf(k));
    else if (dice < 11) this.store(MAP + page(frame), ACCESS_READ, frame);
    else if (dice < 14) for (const { cpu } of [this.logged, this.plain]) expect(cpu.read(page(k), new Uint8Array(ENTRY_BYTES), ACCESS_USER)).toBe(0);
    else if (dice < 16) this.remap(k, BigInt(frame) << 12n | USER_PAGE);
    else if (dice < 18) this.remap(k, this.logged.entry(L1, k) & ~(random.below(2) ? A : D));
    else this.device(frame);
    this.tables().forEach((table, at) => { if (!table.equals(before[at]!)) this.note(TABLES[at]!); });
  }

  /** A store of what was never stored before; the first to a page in a round is one fault that is told, and again the same is none of any kind. */
  private store(va: bigint, kind: number, frame: number): void {
    const { logged, plain } = this, data = bytesOf(++this.value), { shadow } = logged, isClean = !this.written.has(frame), tables = this.tables();
    const before = shadow.counters();
    expect([logged.cpu.write(va, data, kind), plain.cpu.write(va, data, kind)]).toEqual([0, 0]);
    const after = shadow.counters(), marked = this.tables().filter((table, at) => !table.equals(tables[at]!) && !this.written.has(TABLES[at]!)).length;
    expect(after.logDirty - before.logDirty).toBe(marked + (isClean ? 1 : 0));
    if (isClean) expect(after.exitPageFault).toBeGreaterThan(before.exitPageFault);
    this.note(frame);
    expect([logged.cpu.write(va, data, kind), plain.cpu.write(va, data, kind)]).toEqual([0, 0]);
    expect(shadow.counters().exitPageFault).toBe(after.exitPageFault);
  }

  private note(frame: number): void {
    if (!this.written.has(frame)) this.faulted.add(frame);
    this.written.add(frame);
  }

  private remap(k: number, entry: bigint): void {
    const was = this.logged.entry(L1, k);
    for (const guest of [this.logged, this.plain]) {
      guest.store(L1, k, entry);
      guest.cpu.invlpg(page(k));
    }
    if (entry === was) this.note(L1); // no byte has changed, but it was written
  }

  /** A page that others than the guest's processors write. */
  private device(frame: number): void {
    const data = bytesOf(++this.value);
    for (const { machine, p2m, shadow } of [this.logged, this.plain]) {
      machine.write(BigInt(p2m[frame]! * 4096), data);
      if (shadow === this.plain.shadow) shadow.written(frame * 4096, ENTRY_BYTES);
    }
    this.log.mark(frame);
    this.written.add(frame);
  }

  private tables(): Buffer[] {
    return TABLES.map(gfn => this.bytes(this.logged, gfn));
  }

  bytes({ machine, p2m }: Guest, gfn: number): Buffer {
    const out = new Uint8Array(4096);
    machine.read(BigInt(p2m[gfn]! * 4096), out);
    return Buffer.from(out.buffer);
  }
}

it.each([['the defaults', {}], ['every write emulated', { outOfSync: 0 }], ['small pages', { superpages: false, fastPath: false }]] as const)('bitmap and faults are of the pages written, and memory is as without a log: %s', (_, policy) => {
  const pair = new Pair(policy, 5), sizes: number[] = [];
  for (let round = 0; round < 25; round++) {
    for (let k = 0; k < 40; k++) pair.step();
    for (const pages of [pair.log.peek(), pair.log.clean()]) {
      expect(dirtyFrames(pages.bitmap)).toEqual([...pair.written].sort((a, b) => a - b));
      expect([pages.dirty, pages.faults]).toEqual([pair.written.size, pair.faulted.size]);
    }
    sizes.push(pair.faulted.size);
    pair.written.clear();
    pair.faulted.clear();
    expect(pair.logged.shadow.audit()).toEqual([]);
    for (let gfn = 0; gfn < DATA + 2 * PAGES; gfn++) expect(pair.bytes(pair.logged, gfn).equals(pair.bytes(pair.plain, gfn)), `frame ${gfn}`).toBe(true);
  }
  expect(Math.min(...sizes)).toBeGreaterThan(5);
  pair.log.disable();
  expect(pair.logged.shadow.audit()).toEqual([]);
});

it.each(MODES)('what is sent round by round is what a random kernel (%s) has in the end', mode => {
  const kernel = new Kernel({ mode, scrambled: true, nested: false }, 11), { twin } = kernel, log = new ShadowLog(twin.guest, TWIN_FRAMES), image = new Uint8Array(TWIN_FRAMES * 4096);
  const { rounds } = migrate({
    log, pages: [...Array(TWIN_FRAMES).keys()], maxRounds: 8, threshold: 1, stalledRounds: 9,
    send: gfns => { for (const gfn of gfns) twin.machine.read(BigInt(twin.p2m[gfn]! * 4096), image.subarray(gfn * 4096, (gfn + 1) * 4096)); },
    run: () => { for (let k = 0; k < 150; k++) kernel.step(); },
  });
  twin.compare();
  expect(twin.differences).toEqual([]);
  expect(rounds.map(({ dirty }) => dirty > 0 && dirty < TWIN_FRAMES / 10)).toEqual(Array(8).fill(true));
  const its = new Uint8Array(image.length);
  twin.native.read(0n, its);
  expect(Buffer.compare(image, its)).toBe(0);
});
