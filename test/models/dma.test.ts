import { describe, expect, it } from 'vitest';
import { Machine } from '../../src/index.ts';
import { readEntry, writeEntry } from '../../src/memory/entry.ts';
import { DmaDoor } from '../../src/models/dma-door.ts';
import { IdentityModel } from '../../src/models/identity-model.ts';
import { Iommu } from '../../src/models/iommu.ts';
import { P2mModel } from '../../src/models/p2m-model.ts';
import { TranslatedModel } from '../../src/models/translated-model.ts';
import { WriteLog } from '../../src/models/write-log.ts';
import { ARGS, FIRST, Guest } from '../xen/guest.ts';
import { TranslatedGuest } from './translated-guest.ts';

const DATA = Uint8Array.from({ length: 6000 }, (_, k) => k * 13);
const NONE = { made: 0, 'not an address': 0, 'not its frame': 0, 'untranslated': 0, 'IOMMU fault': 0 };

function bytesAt(machine: Machine, pa: number, length: number): Uint8Array {
  const out = new Uint8Array(length);
  machine.read(BigInt(pa), out);
  return out;
}

it('P==M: addresses are machine addresses, and no one looks', () => {
  const machine = Machine.create({ memory: '4M' }), model = new IdentityModel(16, 64), door = new DmaDoor(machine, model), out = new Uint8Array(6000);
  expect([model.machineFrame(20), model.guestFrame(20), model.deviceFrame(79), model.machineFrame(80), model.machineFrame(15)]).toEqual([20, 20, 79, -1, -1]);
  expect([door.write(20 * 4096 + 100, DATA), door.read(20 * 4096 + 100, out), door.write(300 * 4096, DATA)]).toEqual(Array(3).fill({ ok: true }));
  expect(out).toEqual(DATA);
  expect(bytesAt(machine, 300 * 4096, 6000)).toEqual(DATA); // another's
  for (const address of [-1, 0.5, 2 ** 52 - 5, NaN]) expect(door.read(address, out)).toEqual({ ok: false, address, reason: 'not an address' });
  expect(door.counts).toEqual({ ...NONE, 'made': 3, 'not an address': 4 });
  expect(() => new IdentityModel(0, 0)).toThrow('frames: ');
});

describe('P2M', () => {
  const guest = new Guest(), model = new P2mModel(guest.xen, 0), door = new DmaDoor(guest.machine, model);

  it('machine frames by the hypervisor, both ways', () => {
    for (const pfn of [0, 1, 70, 1023]) expect([model.machineFrame(pfn), model.guestFrame(FIRST + pfn), model.deviceFrame(pfn)]).toEqual([FIRST + pfn, pfn, FIRST + pfn]);
    expect([model.machineFrame(1024), model.guestFrame(FIRST - 1), model.guestFrame(guest.sharedInfo), model.guestFrame(2 ** 40)]).toEqual([-1, -1, -1, -1]);
    expect(() => new P2mModel(guest.xen, 5)).toThrow('domid: ');
  });

  it('an access has to be of its own frames, all of them', () => {
    const at = guest.free(3) * 4096 + 500, before = guest.machine.pages.hash(BigInt(ARGS * 4096));
    expect(door.write(at, DATA)).toEqual({ ok: true });
    expect(bytesAt(guest.machine, at, 6000)).toEqual(DATA);
    expect(door.write(70 * 4096, DATA)).toEqual({ ok: false, address: 70 * 4096, reason: 'not its frame', mfn: 70 }); // as if it were pseudo-physical
    expect(door.write(ARGS * 4096 + 4000, DATA)).toEqual({ ok: false, address: (ARGS + 1) * 4096, reason: 'not its frame', mfn: ARGS + 1 });
    expect(guest.machine.pages.hash(BigInt(ARGS * 4096))).toBe(before);
    expect(door.counts).toEqual({ ...NONE, 'made': 1, 'not its frame': 2 });
  });
});

