/** The two readers of `.pwt` blocks, on the same sections: the same verdict, and the same memory if the block is sound. */
import { expect, it } from 'vitest';
import { lone } from '../../src/accel/lone.ts';
import { TOUCH_BYTES, TOUCH_WORD } from '../../src/layout/census.ts';
import {
  PWT_ADDRESSES_MOST, PWT_BLOCK_ACCESSES, PWT_BLOCK_KIND, PWT_BLOCK_SIZE, PWT_BLOCK_TOUCHES, PWT_BLOCK_VA, PWT_BYTES, PWT_SECTIONS, PWT_SEGMENTS,
} from '../../src/layout/pwt.ts';
import { AccessBatch } from '../../src/trace/batch.ts';
import { PwtBlockReader } from '../../src/trace/pwt-block-reader.ts';
import { PwtBlockWriter } from '../../src/trace/pwt-block-writer.ts';
import { PwtModel } from '../../src/trace/pwt-model.ts';
import { batches, randomTrace, seeded } from './recording.ts';

interface Block { readonly count: number; readonly sections: Uint8Array[] }

/** Both readers. */
class Twins {
  /** Accesses read before, for what is touched; -1: columns. */
  private before: number;
  readonly ts = new PwtModel();
  private readonly reader = new PwtBlockReader(this.ts);
  private readonly wasm = lone(PWT_BYTES)!;
  readonly bytes = new Uint8Array(this.wasm.buffer, 0, PWT_BYTES);

  constructor(touches: boolean) {
    this.before = touches ? 0 : -1;
  }

  /** @returns whether the block is sound, as both say */
  read({ count, sections }: Block): boolean {
    const [paths, misses, shapes, addresses] = sections.map(s => s.length), all = Buffer.concat(sections), { before } = this;
    if (before >= 0) this.before += count;
    for (const memory of [this.ts.u8, this.bytes]) memory.set(all, PWT_SECTIONS);
    const sound = this.reader.read(count, paths, misses, shapes, addresses, before);
    expect(this.wasm.engine.readPwtBlock(0, count, paths, misses, shapes, addresses, before)).toBe(sound ? 1 : 0);
    return sound;
  }

  /** What both wrote, but for what is behind the accesses of the block. */
  same(count: number): boolean {
    const equal = (from: number, to: number) => Buffer.compare(this.ts.u8.subarray(from, to), this.bytes.subarray(from, to)) === 0;
    if (this.before >= 0) {
      const rows = this.ts.w[PWT_BLOCK_TOUCHES >>> 2], last = PWT_BLOCK_TOUCHES + rows * TOUCH_BYTES;
      return equal(0, PWT_BLOCK_VA) && equal(PWT_BLOCK_TOUCHES, last) && equal(last + TOUCH_WORD, last + TOUCH_WORD + 4);
    }
    return equal(0, PWT_BLOCK_VA + count * 8) && equal(PWT_BLOCK_SIZE, PWT_BLOCK_SIZE + count * 2) && equal(PWT_BLOCK_KIND, PWT_BLOCK_KIND + count);
  }
}

function written(all: Iterable<AccessBatch>): Block[] {
  const writer = new PwtBlockWriter(), blocks: Block[] = [];
  for (const batch of all) {
    writer.write(batch);
    blocks.push({ count: batch.count, sections: [writer.paths, writer.misses, writer.shapes, writer.addresses].map(s => s.bytes.slice(0, s.length)) });
  }
  return blocks;
}

/** Accesses without any order: all segments are new. */
function* noise(blocks: number): Generator<AccessBatch> {
  const random = seeded(3), batch = new AccessBatch();
  for (let k = 0; k < blocks; k++) {
    batch.count = PWT_BLOCK_ACCESSES;
    for (let i = 0; i < batch.count; i++) {
      batch.va[2 * i] = random(2 ** 32);
      batch.va[2 * i + 1] = random(2 ** 32);
      batch.kind[i] = random(4);
      batch.size[i] = 1 + random(65535);
    }
    yield batch;
  }
}

it.each([1, 2, 3, 4, 5, 6])('random trace %i', seed => {
  const twins = new Twins(seed % 2 === 0);
  for (const block of written(batches(randomTrace(seed, 60_000), 1 + seeded(seed)(30_000)))) {
    expect(twins.read(block)).toBe(true);
    expect(twins.same(block.count)).toBe(true);
  }
});

it.each([false, true])('what is not known any more, touches: %s', touches => {
  const twins = new Twins(touches);
  let before = 0, forgotten = 0;
  for (const block of written(noise(6))) {
    expect(block.sections[3].length).toBeLessThanOrEqual(PWT_ADDRESSES_MOST);
    expect(twins.read(block)).toBe(true);
    expect(twins.same(block.count)).toBe(true);
    const now = twins.ts.w[PWT_SEGMENTS >>> 2];
    if (now < before) forgotten++;
    before = now;
  }
  expect(forgotten).toBeGreaterThan(0);
});

it('damaged blocks', () => {
  const random = seeded(7), [whole] = written(batches(randomTrace(8, 400), 400)), verdicts = [0, 0];
  for (let round = 0; round < 200; round++) {
    const sections = whole.sections.map(s => Uint8Array.from(s)), twins = new Twins(round % 2 === 0);
    for (let i = 1 + random(2); i > 0; i--) {
      const s = random(4);
      if (random(4) === 0) sections[s] = sections[s].subarray(0, random(sections[s].length + 1));
      else if (sections[s].length > 0) sections[s][random(sections[s].length)] = random(256);
    }
    const sound = twins.read({ count: whole.count, sections });
    verdicts[Number(sound)]++;
    if (sound) expect(twins.same(whole.count)).toBe(true);
  }
  expect(Math.min(...verdicts)).toBeGreaterThan(10);
});
