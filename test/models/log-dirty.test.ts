import { describe, expect, it } from 'vitest';
import { EXIT_EPT_VIOLATION, EXIT_NPF } from '../../src/arch/fault.ts';
import { ConfigError } from '../../src/errors.ts';
import type { MachineOptions } from '../../src/index.ts';
import { dirtyFrames, type DirtyLog } from '../../src/models/dirty-log.ts';
import { FlagLog } from '../../src/models/flag-log.ts';
import type { SecondStageOptions } from '../../src/models/second-stage-tables.ts';
import { WriteLog } from '../../src/models/write-log.ts';
import { lcg } from '../xen/lcg.ts';
import { FRAMES, TABLES, TranslatedGuest } from './translated-guest.ts';

type Stage = Omit<SecondStageOptions, 'frames'>;
const STAGES: [string, Stage][] = [
  ['EPT', { format: 'ept', accessedDirty: false }], ['EPT with flags', { format: 'ept' }], ['EPT with flags, 5 levels', { format: 'ept', levels: 5 }], ['NPT', { format: 'npt' }],
];
const MACHINES: [string, MachineOptions][] = [['timed', {}], ['functional', { mode: 'functional' }], ['timed, TypeScript', { engine: 'ts' }]];
const WITH_FLAGS = STAGES.filter(([, { accessedDirty }]) => accessedDirty !== false);

/** Does a walk through the guest's tables count as a write of them? */
const walksWrite = ({ format, accessedDirty }: Stage): boolean => format === 'npt' || accessedDirty !== false;

/** A round of random reads and writes. @returns what has to be dirty */
function round(guest: TranslatedGuest, log: DirtyLog, r: (below: number) => number, stage: Stage, accesses: number): number[] {
  const written = new Set<number>();
  for (let k = 0; k < accesses; k++) {
    const gfn = r(TABLES[0]);
    if (r(3) === 0) expect(guest.read(log, gfn)).toBe(0);
    else {
      expect(guest.write(log, gfn, r(256))).toBe(0);
      written.add(gfn);
    }
  }
  if (accesses > 0 && walksWrite(stage)) for (const gfn of TABLES) written.add(gfn);
  return [...written].sort((a, b) => a - b);
}

describe.each(MACHINES)('%s', (_, machine) => {
  describe.each(STAGES)('%s', (_name, stage) => {
    it('a log by write protection is the set of pages written, one fault for each and round', () => {
      const guest = new TranslatedGuest(stage, machine), log = new WriteLog(guest.tables), r = lcg(7), tables = guest.ownTables();
      expect(round(guest, log, r, stage, 40).length).toBeGreaterThan(10); // before it begins
      log.enable();
      for (const accesses of [30, 300, 0, 5, 100]) {
        const expected = round(guest, log, r, stage, accesses);
        for (let peeks = 0; peeks < 2; peeks++) {
          const pages = log.peek();
          expect([dirtyFrames(pages.bitmap), pages.dirty, pages.faults]).toEqual([expected, expected.length, expected.length]);
        }
        expect(dirtyFrames(log.clean().bitmap)).toEqual(expected);
        expect(log.peek()).toMatchObject({ dirty: 0, faults: 0 });
        expect(guest.ownTables()).toEqual(tables);
      }
      log.disable();
      for (let gfn = 0; gfn < FRAMES; gfn++) expect(guest.tables.isWritable(gfn)).toBe(true);
      const { cpu } = guest, before = cpu.write(guest.va(3), Uint8Array.of(1), 2);
      expect(before).toBe(0);
    });
  });

  describe.each(WITH_FLAGS)('%s', (_name, stage) => {
    it('a log by dirty flags is the same set, without a fault', () => {
      const guest = new TranslatedGuest(stage, machine), log = new FlagLog(guest.tables), r = lcg(9), tables = guest.ownTables();
      round(guest, log, r, stage, 40);
      log.enable();
      for (const accesses of [30, 300, 0, 5, 100]) {
        const expected = round(guest, log, r, stage, accesses);
        expect([dirtyFrames(log.peek().bitmap), dirtyFrames(log.peek().bitmap)]).toEqual([expected, expected]);
        expect([dirtyFrames(log.clean().bitmap), log.peek().dirty, log.peek().faults]).toEqual([expected, 0, 0]);
        expect(guest.ownTables()).toEqual(tables);
      }
    });
  });
});

