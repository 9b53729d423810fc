import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import * as ts from '../../src/cache/array.ts';
import {
  ARRP_LRU, ARRP_NRU, ARRP_RANDOM, ARRP_TREE_PLRU, ARR_BYTES, ARR_CAPACITY, ARR_CLOCK, ARR_HINTS, ARR_HINT_MASK, ARR_MASK, ARR_POLICY, ARR_REPL, ARR_REPL_WORDS, ARR_SETS, ARR_TAGS,
  ARR_WAYS,
} from '../../src/layout/array.ts';
import { LAYOUT_VERSION } from '../../src/layout/header.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const committed = readFileSync(join(root, 'wasm/pagewalk.wasm'));
const folder = mkdtempSync(join(tmpdir(), 'pagewalk-wasm-'));
afterAll(() => rmSync(folder, { recursive: true }));

interface Exports {
  layoutVersion(): number;
  arraySetOf(a: number, lo: number, hi: number): number;
  arrayFind(a: number, set: number, lo: number, hi: number, altHi: number): number;
  arrayLocate(a: number, lo: number, hi: number, altHi: number): number;
  arrayTouch(a: number, i: number): void;
  arrayVictim(a: number, set: number): number;
  arrayPlace(a: number, i: number, lo: number, hi: number): void;
  arrayDrop(a: number, i: number): void;
}

function attach(): { w: Int32Array; wasm: Exports } {
  const memory = new WebAssembly.Memory({ initial: 2, maximum: 65536, shared: true });
  const instance = new WebAssembly.Instance(new WebAssembly.Module(committed), { env: { memory, busRead: () => 0n, busWrite: () => {}, nestedWalk: () => 0 } });
  return { w: new Int32Array(memory.buffer), wasm: instance.exports as unknown as Exports };
}

/** An array at byte 4096 of an empty memory. */
function lay(w: Int32Array, sets: number, ways: number, policy: number, clock: number): number {
  const a = 4096, tags = a + ARR_BYTES, words = ts.replacementWords(policy, ways);
  const put = (field: number, value: number) => { w[(a + field) >>> 2] = value; };
  put(ARR_SETS, sets);
  put(ARR_WAYS, ways);
  put(ARR_CAPACITY, sets * ways);
  put(ARR_MASK, (sets & (sets - 1)) === 0 ? sets - 1 : -1);
  put(ARR_POLICY, policy);
  put(ARR_TAGS, tags);
  put(ARR_REPL, tags + sets * ways * 8);
  put(ARR_REPL_WORDS, words);
  put(ARR_HINTS, tags + sets * ways * 8 + sets * words * 4);
  put(ARR_HINT_MASK, 63);
  put(ARR_CLOCK, clock);
  return a;
}

describe('the committed wasm', () => {
  it('is under 40 KB', () => expect(committed.length).toBeLessThan(40_000));

  it('is what its source compiles to', () => {
    const out = join(folder, 'rebuilt.wasm');
    execFileSync(process.execPath, [
      join(root, 'node_modules/assemblyscript/bin/asc.js'), 'wasm/index.ts', '--config', 'wasm/asconfig.json', '--outFile', out,
    ], { cwd: root });
    expect(readFileSync(out).equals(committed)).toBe(true);
  });

  it('has no data section: it owns no memory', () => {
    const sections: number[] = [];
    for (let p = 8; p < committed.length;) {
      sections.push(committed[p++]);
      let size = 0, shift = 0, byte: number;
      do {
        byte = committed[p++];
        size |= (byte & 127) << shift;
        shift += 7;
      } while (byte & 128);
      p += size;
    }
    expect(sections.length).toBeGreaterThan(3);
    expect(sections).not.toContain(11);
  });

  it('was compiled from this layout', () => expect(attach().wasm.layoutVersion()).toBe(LAYOUT_VERSION));
});

const GEOMETRIES = [[16, 4], [128, 12], [1, 72], [3, 5], [64, 1], [2, 33]] as const;
const POLICIES = { lru: ARRP_LRU, 'tree-plru': ARRP_TREE_PLRU, nru: ARRP_NRU, random: ARRP_RANDOM };

describe.each(Object.entries(POLICIES))('%s: both engines', (_, policy) => {
  it.each(GEOMETRIES)('leave byte-identical state after 40,000 operations on %i x %i', (sets, ways) => {
    const x = attach(), y = attach();
    const clock = policy === ARRP_LRU ? 0x7fffffff - 5000 : 0x1234567; // the clock ends on the way
    const a = lay(x.w, sets, ways, policy, clock);
    lay(y.w, sets, ways, policy, clock);
    let seed = sets * 1000 + ways * 4 + policy, hits = 0;
    const next = (n: number) => ((seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) >>> 8) % n;
    for (let step = 0; step < 40_000; step++) {
      const lo = next(sets * ways * 2), hi = (1 << 31) | (next(3) << 25), alt = hi | (1 << 27);
      const set = ts.setOf(x.w, a >>> 2, lo, hi);
      if (y.wasm.arraySetOf(a, lo, hi) !== set) throw new Error(`set differs at step ${step}`);
      let i = ts.find(x.w, a >>> 2, set, lo, hi, alt);
      if (ts.locate(x.w, a >>> 2, lo, hi, alt) !== y.wasm.arrayLocate(a, lo, hi, alt)) throw new Error(`locate differs at step ${step}`);
      if (y.wasm.arrayFind(a, set, lo, hi, alt) !== i) throw new Error(`find differs at step ${step}`);
      if (i < 0) {
        i = ts.victim(x.w, a >>> 2, set);
        if (y.wasm.arrayVictim(a, set) !== i) throw new Error(`victim differs at step ${step}`);
        const tag = next(8) === 0 ? alt : hi;
        ts.place(x.w, a >>> 2, i, lo, tag);
        y.wasm.arrayPlace(a, i, lo, tag);
      } else hits++;
      if (next(16) === 0) {
        ts.drop(x.w, a >>> 2, i);
        y.wasm.arrayDrop(a, i);
      } else {
        ts.touch(x.w, a >>> 2, i);
        y.wasm.arrayTouch(a, i);
      }
    }
    expect(hits).toBeGreaterThan(5000);
    expect(Buffer.compare(Buffer.from(x.w.buffer), Buffer.from(y.w.buffer))).toBe(0);
    ts.auditArray(x.w, a >>> 2);
  });
});
