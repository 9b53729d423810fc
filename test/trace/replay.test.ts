import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/errors.ts';
import { skylake } from '../../src/cost/presets/skylake.ts';
import { zen3 } from '../../src/cost/presets/zen3.ts';
import { AccessBatch, KIND_LOAD, KIND_STORE, type TraceReader } from '../../src/trace/batch.ts';
import { replay, type ReplayOptions } from '../../src/trace/replay.ts';

/** A trace of 8-byte loads (or another kind) at these addresses, in batches of `size`. */
class Made implements TraceReader {
  readonly format = 'made';
  readonly skipped = 0;
  readonly bytesRead = 0;
  readonly bytesTotal = undefined;
  closed = 0;
  private at = 0;
  private readonly addresses: readonly bigint[];
  private readonly size: number;
  private readonly kind: number;
  constructor(addresses: readonly bigint[], size = 1000, kind = KIND_LOAD) {
    this.addresses = addresses;
    this.size = size;
    this.kind = kind;
  }
  async next(): Promise<AccessBatch | undefined> {
    const part = this.addresses.slice(this.at, this.at += this.size);
    if (part.length === 0) return undefined;
    const batch = new AccessBatch(part.length);
    new BigUint64Array(batch.va.buffer).set(part);
    batch.kind.fill(this.kind);
    batch.size.fill(8);
    batch.count = part.length;
    return batch;
  }
  async close(): Promise<void> { this.closed++; }
}

const options = (more: Partial<ReplayOptions> = {}): ReplayOptions => ({ name: 'made', cpus: [zen3], pages: ['4k'], ...more });
const stride = (n: number, step: bigint, base = 0x7f00_0000_0000n): bigint[] => Array.from({ length: n }, (_, k) => base + BigInt(k) * step);
const laps = (addresses: readonly bigint[], n: number): bigint[] => Array.from({ length: n }, () => addresses).flat();

describe('replay', () => {
  it('misses as often as the TLB reaches', async () => {
    const fits = await replay(new Made(laps(stride(64, 4096n), 10)), options());
    const spills = await replay(new Made(laps(stride(65, 4096n), 10)), options());
    const misses = (r: typeof fits) => r.runs[0].tlb[0].loadMisses;
    expect(misses(fits)).toBe(64); // each page once
    expect(misses(spills)).toBe(650); // 65 pages in a cycle of 64 LRU entries: every time
    expect(spills.runs[0].walks).toBe(65); // the second level holds them
  });

  it('counts the levels so that they add up', async () => {
    const result = await replay(new Made(laps(stride(5000, 4096n), 3)), options({ cpus: [zen3, skylake], pages: ['4k', '2m', 'thp'] }));
    expect(result.runs).toHaveLength(6);
    for (const run of result.runs) {
      expect(run.translations).toBe(15000);
      const [l1, l2] = run.tlb;
      expect(l1.loadHits + l1.loadMisses).toBe(15000);
      expect(l2.loadHits + l2.loadMisses).toBe(l1.loadMisses);
      expect(run.walks).toBe(l2.loadMisses);
      expect(run.walkDepth.reduce((sum, n) => sum + n, 0)).toBe(run.walks);
      expect(run.walkDepth.reduce((sum, n, refs) => sum + n * refs, 0)).toBe(run.references);
      expect(l1.missesBySize.reduce((sum, n) => sum + n, 0)).toBe(l1.loadMisses);
      expect(run.series.reduce((sum, p) => sum + p.l1Misses, 0)).toBe(l1.loadMisses);
      expect(run.series.reduce((sum, p) => sum + p.walks, 0)).toBe(run.walks);
      expect(run.series.reduce((sum, p) => sum + p.cycles, 0)).toBe(run.cycles.total);
      expect(run.series.reduce((sum, p) => sum + p.newPages, 0)).toBe(5000);
      expect(run.series.at(-1)!.at).toBe(15000);
    }
  });

  it('is the same however the trace is cut into batches', async () => {
    const addresses = laps(stride(700, 0x3008n), 30);
    const whole = await replay(new Made(addresses, 30000), options({ pages: ['4k', '2m'] }));
    const cut = await replay(new Made(addresses, 77), options({ pages: ['4k', '2m'] }));
    expect(cut.runs).toEqual(whole.runs);
    expect(cut.trace).toEqual(whole.trace);
  });

  it('maps pages of the size asked for; a crossing access touches both', async () => {
    const mapped = async (pages: ReplayOptions['pages'][number], addresses: bigint[]) => (await replay(new Made(addresses), options({ pages: [pages] }))).runs[0].mapped;
    expect(await mapped('4k', [0x1ffcn])).toEqual([2, 0, 0]);
    expect(await mapped('2m', [0x1f_fffcn])).toEqual([0, 2, 0]);
    expect(await mapped('1g', stride(10, 1n << 29n))).toEqual([0, 0, 5]);
    expect(await mapped('thp', stride(63, 4096n))).toEqual([63, 0, 0]);
    expect(await mapped('thp', stride(64, 4096n))).toEqual([0, 1, 0]);
    expect(await mapped('thp', stride(1024, 4096n))).toEqual([0, 2, 0]);
  });

  it('reaches the ends of the address space', async () => {
    const ends = [0n, 0x7fff_ffff_fff0n, 0xffff_8000_0000_0000n, 0xffff_ffff_ffff_f000n];
    const result = await replay(new Made(ends), options({ pages: ['4k', '2m', '1g', 'thp'] }));
    for (const run of result.runs) expect(run.walks).toBe(4);
    expect(result.trace.map.map(r => r.start)).toEqual(['0x0', '0x7ffffffff000', '0xffff800000000000', '0xfffffffffffff000']);
  });

  it('a store sets D at the first touch, so it walks once', async () => {
    const { runs } = await replay(new Made(laps([0x5000n], 5), 1000, KIND_STORE), options());
    expect(runs[0].walks).toBe(1);
  });

  it('stops at the limit, closes the reader, and keeps series points bounded', async () => {
    const reader = new Made(laps(stride(10, 4096n), 200_000), 65536);
    const result = await replay(reader, options({ limit: 1_200_001 }));
    expect(result.trace.accesses).toBe(1_200_001);
    expect(result.runs[0].series.length).toBeGreaterThan(250);
    expect(result.runs[0].series.length).toBeLessThanOrEqual(513);
    expect(reader.closed).toBe(1);
  });

  it('refuses what it cannot do, and closes the reader', async () => {
    const reader = new Made([1n << 47n]);
    await expect(replay(reader, options())).rejects.toThrow(/made: access 1: expected a canonical address .* got 0x800000000000/);
    expect(reader.closed).toBe(1);
    await expect(replay(new Made([0n]), options({ cpus: [] }))).rejects.toThrow(ConfigError);
    const wrong = { cpus: 'zen3', pages: ['8k'], numa: 'interleaved' };
    for (const [field, value] of Object.entries(wrong)) {
      await expect(replay(new Made([0n]), options({ [field]: value })), field).rejects.toThrow(expect.objectContaining({ name: 'ConfigError', message: expect.stringContaining(field) }));
    }
    await expect(replay(new Made([0n]), options({ nodes: 9 }))).rejects.toThrow(/nodes/);
    await expect(replay(new Made([0n]), options({ limit: 0 }))).rejects.toThrow(/limit/);
  });
});
