import { describe, expect, it } from 'vitest';
import { ACCESS_USER, ACCESS_WRITE } from '../../src/arch/fault.ts';
import { ConfigError, InputError } from '../../src/errors.ts';
import { LAYOUT_VERSION } from '../../src/layout/header.ts';
import { Machine } from '../../src/machine/machine.ts';
import type { MachineOptions } from '../../src/machine/options.ts';
import { wordBytes } from '../../src/memory/image.ts';

const BASE = 0x4000_0000n;

/** Accesses, mappings, invalidations: what happens in a machine. @returns all that was answered */
function live(m: Machine, seed: number, steps: number): unknown[] {
  let x = seed;
  const r = (below: number): number => ((x = (Math.imul(x, 1664525) + 1013904223) >>> 0) >>> 8) % below;
  return Array.from({ length: steps }, () => {
    const cpu = m.vcpus[r(m.vcpus.length)]!, va = BASE + BigInt(r(60 * 4096));
    switch (r(8)) {
      case 0: return cpu.invlpg(va);
      case 1: return r(6) ? 0 : m.map(BASE + BigInt(r(1e6) * 4096), { write: true, user: true, cpu });
      case 2: return cpu.write(va, Uint8Array.from({ length: 9 }, () => r(256)), ACCESS_WRITE);
      case 3: return cpu.counters();
      default: return cpu.translate(va, [0, ACCESS_WRITE, ACCESS_USER][r(3)]!);
    }
  });
}

const make = (options: MachineOptions): Machine => {
  const m = Machine.create({ memory: '4M', ...options });
  for (const cpu of m.vcpus) m.map(BASE, { frames: 40, write: true, user: true, cpu });
  return m;
};

describe.each<[string, MachineOptions]>([
  ['timed', {}], ['functional', { mode: 'functional' }], ['timed, 2 vCPUs', { vcpus: 2 }], ['nested', { nested: true }], ['plain buffer', { buffer: 'plain', engine: 'ts' }],
])('a snapshot of a machine (%s)', (_, options) => {
  it('brings it back, byte for byte, and what follows is the same', () => {
    const m = make(options);
    live(m, 1, 400);
    const image = m.snapshot(), then = Buffer.from(m.views.u8), after = live(m, 2, 300);
    expect(Buffer.compare(then, m.views.u8)).not.toBe(0);
    m.restore(image);
    expect(Buffer.compare(then, m.views.u8)).toBe(0);
    expect(live(m, 2, 300)).toEqual(after);
    const other = Machine.create({ memory: '4M', ...options }); // frames handed out are of the machine, too
    other.restore(image);
    expect(Buffer.compare(then, other.views.u8)).toBe(0);
    expect(Buffer.compare(other.snapshot(), image)).toBe(0);
    expect(live(other, 2, 300)).toEqual(after);
    expect(Buffer.compare(other.views.u8, m.views.u8)).toBe(0);
  });
});

describe('a snapshot', () => {
  const source = make({});
  live(source, 3, 200);
  const image = source.snapshot();

  /** Restore a spoiled copy. @returns the error; nothing has changed */
  function refusal(spoil: (bytes: Uint8Array) => Uint8Array, options: MachineOptions = {}): Error {
    const m = make(options), before = Buffer.from(m.views.u8), frames = m.frames.state();
    let error: unknown;
    try {
      m.restore(spoil(image.slice()), 'night.pwms');
    } catch (thrown) {
      error = thrown;
    }
    expect(Buffer.compare(before, m.views.u8)).toBe(0);
    expect(m.frames.state()).toEqual(frames);
    return error as Error;
  }

  it('leaves out what is zero', () => {
    expect(image.length).toBeLessThan(source.views.byteLength / 2);
    expect(source.extents).toEqual(make({}).extents);
  });

  it('of another version, or of something else, is refused', () => {
    const version = refusal(bytes => { bytes[4]!++; return bytes; }), magic = refusal(bytes => { bytes[0] = 0; return bytes; });
    expect(version).toBeInstanceOf(InputError);
    expect(version.message).toBe(`night.pwms: byte 4 (version): expected ${LAYOUT_VERSION}, got ${LAYOUT_VERSION + 1}`);
    expect(magic.message).toBe('night.pwms: byte 0 (magic): expected 0x736d7770, got 0x736d7700');
  });

  it.each([0, 3, 15, 16, 20, 40, image.length >>> 1, image.length - 1])('cut short after %i bytes is refused', length => {
    const error = refusal(bytes => bytes.slice(0, length));
    expect(error).toBeInstanceOf(InputError);
    expect(error.message).toMatch(new RegExp(`^night.pwms: byte ${length} \\((header|record \\d+ of \\d+|frames 0|block \\d+)\\): expected \\d+ (more )?bytes, got the end of the file$`));
  });

  it.each([null, undefined, 'bytes', [1, 2], new ArrayBuffer(4000), new Float64Array(500)])('that is no bytes is refused: %o', other => {
    expect(refusal(() => other as unknown as Uint8Array)).toMatchObject({ name: 'ConfigError', field: 'night.pwms' });
  });

  it('with more behind it is refused', () => {
    expect(refusal(bytes => Uint8Array.from({ length: bytes.length + 1 }, (_, k) => bytes[k] ?? 0)).message).toBe(`night.pwms: byte ${image.length} (end): expected the end of the file, got 1 more bytes`);
  });

  it('with any byte flipped is refused, and told where', () => {
    for (let at = 0; at < image.length; at += at < 200 ? 1 : 4099) {
      const error = refusal(bytes => { bytes[at]! ^= 1 << at % 8; return bytes; });
      expect(error, `byte ${at}`).toBeInstanceOf(InputError);
      expect(error.message).toMatch(/^night.pwms: byte \d+ \(.+\): expected .+, got .+/);
    }
    const inBlock = refusal(bytes => { bytes[bytes.length - 5]! ^= 1; return bytes; }) as InputError;
    expect(inBlock.where).toMatch(/^byte \d+ \(checksum of block \d+\)$/);
  });

  it('of a machine made otherwise is refused', () => {
    for (const options of [{ memory: '8M' }, { vcpus: 2 }, { mode: 'functional' }, { paging: '5-level', features: { la57: true } }] as MachineOptions[]) {
      expect(refusal(bytes => bytes, options), JSON.stringify(options)).toBeInstanceOf(ConfigError);
    }
  });

  it('brings memory that was plugged in to a machine that has none of it, and takes away what came later', () => {
    const m = make({}), before = m.snapshot();
    m.addExtent({ base: 0x1000_0000, bytes: 1 << 20 });
    m.write(0x1000_0010n, Uint8Array.of(7));
    const later = m.snapshot(), bytes = Buffer.from(m.views.u8), other = make({});
    other.restore(later);
    expect(Buffer.compare(bytes, other.views.u8)).toBe(0);
    expect(other.extents.map(e => e.base)).toEqual([0, 0x10000]);
    m.restore(before);
    expect(m.extents.map(e => e.base)).toEqual([0]);
    const out = new Uint8Array(1);
    other.read(0x1000_0010n, out);
    expect(out[0]).toBe(7);
    m.addExtent({ base: 0x2000_0000, bytes: 1 << 20 });
    expect(m.extents.map(e => e.id)).toEqual([0, 1]);
  });

  it('is little-endian words', () => {
    expect([...wordBytes([1, -2])]).toEqual([1, 0, 0, 0, 254, 255, 255, 255]);
  });
});
