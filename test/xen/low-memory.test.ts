import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/errors.ts';
import { lowMemory, type LowMemoryOptions } from '../../src/xen/low-memory.ts';
import { pvSpectrum, type SpectrumRow } from '../../src/xen/pv-spectrum.ts';

describe('low memory of a 32-bit domain 0', () => {
  it('is at most 728 MiB with the hole of the public header', () => {
    expect(0x1_0000_0000 - 0xf580_0000).toBe(168 * 2 ** 20);
    expect(lowMemory({ memory: 4096 }).most).toBe(728);
    expect(lowMemory({ memory: 512 })).toMatchObject({ low: 512, high: 0 });
    expect(lowMemory({ memory: 1024 })).toMatchObject({ low: 728, high: 296 });
  });

  it('is 752 MiB only with 104 MiB of vmalloc or less', () => {
    const enough = Array.from({ length: 128 }, (_, k) => k + 1).filter(vmalloc => lowMemory({ memory: 4096, vmalloc }).most >= 752);
    expect(enough.at(-1)).toBe(104);
    expect(lowMemory({ memory: 4096, hypervisorHole: 0 }).most).toBe(896); // no hypervisor: the kernel's own figure
  });

  it('gives 9 MiB to each GiB of frames, those of holes too', () => {
    expect(lowMemory({ memory: 1024 })).toMatchObject({ metadataPerGib: 9, metadata: 9, left: 719 });
    const holes = lowMemory({ memory: 4096, mmioHoles: [[3584, 4096]] });
    expect(holes).toMatchObject({ remapped: 512, end: 4608, metadata: 40.5, left: 687.5 });
    expect(lowMemory({ memory: 4096 })).toMatchObject({ remapped: 0, end: 4096, metadata: 36 });
    expect(lowMemory({ memory: 8192, mmioHoles: [[3072, 3328], [3840, 4096]] })).toMatchObject({ remapped: 512, end: 8704 });
    expect(lowMemory({ memory: 3200, mmioHoles: [[3840, 4096], [3072, 3328]] })).toMatchObject({ remapped: 0, end: 3456 });
    expect(lowMemory({ memory: 3072, mmioHoles: [[3072, 4096]] })).toMatchObject({ remapped: 0, end: 3072 });
  });

  it('does not suffice for what describes some 81 GiB', () => {
    const last = Array.from({ length: 100 }, (_, k) => k + 1).filter(gib => lowMemory({ memory: gib * 1024 }).left > 0).at(-1);
    expect(last).toBe(80);
  });

  it.each([
    [{ memory: -1 }, 'memory'], [{ memory: 1, vmalloc: 900 }, 'vmalloc'], [{ memory: 1, mmioHoles: [[10, 5]] as const }, 'mmioHoles[0]'],
    [{ memory: 9000, mmioHoles: [[0, 20], [10, 30]] as const }, 'mmioHoles[1]'], [{ memory: 9000, mmioHoles: [[4000, 5000]] as const }, 'mmioHoles[0]'],
    [{ memory: 5, mmioHoles: [[1000, 2000], [1500, 1600]] as const }, 'mmioHoles[1]'], [{ memory: 5, mmioHoles: [[1500, 1600], [20, 30], [1000, 2000]] as const }, 'mmioHoles[2]'],
    [{ memory: 5, mmioHoles: [[4000, 5000]] as const }, 'mmioHoles[0]'], [{ memory: 5, mmioHoles: 5 }, 'mmioHoles'], [{ memory: 5, mmioHoles: [5] }, 'mmioHoles[0]'],
    [{ memory: 5, mmioHoles: [[1, 2, 3]] }, 'mmioHoles[0]'], [{ memory: 5, mmioHoles: [['1', '2']] }, 'mmioHoles[0]'], [{ memory: 5, mmioHoles: null }, 'mmioHoles'],
    [{ memory: 5, hole: 168 }, 'hole'], [{ mmioHoles: 5 }, 'memory'], [{}, 'memory'], [undefined, 'options'], [null, 'options'], [4096, 'options'],
  ])('refuses %j by the name of the field', (options, field) => {
    expect(() => lowMemory(options as LowMemoryOptions)).toThrow(expect.objectContaining({ constructor: ConfigError, field }) as Error);
  });
});

it('the spectrum goes from emulated to paravirtual, a part at a time', () => {
  const parts = ['diskAndNetwork', 'interruptsAndTimers', 'boot', 'memory', 'privilegedInstructions'] as const satisfies (keyof SpectrumRow)[];
  const paravirtual = Object.values(pvSpectrum).map(row => parts.filter(part => row[part] === 'paravirtual'));
  expect(paravirtual).toEqual([[], parts.slice(0, 1), parts.slice(0, 2), parts.slice(0, 3), parts]);
  for (const row of Object.values(pvSpectrum)) expect([row.memory, row.privilegedInstructions]).not.toContain('emulated');
});
