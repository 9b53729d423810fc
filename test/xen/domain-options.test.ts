import { describe, expect, it } from 'vitest';
import { Machine } from '../../src/machine/machine.ts';
import { writeEntry } from '../../src/memory/entry.ts';
import { Hypervisor } from '../../src/xen/hypervisor.ts';
import type { HypervisorOptions } from '../../src/xen/hypervisor-options.ts';
import type { DomainOptions } from '../../src/xen/domain-options.ts';
import { entryOf, P, TABLE } from './guest.ts';

const FRAMES = 0x800, OWN = 0x600, FIRST = 0x400;

function create(options: Partial<HypervisorOptions> = {}): Hypervisor {
  const machine = Machine.create({ extents: [{ base: 0, bytes: (FRAMES + OWN) * 4096 }], mode: 'functional', paging: 'none', openBus: 0, engine: 'ts', vcpus: 1 });
  return Hypervisor.create(machine, { frames: FRAMES, own: { first: FRAMES, frames: OWN }, ...options });
}

const p2m = [[0, FIRST, 4]] as const;
const bad: [what: string, options: Partial<DomainOptions>, field: string][] = [
  ['a frame twice', { p2m: [[0, FIRST, 4], [10, FIRST + 3, 4]] }, 'p2m[1]'],
  ['a part of a frame', { p2m: [[0, FIRST + 0.5, 2]] }, 'p2m[0]'],
  ['no frame', { p2m: [[0, NaN, 2]] }, 'p2m[0]'],
  ['fewer frames than none', { p2m: [[0, FIRST, -1]] }, 'p2m[0]'],
  ['a name below 0', { p2m: [[-1, FIRST, 1]] }, 'p2m[0]'],
  ['a name that does not fit', { p2m: [[2 ** 32 - 1, FIRST, 2]] }, 'p2m[0]'],
  ['a frame of devices', { p2m: [[0, 0xff, 1]] }, 'p2m[0]'],
  ['a frame beyond memory', { p2m: [[0, FRAMES - 1, 2]] }, 'p2m[0]'],
  ['a shared frame of its own', { p2m, sharedInfo: FIRST }, 'sharedInfo'],
  ['a shared frame that there is not', { p2m, sharedInfo: 2 ** 30 }, 'sharedInfo'],
  ['one frame for two things', { sharedInfo: FIRST, grants: { frames: [FIRST] } }, 'grants.frames[0]'],
  ['a grant frame twice', { grants: { frames: [FIRST, FIRST] } }, 'grants.frames[1]'],
  ['pages below 0', { maxPages: -1 }, 'maxPages'],
  ['a part of a page', { maxPages: 1.5 }, 'maxPages'],
  ['a range that ends before it begins', { iomem: [[1, 2], [5, 1]] }, 'iomem[1]'],
  ['a range of no frames', { iomem: [[NaN, 3]] }, 'iomem[0]'],
  ['an address space that ends within an entry', { is32: true, compatStart: 0xf5801000 }, 'compatStart'],
  ['an address space that ends in the third GiB', { is32: true, compatStart: 0xbfe00000 }, 'compatStart'],
  ['a number that is taken', { id: 5 }, 'id'],
];

describe('a domain with options that cannot be', () => {
  it.each(bad)('is refused, with nothing changed: %s', (_what, options, field) => {
    const xen = create();
    xen.createDomain({ id: 5, p2m: [[0, 0x500, 1]] });
    const before = xen.host.s.u8.slice();
    expect(() => xen.createDomain({ id: 1, ...options })).toThrow(expect.objectContaining({ name: 'ConfigError', field }));
    expect(Buffer.compare(before, xen.host.s.u8)).toBe(0);
    expect(xen.createDomain({ id: 1, p2m }).totalPages).toBe(4);
    expect(xen.audit()).toEqual([]);
  });
});

it('frames of devices are frames of memory', () => {
  for (const ioFrames of [-1, 0.5, NaN, FRAMES + 1]) expect(() => create({ ioFrames })).toThrow(expect.objectContaining({ name: 'ConfigError', field: 'ioFrames' }));
  expect(create({ ioFrames: 0 }).createDomain({ id: 1, p2m: [[0, 0, 1]] }).totalPages).toBe(1);
});

describe.each([['64-bit', false], ['32-bit', true]] as const)('a vCPU of a %s domain that cannot start', (_, is32) => {
  it.each([['is no frame of it', 0x500, 0], ['fails at its first entry', FIRST, 0], ['fails later', FIRST, 1]])('leaves nothing: its root %s', (_what, root, slot) => {
    const xen = create(), domain = xen.createDomain({ id: 1, is32, p2m }), cpu = xen.host.machine.vcpus[0]!;
    if (slot > 0) writeEntry(xen.host.s, FIRST * 4096, entryOf(FIRST + 1, is32 ? P : TABLE));
    writeEntry(xen.host.s, FIRST * 4096 + slot * 8, entryOf(0x500, is32 ? P : TABLE));
    expect(() => xen.startVcpu(domain, cpu, root)).toThrow(expect.objectContaining({ name: 'ConfigError', field: 'root' }));
    expect(domain.vcpus.length).toBe(0);
    expect(() => xen.guestOf(cpu)).toThrow('a vCPU that runs a domain');
    for (let mfn = FIRST; mfn < FIRST + 4; mfn++) expect([xen.host.frames.type(mfn), xen.host.frames.refs(mfn)]).toEqual([expect.any(Number), 1]);
    expect(xen.audit()).toEqual([]);
    xen.destroyDomain(1);
    expect(xen.audit()).toEqual([]);
  });
});
