import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/errors.ts';
import { skylake } from '../../src/cost/presets/skylake.ts';
import { zen3 } from '../../src/cost/presets/zen3.ts';
import { cellKey, cellsOf, planIdentity } from '../../src/sweep/cell.ts';
import { checkPlan, type SweepPlan } from '../../src/sweep/plan.ts';

const folder = mkdtempSync(join(tmpdir(), 'pagewalk-plan-'));
afterAll(() => rmSync(folder, { recursive: true }));
writeFileSync(join(folder, 'a.pwt'), 'aaaa');
writeFileSync(join(folder, 'b.din'), 'bb');
const mine = { ...skylake, name: 'mine' };
const plan = (data: unknown): SweepPlan => checkPlan(data, {
  name: 'plan.json', folder, readCpu: path => { expect(path).toBe(join(folder, 'mine.json')); return mine; },
});
const least = { traces: ['a.pwt'], cpus: ['zen3'] };

describe('checkPlan', () => {
  it('fills in what is usual', () => {
    expect(plan(least)).toEqual({
      traces: [{ name: 'a.pwt', path: join(folder, 'a.pwt'), bytes: 4, format: undefined }], cpus: [zen3],
      pages: ['4k'], data: [false], nodes: [1], numa: ['first-touch'], limit: undefined, skipBad: false,
    });
  });

  it('takes all there is: objects, files of processors, a value instead of a list', () => {
    const given = plan({
      traces: ['a.pwt', { file: 'b.din', name: 'b', format: 'din' }, { file: './b.din' }], cpus: ['mine.json', 'zen3'], pages: ['thp', '1g'],
      data: [true, false], nodes: 2, numa: 'interleave', limit: 1000, skipBad: true,
    });
    expect(given.traces.map(t => [t.name, t.bytes, t.format])).toEqual([['a.pwt', 4, undefined], ['b', 2, 'din'], ['./b.din', 2, undefined]]);
    expect(given.cpus).toEqual([mine, zen3]);
    expect(given).toMatchObject({ pages: ['thp', '1g'], data: [true, false], nodes: [2], numa: ['interleave'], limit: 1000, skipBad: true });
  });

  it.each<[string, unknown, string]>([
    ['a list', [], 'plan.json: expected an object, got []'],
    ['nothing', null, 'plan.json: expected an object, got null'],
    ['an unknown field', { ...least, page: ['4k'] }, 'plan.json.page: expected one of the fields traces, cpus, pages, data, nodes, numa, limit, skipBad, got "page"'],
    ['no traces', { cpus: ['zen3'] }, 'plan.json.traces: expected a list, got nothing'],
    ['one trace, not in a list', { ...least, traces: 'a.pwt' }, 'plan.json.traces: expected a list, got "a.pwt"'],
    ['an empty list', { ...least, traces: [] }, 'plan.json.traces: expected a list of at least one, got []'],
    ['a number for a trace', { ...least, traces: ['a.pwt', 3] }, 'plan.json.traces[1]: expected the name of a file, or an object, got 3'],
    ['a trace without a file', { ...least, traces: [{ name: 'x' }] }, 'plan.json.traces[0].file: expected a text that is not empty, got nothing'],
    ['an unknown field of a trace', { ...least, traces: [{ file: 'a.pwt', cpu: 'zen3' }] }, 'plan.json.traces[0].cpu: expected one of the fields file, name, format'],
    ['an unknown format', { ...least, traces: [{ file: 'a.pwt', format: 'vcd' }] }, 'plan.json.traces[0].format: expected one of lackey,'],
    ['a trace that is not there', { ...least, traces: ['a.pwt', 'c'] }, `plan.json.traces[1]: expected the name of a plain file, got "${join(folder, 'c')} (not there)"`],
    ['a folder for a trace', { ...least, traces: [{ file: '.' }] }, 'plan.json.traces[0].file: expected the name of a plain file'],
    ['a trace twice', { ...least, traces: ['a.pwt', 'b.din', 'a.pwt'] }, 'plan.json.traces[2]: expected another than those before, got "a.pwt"'],
    ['a name twice', { ...least, traces: ['a.pwt', { file: 'b.din', name: 'a.pwt' }] }, 'plan.json.traces[1]: expected another than those before'],
    ['an unknown processor', { ...least, cpus: ['zen3', 'i386'] }, 'plan.json.cpus[1]: expected one of nehalem-e5520,'],
    ['a processor twice', { ...least, cpus: ['zen3', 'zen3'] }, 'plan.json.cpus[1]: expected another than those before, got "zen3"'],
    ['an unknown page size', { ...least, pages: ['4k', '8k'] }, 'plan.json.pages[1]: expected one of 4k, 2m, 1g, thp, got "8k"'],
    ['pages that a processor lacks', { ...least, cpus: ['zen3', 'nehalem-e5520'], pages: ['1g'] }, 'plan.json.pages: expected sizes that nehalem-e5520 has'],
    ['no nodes', { ...least, nodes: [1, 0] }, 'plan.json.nodes[1]: expected a whole number from 1 to 8, got 0'],
    ['nodes as text', { ...least, nodes: '2' }, 'plan.json.nodes: expected a whole number from 1 to 8, got "2"'],
    ['an unknown placement', { ...least, numa: ['random'] }, 'plan.json.numa[0]: expected one of first-touch, interleave'],
    ['data as a number', { ...least, data: 1 }, 'plan.json.data: expected true or false, got 1'],
    ['a limit of nothing', { ...least, limit: 0 }, 'plan.json.limit: expected a whole number from 1 to'],
    ['a list of limits', { ...least, limit: [1, 2] }, 'plan.json.limit: expected a whole number from 1 to'],
    ['skipBad as text', { ...least, skipBad: 'yes' }, 'plan.json.skipBad: expected true or false, got "yes"'],
  ])('refuses %s by the name of the field', (_, data, message) => {
    expect(() => plan(data)).toThrow(ConfigError);
    expect(() => plan(data)).toThrow(message);
  });
});