describe.each([['ept', 4], ['ept', 5], ['npt', 4]] as const)('VP (%s, %i levels)', (format, levels) => {
  const make = (machine = {}) => {
    const guest = new TranslatedGuest({ format, levels, accessedDirty: false }, machine);
    return { guest, model: new TranslatedModel(guest.tables) };
  };

  it('an untranslated access is caught: it is told what it would have hit, and what was meant', () => {
    const { guest, model } = make(), door = new DmaDoor(guest.machine, model), before = guest.machine.pages.hash(0n, 8192), mfn = guest.tables.machineFrame(9);
    expect([model.machineFrame(9), model.guestFrame(mfn), model.deviceFrame(9), model.deviceFrame(400), model.guestFrame(3)]).toEqual([mfn, 9, 9, -1, -1]);
    expect(door.write(model.deviceFrame(9) * 4096 + 8, DATA)).toEqual({ ok: false, address: 9 * 4096 + 8, reason: 'untranslated', hit: 9, meant: mfn });
    expect(door.read(mfn * 4096, new Uint8Array(4))).toEqual({ ok: false, address: mfn * 4096, reason: 'untranslated', hit: mfn, meant: -1 });
    expect([guest.machine.pages.hash(0n, 8192), door.counts]).toEqual([before, { ...NONE, untranslated: 2 }]);
  });

  it.each([{}, { mode: 'functional' as const }])('an IOMMU translates it by the tables of the second stage (%j)', options => {
    const { guest, model } = make(options), iommu = new Iommu(guest.machine, guest.tables), door = new DmaDoor(guest.machine, model, { iommu }), out = new Uint8Array(6000);
    const entries = guest.ownTables();
    expect(door.write(9 * 4096 + 3000, DATA)).toEqual({ ok: true }); // two pages that are apart
    expect(guest.cpu.read(guest.va(9) + 3000n, out, 0)).toBe(0);
    expect(out).toEqual(DATA);
    expect([door.read(9 * 4096 + 3000, out), out]).toEqual([{ ok: true }, DATA]);
    guest.cpu.write(guest.va(30), Uint8Array.of(77), 2);
    expect([door.read(30 * 4096, out.subarray(0, 1)), out[0]]).toEqual([{ ok: true }, 77]);
    expect([guest.ownTables(), iommu.faults, door.counts]).toEqual([entries, 0, { ...NONE, made: 3 }]);
  });

  it('its faults are reported, and nothing is done of what faults', () => {
    const { guest, model } = make(), iommu = new Iommu(guest.machine, guest.tables), door = new DmaDoor(guest.machine, model, { iommu }), ept = format === 'ept';
    guest.tables.map(10, guest.tables.machineFrame(10), { write: false });
    const before = guest.machine.pages.hash(0n, 8192);
    const refused = (address: number, write: boolean, reason: number, text: string) => ({ ok: false, address, reason: 'IOMMU fault', fault: { format, address, write, reason, text } });
    expect(door.write(9 * 4096 + 4000, DATA.subarray(0, 100))).toEqual(refused(10 * 4096, true, ept ? 5 : 3, ept ? 'no right to write' : 'no right'));
    expect(door.read(10 * 4096, new Uint8Array(2))).toEqual({ ok: true });
    expect(door.read(400 * 4096, new Uint8Array(2))).toEqual(refused(400 * 4096, false, ept ? 6 : 0, ept ? 'no right to read' : 'not present'));
    expect(door.write(2 ** 51, DATA)).toEqual(refused(2 ** 51, true, ept ? 5 : 2, ept ? 'no right to write' : 'not present'));
    expect(guest.machine.pages.hash(0n, 8192)).toBe(before);
    const [{ paddr, value } = { paddr: 0n, value: 0n }] = guest.cpu.explain(guest.va(12), 0).references.filter(({ stage, level, towards }) => stage === 'host' && level === 1 && towards === 0);
    writeEntry(guest.machine.views, Number(paddr), value | (1n << 51n));
    expect(readEntry(guest.machine.views, Number(paddr))).not.toBe(value);
    expect(door.read(12 * 4096, new Uint8Array(2))).toEqual(refused(12 * 4096, false, ept ? 12 : 5, 'reserved bits in a paging entry'));
    expect([iommu.faults, door.counts]).toEqual([4, { ...NONE, 'made': 1, 'IOMMU fault': 4 }]);
    if (ept) return;
    writeEntry(guest.machine.views, Number(paddr), value & ~4n); // a supervisor's page: nested accesses are all of user mode
    expect(door.read(12 * 4096, new Uint8Array(2))).toEqual(refused(12 * 4096, false, 1, 'no right'));
  });

  it('what devices write is noted by the door; a log by faults does not begin where devices would take them', () => {
    const { guest, model } = make(), iommu = new Iommu(guest.machine, guest.tables), log = new WriteLog(guest.tables), shared = new WriteLog(guest.tables, () => true);
    expect(() => shared.enable()).toThrow('log: expected a translation that no device uses');
    const door = new DmaDoor(guest.machine, model, { log, iommu });
    log.enable();
    expect(door.write(20 * 4096, DATA)).toMatchObject({ ok: false, reason: 'IOMMU fault' });
    log.disable();
    const noted = new Set<number>(), seen = { ...log, mark: (gfn: number) => { noted.add(gfn); } } as unknown as WriteLog;
    expect(new DmaDoor(guest.machine, model, { log: seen, iommu }).write(20 * 4096, DATA)).toEqual({ ok: true });
    expect([...noted]).toEqual([20, 21]);
  });
});
