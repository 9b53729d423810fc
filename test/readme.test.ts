import { existsSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import * as pagewalk from '../src/index.ts';
import { BackRing, FrontRing } from '../src/xen/index.ts';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');

it.each([['first', /```ts\n([^]*?)```/, 3], ['guest\'s', /## Guests[^]*?```ts\n([^]*?)```/, 2]] as const)('the %s example of the README runs and prints what it says', (_, where, count) => {
  const code = where.exec(readme)![1]!;
  const lines = code.split('\n').filter(line => line !== '');
  const said: string[] = [], statements: string[] = [];
  for (const line of lines) {
    if (line.startsWith('//')) said.push(line.replace(/^\/\/ /, '').replace(/ {3,}.*$/, ''));
    else if (line.startsWith('cpu.translate')) statements.push(`results.push(${line.replace(/;( \/\/.*)?$/, '')});`);
    else if (!line.startsWith('import')) statements.push(line);
  }
  const names = /import \{ (.*) \} from 'pagewalk'/.exec(code)![1]!.split(', ');
  const results: object[] = [];
  new Function('results', ...names, statements.join('\n'))(results, ...names.map(name => pagewalk[name as keyof typeof pagewalk]));
  expect(said).toHaveLength(count);
  expect(results.map(show)).toEqual(said);
});

function show(result: object): string {
  const value = (v: unknown): string =>
    typeof v === 'bigint' ? `0x${v.toString(16)}n` : typeof v === 'string' ? `'${v}'` : typeof v === 'object' && v !== null ? show(v) : String(v);
  return `{ ${Object.entries(result).map(([name, v]) => `${name}: ${value(v)}`).join(', ')} }`;
}

it('the example of a ring runs and gives what it says', () => {
  const code = /```ts\n(import \{ BackRing[^]*?)```/.exec(readme)![1], said: string[] = [];
  const statements = code.split('\n').filter(line => !line.startsWith('import')).map(line => {
    const [, expression, value] = /^((?:front|back)\..*); \/\/ (true|-?\d+)$/.exec(line) ?? [];
    if (value === undefined) return line;
    said.push(value);
    return `results.push(String(${expression}));`;
  });
  const results: string[] = [];
  new Function('results', 'BackRing', 'FrontRing', statements.join('\n'))(results, BackRing, FrontRing);
  expect(said).toHaveLength(6);
  expect(results).toEqual(said);
});

it('every file and command it names is there', () => {
  const scripts = Object.keys(JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).scripts);
  for (const [, name] of readme.matchAll(/npm run ([a-z]+)/g)) expect(scripts).toContain(name);
  const paths = [...readme.matchAll(/`((?:src|test|wasm)\/[\w./-]+)`/g)].map(match => match[1]);
  expect(paths.length).toBeGreaterThan(3);
  for (const path of paths) expect(existsSync(new URL(`../${path}`, import.meta.url)), path).toBe(true);
});