const wide = { traces: ['a.pwt', 'b.din'], cpus: ['zen3', 'skylake', 'zen2'], pages: ['4k', 'thp'], data: [false, true], nodes: [1, 2], numa: ['first-touch', 'interleave'] };

describe('cells', () => {
  it('are every combination once, in one order; those of one reading are neighbours and know their run', () => {
    const cells = cellsOf(plan(wide));
    expect(cells).toHaveLength(2 * 3 * 2 * 2 * 2 * 2);
    expect(cells.map(c => c.place)).toEqual([...cells.keys()]);
    expect(new Set(cells.map(c => [c.trace.name, c.cpu.name, c.pages, c.data, c.nodes, c.numa].join())).size).toBe(cells.length);
    const runs = [['zen3', '4k'], ['zen3', 'thp'], ['skylake', '4k'], ['skylake', 'thp'], ['zen2', '4k'], ['zen2', 'thp']];
    for (const cell of cells) expect([cell.cpu.name, cell.pages]).toEqual(runs[cell.run]);
    for (let k = 0; k < cells.length; k += 6) expect(new Set(cells.slice(k, k + 6).map(c => [c.trace.name, c.data, c.nodes, c.numa].join())).size).toBe(1);
  });

  it('have keys of everything that decides the result, and of nothing else', () => {
    const keys = (data: object, sha = 'x', version = '1') => { const p = plan({ ...least, ...data }); return cellsOf(p).map(c => cellKey(p, c, sha, version)); };
    const [key] = keys({});
    expect(key).toMatch(/^[0-9a-f]{32}$/);
    const others = [
      keys({}, 'y'), keys({}, 'x', '2'), keys({ cpus: ['zen2'] }), keys({ pages: ['2m'] }), keys({ data: true }), keys({ nodes: 2 }), keys({ numa: 'interleave' }),
      keys({ limit: 9 }), keys({ skipBad: true }), keys({ traces: ['b.din'] }), keys({ traces: [{ file: 'a.pwt', format: 'pwt' }] }),
    ].map(([other]) => other);
    expect(new Set([key, ...others]).size).toBe(12);
    expect(keys({ cpus: ['skylake', 'zen3'], pages: ['2m', '4k'] })[3]).toBe(key); // wherever it is in a plan
    expect(keys({ traces: [{ file: 'b.din', name: 'a.pwt' }] })[0]).toBe(key); // wherever the trace is
    const edited = { ...plan(least), cpus: [{ ...zen3, walkers: zen3.walkers }] }, other = { ...edited, cpus: [{ ...zen3, la57: !zen3.la57 }] };
    expect(cellKey(edited, cellsOf(edited)[0], 'x', '1')).toBe(key);
    expect(cellKey(other, cellsOf(other)[0], 'x', '1')).not.toBe(key);
  });

  it('plans are the same if their cells are', () => {
    const identity = (data: object, version = '1') => planIdentity(plan({ ...least, ...data }), version);
    expect(identity({ pages: ['4k'], nodes: 1, traces: [{ file: 'a.pwt' }] })).toBe(identity({}));
    const others = [identity({}), identity({}, '2'), identity({ pages: ['2m'] }), identity({ limit: 1 }), identity({ traces: ['a.pwt', 'b.din'] }), identity({ data: [false, true] })];
    expect(new Set(others).size).toBe(6);
  });
});