describe.each(['ept', 'npt'] as const)('%s', format => {
  it('large pages are broken up, and map the same', () => {
    const guest = new TranslatedGuest({ format, accessedDirty: false }, {}, 512), log = new WriteLog(guest.tables), bytes = guest.bytes(TABLES[0]);
    const before = Array.from({ length: 512 }, (_, gfn) => guest.tables.machineFrame(gfn)), used = guest.machine.frames.used;
    log.enable();
    expect(guest.machine.frames.used - used).toBe(1);
    expect(Array.from({ length: 512 }, (_, gfn) => guest.tables.machineFrame(gfn))).toEqual(before);
    expect(guest.write(log, 20, 9)).toBe(0);
    expect(log.peek().faults).toBe(format === 'npt' ? 1 + TABLES.length : 1);
    expect(guest.bytes(20)[140]).toBe(9);
    expect(guest.bytes(TABLES[0])).toEqual(bytes);
  });

  it("pages the guest may not write stay so, and a write to one is no log's", () => {
    const guest = new TranslatedGuest({ format, accessedDirty: false }), log = new WriteLog(guest.tables), exit = format === 'ept' ? EXIT_EPT_VIOLATION : EXIT_NPF;
    guest.tables.map(5, guest.tables.machineFrame(5), { write: false });
    log.enable();
    expect(guest.write(log, 5, 1) & -65536).toBe(exit);
    expect(guest.write(log, 6, 1)).toBe(0);
    log.disable();
    expect(guest.write(log, 5, 1) & -65536).toBe(exit);
    guest.tables.unmap(6);
    guest.tables.flush();
    log.enable();
    expect(guest.write(log, 6, 1) & -65536).toBe(exit);
    expect([guest.tables.isWritable(5), guest.tables.isWritable(6), guest.tables.machineFrame(6)]).toEqual([false, false, -1]);
  });
});

describe('a log', () => {
  const guest = new TranslatedGuest({ format: 'ept', accessedDirty: false });

  it('notes what is written past the guest, without a fault', () => {
    const log = new WriteLog(guest.tables);
    log.enable();
    log.mark(9);
    log.mark(9);
    log.mark(FRAMES * 1000);
    log.mark(-1);
    expect(log.peek()).toMatchObject({ dirty: 1, faults: 0 });
    expect(guest.write(log, 9, 4)).toBe(0);
    expect(log.clean()).toMatchObject({ dirty: 1, faults: 0 });
    expect(guest.write(log, 9, 4)).toBe(0);
    expect(log.clean()).toMatchObject({ dirty: 1, faults: 1 });
    log.disable();
  });

  it('is one, is on, and needs flags where it reads them', () => {
    const log = new WriteLog(guest.tables);
    expect(() => log.peek()).toThrow(ConfigError);
    expect(() => log.clean()).toThrow('log: expected a domain whose writes are logged');
    log.enable();
    expect(() => log.enable()).toThrow('log: expected a domain whose writes are not logged');
    log.disable();
    expect(() => new FlagLog(guest.tables)).toThrow('tables: expected tables with accessed and dirty flags');
  });

  it.each([
    [{ format: 'pt' }, 'format'], [{ format: 'ept', frames: 0 }, 'frames'], [{ format: 'npt', levels: 3 }, 'levels'],
  ])('has tables whose options are checked: %j', (options, field) => {
    expect(() => new TranslatedGuest(options as unknown as Stage)).toThrow(new RegExp(`^${field}: `));
  });

  it.each([[-1, 0, {}, 'gfn'], [FRAMES, 0, {}, 'gfn'], [1, 0, { pages: 512 }, 'gfn'], [0, 1.5, {}, 'mfn'], [0, 0, { pages: 2 }, 'pages'], [0, 512, { pages: 512 }, 'gfn']])('maps frames that there are: %i at %d, %j', (gfn, mfn, options, field) => {
    expect(() => guest.tables.map(gfn, mfn, options as object)).toThrow(new RegExp(`^${field}: `));
  });
});
