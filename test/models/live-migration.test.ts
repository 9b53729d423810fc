import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/errors.ts';
import { FlagLog } from '../../src/models/flag-log.ts';
import { migrate, type MigrationOptions } from '../../src/models/live-migration.ts';
import { WriteLog } from '../../src/models/write-log.ts';
import { lcg } from '../xen/lcg.ts';
import { FRAMES, TABLES, TranslatedGuest } from './translated-guest.ts';

const PAGES = Array.from({ length: FRAMES }, (_, gfn) => gfn);

/** Migrate a guest that writes `rate` random pages of the first `span` for each page sent. */
function migration(by: 'faults' | 'flags', rate: number, span: number, more: Partial<MigrationOptions> = {}) {
  const guest = new TranslatedGuest({ format: 'ept', accessedDirty: by === 'flags' }), r = lcg(3), there = new Map<number, Uint8Array>();
  const log = by === 'flags' ? new FlagLog(guest.tables) : new WriteLog(guest.tables), writes: number[] = [];
  const touch = () => {
    const gfn = r(span);
    expect(guest.write(log, gfn, r(256), r(4096))).toBe(0);
    return gfn;
  };
  const result = migrate({
    log, pages: PAGES, threshold: 12,
    send: gfns => { for (const gfn of gfns) there.set(gfn, guest.bytes(gfn)); },
    run: (_, sent) => { writes.push(new Set(Array.from({ length: Math.round(sent * rate) }, touch)).size); },
    ...more,
  });
  for (const gfn of PAGES) expect(Buffer.compare(there.get(gfn)!, guest.bytes(gfn)), `page ${gfn}`).toBe(0);
  return { ...result, writes, guest, log };
}

describe.each(['faults', 'flags'] as const)('live migration, log by %s', by => {
  const tables = by === 'flags' ? TABLES.length : 0; // written by the walks through them

  it('ends when little is dirty: each round sends what was written in the one before', () => {
    const { rounds, reason, downtimePages, totalPages, writes } = migration(by, 0.2, 200);
    expect(reason).toBe('few dirty');
    expect(rounds.map(({ dirty }) => dirty)).toEqual(writes.map(n => n === 0 ? 0 : n + tables));
    expect(rounds.map(({ sent }) => sent)).toEqual([FRAMES, ...rounds.slice(0, -1).map(({ dirty }) => dirty)]);
    expect(rounds.map(({ faults }) => faults)).toEqual(by === 'flags' ? rounds.map(() => 0) : writes);
    expect(downtimePages).toBe(rounds.at(-1)!.dirty);
    expect(downtimePages).toBeLessThan(12);
    expect(totalPages).toBe(rounds.reduce((sum, { sent }) => sum + sent, downtimePages));
    expect(rounds.length).toBeGreaterThan(1);
  });

  it('ends after so many rounds', () => {
    const { rounds, reason, downtimePages } = migration(by, 0.9, 250, { maxRounds: 3 });
    expect([rounds.length, reason, downtimePages]).toEqual([3, 'all rounds', rounds[2]!.dirty]);
    expect(downtimePages).toBeGreaterThan(11);
  });

  it('ends where it gets no further', () => {
    const { rounds, reason } = migration(by, 9, 60, { maxRounds: 30 });
    expect([rounds.length, reason, rounds[0]!.dirty]).toEqual([3, 'no progress', 60 + tables]);
  });

  it('sends what is written on suspending, too', () => {
    const guest = new TranslatedGuest({ format: 'ept', accessedDirty: by === 'flags' }), log = by === 'flags' ? new FlagLog(guest.tables) : new WriteLog(guest.tables), sent: (readonly number[])[] = [];
    const { downtimePages } = migrate({ log, pages: PAGES.slice(0, 250), send: gfns => sent.push(gfns), run: () => guest.write(log, 7, 1), suspend: () => { guest.write(log, 5, 1); } });
    expect([sent.at(-1), downtimePages]).toEqual([[5, 7], 2]);
  });

  it('ends its log, whatever happens', () => {
    const guest = new TranslatedGuest({ format: 'ept', accessedDirty: by === 'flags' }), log = by === 'flags' ? new FlagLog(guest.tables) : new WriteLog(guest.tables);
    expect(() => migrate({ log, pages: PAGES, send: () => { throw new Error('line down'); }, run: () => {} })).toThrow('line down');
    expect(() => log.peek()).toThrow('log: ');
    expect(guest.tables.isWritable(3)).toBe(true);
    expect(() => migrate({ log, pages: PAGES, send: () => {}, run: () => {}, maxRounds: 0 })).toThrow('maxRounds: ');
  });
});

it.each<[unknown, string]>([
  [undefined, 'options'], [null, 'options'], [{}, 'log'], [{ log: {} }, 'log'], [{ log: null }, 'log'], [{ pages: undefined }, 'pages'], [{ pages: 5 }, 'pages'], [{ pages: [1, -1] }, 'pages[1]'],
  [{ send: undefined }, 'send'], [{ run: 5 }, 'run'], [{ suspend: 'now' }, 'suspend'], [{ threshold: -1 }, 'threshold'], [{ stalledRounds: 0.5 }, 'stalledRounds'],
])('a migration is refused with %j, by the name of the field, and its log not begun', (wrong, field) => {
  const log = new WriteLog(new TranslatedGuest({ format: 'ept', accessedDirty: false }).tables), good = { log, pages: [1], send: () => {}, run: () => {} };
  const options = (typeof wrong === 'object' && wrong !== null && Object.keys(wrong).length > 0 ? { ...good, ...wrong } : wrong) as MigrationOptions;
  expect(() => migrate(options)).toThrow(expect.objectContaining({ constructor: ConfigError, field }) as Error);
  expect(() => log.peek()).toThrow('log: ');
});
