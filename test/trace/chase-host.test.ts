import { describe, expect, it } from 'vitest';
import { hostEntryHi, hostEntryLo, hostFrameLo, type HostModel } from '../../src/cost/host-model.ts';
import { findPreset } from '../../src/cost/presets/all.ts';
import { ConfigError } from '../../src/errors.ts';
import { Machine } from '../../src/machine/machine.ts';

const HOST: HostModel = { title: 'a host', entryCycles: 5, lastCachePercent: 50 };
const cpu = findPreset('zen3');

describe('host frames', () => {
  it.each([0, 1, 0x80, 0x100001])('are a shuffle of the frames below 4 GiB of high word %i', hi => {
    const seen = new Uint8Array(1 << 20);
    for (let frame = 0; frame < 1 << 20; frame++) seen[hostFrameLo(hi, frame << 12) >>> 12]!++;
    expect(seen.every(n => n === 1)).toBe(true);
  });

  it('keep the offset in the frame', () => expect(hostFrameLo(3, 0x12345678) & 0xfff).toBe(0x678));

  it('spread neighbours over 16 colours as chance would', () => {
    const colours = new Array<number>(16).fill(0);
    for (let frame = 0; frame < 4096; frame++) colours[(hostFrameLo(0, frame << 12) >>> 12) & 15]!++;
    const chi2 = colours.reduce((sum, n) => sum + (n - 256) ** 2 / 256, 0);
    expect(chi2).toBeLessThan(37.7); // 15 degrees of freedom, 0.1 %
  });
});

it('host entries are 8 bytes side by side above bit 52, whatever the frame', () => {
  const address = (frame: number) => {
    const hi = Math.floor(frame / 2 ** 20), lo = (frame % 2 ** 20) * 4096 | 0;
    return hostEntryHi(hi) * 2 ** 32 + (hostEntryLo(hi, lo) >>> 0) - 2 ** 52;
  };
  for (const frame of [0, 1, 511, 2 ** 20 - 1, 2 ** 20, 2 ** 29 - 1, 2 ** 29, 2 ** 40 - 1]) expect(address(frame)).toBe(frame * 8);
});

describe('a machine under a host', () => {
  it('loads a host entry for each table read and for the page, and prices them', () => {
    const machine = Machine.create({ cpu, host: HOST });
    machine.map(0x40000000n, { write: true });
    const vcpu = machine.vcpus[0]!;
    const cold = vcpu.translate(0x40000000n, 0);
    expect(vcpu.counters().hostHits.reduce((a, b) => a + b)).toBe(5);
    expect(vcpu.counters().referenceHits.reduce((a, b) => a + b)).toBe(4);
    vcpu.flush();
    vcpu.resetCounters();
    const warm = vcpu.translate(0x40000000n, 0);
    expect(vcpu.counters().hostHits).toEqual([5, 0, 0, 0]);
    expect(warm.cycles).toBe(16 + 5 * 5 + 4 * 4 + 5 * 4); // walk, host entries, loads of four entries and of five host entries
    expect(cold.cycles).toBeGreaterThan(warm.cycles);
  });

  it('loads no host entry for the page of a walk that faults', () => {
    const vcpu = Machine.create({ cpu, host: HOST }).vcpus[0]!;
    expect(vcpu.translate(0x40000000n, 0).ok).toBe(false);
    const c = vcpu.counters();
    expect(c.hostHits.reduce((a, b) => a + b)).toBe(c.referenceHits.reduce((a, b) => a + b));
  });

  it('translates as without, in 4K fragments', () => {
    const outcome = (host?: HostModel) => {
      const machine = Machine.create({ cpu, memory: '64M', ...(host ? { host } : {}) });
      machine.map(0x40000000n, { size: '2m' });
      return machine.vcpus[0]!.translate(0x40012345n, 0);
    };
    const bare = outcome(), guest = outcome(HOST);
    expect(bare).toMatchObject({ ok: true, pageBytes: 1 << 21 });
    expect(guest).toMatchObject({ ok: true, pageBytes: 4096 });
    expect(guest.ok && bare.ok && guest.paddr === bare.paddr).toBe(true);
  });

  it('explains where a load would hit as it is then charged', () => {
    const machine = Machine.create({ cpu, host: HOST });
    machine.map(0x40000000n, { write: true });
    const vcpu = machine.vcpus[0]!;
    expect(vcpu.explain(0x40000000n, 0).references.map(r => r.where)).toEqual(['memory', 'memory', 'memory', 'memory']);
    vcpu.translate(0x40000000n, 0);
    expect(vcpu.explain(0x40000000n, 0).references.map(r => r.where)).toEqual(['l1d', 'l1d', 'l1d', 'l1d']);
  });

  it.each([
    ['host', 5],
    ['host.entryCycles', { ...HOST, entryCycles: -1 }],
    ['host.entryCycles', { title: 'x', lastCachePercent: 50 }],
    ['host.lastCachePercent', { ...HOST, lastCachePercent: 0 }],
    ['host.lastCachePercent', { ...HOST, lastCachePercent: 12.5 }],
  ])('refuses a bad %s', (field, host) => {
    const create = () => Machine.create({ cpu, host: host as HostModel });
    expect(create).toThrow(ConfigError);
    expect(create).toThrow(`${field}: expected`);
  });

  it('refuses larger host pages', () => expect(() => Machine.create({ cpu, host: HOST, hostPage: '2m' })).toThrow('hostPage: expected one of 4k'));
});
