import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { attach } from '../../src/accel/engine.ts';
import * as fault from '../../src/arch/fault.ts';
import { Machine } from '../../src/machine/machine.ts';
import { GEOMETRIES, modelOf } from '../mmu/tlb-geometries.ts';
import { calls, Duel, Random, type DuelOptions } from './engine-duel.ts';
import { randomScene } from './random-model.ts';
import { SCENES } from './scenes.ts';

/** Exports that other tests hold to the TypeScript engine. */
const HELD_ELSEWHERE: Readonly<Record<string, readonly string[]>> = {
  'test/wasm/array.test.ts': ['arrayDrop', 'arrayFind', 'arrayLocate', 'arrayPlace', 'arraySetOf', 'arrayTouch', 'arrayVictim'],
  'test/frames/duel.test.ts': ['backedPages', 'clearPages', 'comparePages', 'copyPages', 'dropEntries', 'hashPages', 'updateEntries', 'updateEntry', 'validateEntries', 'validateTable'],
  'test/trace/pwt-twin.test.ts': ['readPwtBlock'], 'test/wasm/touches.test.ts': ['runTouches'], 'test/wasm/census.test.ts': ['countColumns', 'countTouches'],
};

function duel(options: DuelOptions, seed: number, operations: number): Duel {
  const d = new Duel(options, seed);
  for (let part = 0; part < 8; part++) {
    d.run(operations / 8);
    expect(d.differences(), `part ${part}`).toEqual([]);
  }
  expect(d.wasm.heard).toEqual(d.ts.heard);
  return d;
}

describe('both engines return the same codes and leave byte-identical state', () => {
  it.each(Object.entries(SCENES))('%s', (name, options) => {
    const d = duel(options, name.length * 7919 + options.pages, 40_000);
    expect(d.outcomes.get(fault.FAULT_NONE)).toBeGreaterThan(1000);
    if (options.paging !== 'none') expect(d.outcomes.size).toBeGreaterThan(5);
  });

  const shapes = GEOMETRIES.flatMap((g, k) => (['lru', 'tree-plru', 'nru', 'random'] as const).map(policy => [g.name, policy, g, k] as const));
  it.each(shapes)('%s, %s', (_, policy, g, k) => {
    const paging = g.levels === 5 ? '5-level' : '4-level';
    duel({ cpu: modelOf(g, policy), hostPage: g.hostPage, paging, pages: g.addresses, unrest: k % 2 ? 0.1 : 0.02 }, 100 + k, 24_000);
  });

  it.each(Array.from({ length: 40 }, (_, k) => k))('a processor of random shape, %i', k => {
    duel(randomScene(new Random(100_003 * (k + 1))), k, 4_000);
  });
});

it('called every function that the wasm exports, a million times in all', () => {
  const exported = WebAssembly.Module.exports(new WebAssembly.Module(readFileSync('wasm/pagewalk.wasm'))).map(e => e.name).sort();
  const elsewhere = Object.values(HELD_ELSEWHERE).flat();
  expect([...Object.keys(calls).filter(name => calls[name]), ...elsewhere].sort()).toEqual(exported);
  expect(Object.values(calls).reduce((sum, n) => sum + n, 0)).toBeGreaterThan(1_000_000);
});

describe('attaching', () => {
  it('needs shared memory', () => expect(attach(Machine.create({ buffer: 'plain' }).views)).toBeUndefined());

  it('needs the layout that the module was compiled for', () => {
    const { views } = Machine.create();
    views.w[1]++;
    expect(attach(views)).toBeUndefined();
  });

  it('takes a compiled module, too', () => {
    const module = new WebAssembly.Module(readFileSync('wasm/pagewalk.wasm'));
    expect(attach(Machine.create().views, module)?.layoutVersion()).toBeGreaterThan(0);
  });
});

it('has the numbers of arch/fault.ts', () => {
  const value: Record<string, number> = {};
  for (const [, name, text] of readFileSync('wasm/fault.ts', 'utf8').matchAll(/^export const (\w+) = (.*);$/gm)) {
    value[name!] = text!.split(' | ').reduce((bits, term) => {
      const [x, shift = '0'] = term.split(' << ');
      return bits | ((value[x!] ?? Number(x)) << Number(shift));
    }, 0);
  }
  expect(Object.keys(value).length).toBeGreaterThan(15);
  expect(fault).toMatchObject(value);
});
