/** The copy in which rules are broken: it has to hold as long as none is, or everything would be noticed. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { MUTANTS } from '../../fuzz/mutants/all.ts';
import { mutated, Tree } from '../../fuzz/mutants/tree.ts';

it('has all that tests of the package look for', () => {
  const { files } = JSON.parse(readFileSync('package.json', 'utf8')) as { files: string[] }, tree = new Tree();
  try {
    expect(files.filter(file => file !== 'dist' && !existsSync(join(tree.path, file)))).toEqual([]);
  } finally {
    tree.remove();
  }
});

it('takes the place of a text that is there once', () => {
  const rule = { file: 'a.ts', rule: 'it counts', find: 'n++', replace: '$&', targets: [] };
  expect(mutated('n++;', rule)).toBe('$&;');
  for (const text of ['', 'n++; n++;']) expect(() => mutated(text, rule)).toThrow(/a\.ts: mutant "it counts": expected its text once, got [02] times/);
});

it('breaks at least a hundred rules, each once', () => {
  const names = MUTANTS.map(({ file, rule }) => `${file}: ${rule}`);
  expect([new Set(names).size, names.length >= 100]).toEqual([names.length, true]);
});
