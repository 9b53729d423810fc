import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

/** Which folder of src may import which. Everyone may import errors.ts; src/index.ts is the barrel and may import all. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  layout: [],
  arch: [],
  memory: ['layout', 'arch'],
  cache: ['layout', 'arch'],
  frames: ['layout', 'arch', 'memory'],
  mmu: ['layout', 'arch', 'memory', 'cache'],
  cost: ['layout', 'arch', 'memory', 'cache'],
  accel: ['layout', 'arch', 'memory'],
  virt: ['layout', 'arch', 'memory', 'cache', 'mmu'],
  machine: ['layout', 'arch', 'memory', 'cache', 'mmu', 'cost', 'accel', 'virt'],
  xen: ['layout', 'arch', 'memory', 'frames', 'mmu', 'cost', 'accel', 'machine'],
  models: ['layout', 'arch', 'memory', 'mmu', 'machine', 'virt', 'xen'],
  conformance: ['layout', 'arch', 'memory', 'cache', 'mmu', 'cost', 'accel', 'machine', 'xen'],
  trace: ['layout', 'arch', 'memory', 'cache', 'mmu', 'cost', 'accel', 'machine'],
  guest: ['layout', 'arch', 'memory', 'cost', 'virt', 'machine', 'xen', 'trace'],
  smp: ['layout', 'memory', 'machine', 'xen'],
  compare: ['cost', 'machine', 'guest', 'trace'],
  report: ['trace', 'guest', 'compare'],
  sweep: ['cost', 'machine', 'trace'],
  cli: ['layout', 'arch', 'memory', 'cache', 'mmu', 'cost', 'accel', 'machine', 'xen', 'conformance', 'guest', 'trace', 'compare', 'report', 'sweep'],
};
/** Folders that must run in browsers. */
const NO_NODE = ['layout', 'arch', 'memory', 'cache', 'frames', 'mmu', 'cost', 'machine', 'accel', 'virt', 'xen', 'models'];
const MAX_LINES = 400;
const MAX_FUNCTION = 60;
const MAX_WALKER = 80;
const VAGUE = /^(utils?|helpers?|common|types?|misc)\.ts$/;

const under = (folder: string) => readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(f => f.endsWith('.ts')).map(f => `${folder}/${f}`);
const optional = (folder: string) => (readdirSync('.').includes(folder) ? under(folder) : []);
const sources = under('src');
const all = [...sources, ...optional('wasm'), ...optional('bench'), ...under('test'), ...optional('fuzz')];
const read = (file: string) => readFileSync(file, 'utf8');

/** What a file says that some rule forbids. */
function complaints(file: string, text: string): string[] {
  const found: string[] = [];
  const name = file.split('/').at(-1)!;
  const lines = text.split('\n');
  if (text.endsWith('\n')) lines.pop();
  if (lines.length > MAX_LINES) found.push(`${lines.length} lines`);
  if (VAGUE.test(name)) found.push('a name that says nothing');
  if (/^export default\b|\bas default\b/m.test(text)) found.push('a default export');
  if (/\b(TODO|FIXME|XXX)\b/.test(text)) found.push('unfinished business');
  for (const f of functionsOf(lines)) {
    const most = /walk/i.test(name) ? MAX_WALKER : MAX_FUNCTION;
    if (f.lines > most) found.push(`function at line ${f.at} has ${f.lines} lines`);
  }
  return found;
}

/** Functions and methods by a simple count of braces: from a line that opens a body to the line that closes it. */
function functionsOf(lines: readonly string[]): { at: number; lines: number }[] {
  const found: { at: number; lines: number }[] = [];
  lines.forEach((line, k) => {
    const start = /^(\s*)(?:export )?(?:async )?function\*? |^(\s+)(?:static |private |async |get |set |override )*(?!if|for|while|switch|return|catch|else|do\b)[\w#]+\(.*\).*\{$/.exec(line);
    if (!start) return;
    const indent = start[1] ?? start[2] ?? '';
    let end = k;
    while (end < lines.length && !(end > k && lines[end]!.startsWith(`${indent}}`)) && !(end === k && /\}$/.test(line))) end++;
    found.push({ at: k + 1, lines: end - k + 1 });
  });
  return found;
}

/** Folders of src and packages that a file of src imports. */
function importsOf(text: string): string[] {
  return [...text.matchAll(/^(?:import\b|export (?:type )?[{*])[^;']*'([^']+)';|\bimport\(\s*'([^']+)'/gm)].map(m => m[1] ?? m[2]!);
}

/** Imports of `file` (path below src) that its layer does not allow. */
function strays(file: string, text: string): string[] {
  const parts = file.split('/');
  if (parts.length === 1) return [];
  const folder = parts[0]!;
  const rule = MAY_IMPORT[folder];
  if (!rule) return [`no rule for folder ${folder}`];
  return importsOf(text).filter(from => {
    if (!from.startsWith('.')) return !from.startsWith('node:') || NO_NODE.includes(folder);
    const path = new URL(from, `file:///${file}`).pathname.slice(1);
    if (path === 'errors.ts') return folder === 'layout' || folder === 'arch';
    const to = path.split('/')[0]!;
    return to !== folder && !rule.includes(to);
  });
}

it.each(all)('%s keeps to its size and says what it is', file => {
  expect(complaints(file, file === 'test/layers.test.ts' ? read(file).replaceAll(/TODO|FIXME|XXX/g, '') : read(file))).toEqual([]);
});

it.each(sources.map(f => f.slice('src/'.length)))('%s imports from lower layers only', file => {
  expect(strays(file, read(`src/${file}`))).toEqual([]);
});

// Fuzzing uses the sources, and what tests have made to compare with; nothing uses it but its own tests.
it.each(optional('fuzz'))('%s imports sources, oracles and its own', file => {
  const strangers = importsOf(read(file)).filter(from => !/^(node:|\.\/|(\.\.\/)+(fuzz|src|test|bench)\/|(\.\.\/)*[\w-]+(\/[\w-]+)*\.ts$)/.test(from) || /\.test\.ts$|^vitest/.test(from));
  expect(strangers).toEqual([]);
});

it.each([...sources, ...optional('bench')])('%s knows nothing of fuzzing or tests', file => {
  expect(importsOf(read(file)).filter(from => /(^|\/)(fuzz|test)\//.test(from))).toEqual([]);
});

it('finds files of every layer there is', () => {
  expect(sources.length).toBeGreaterThan(40);
  for (const folder of NO_NODE) expect(sources.some(f => f.startsWith(`src/${folder}/`)), folder).toBe(true);
});

// The subset that tsc and the AssemblyScript compiler read alike.
const CONSTANT = /^export const [A-Z][A-Z0-9_]* = -?(?:0x[0-9a-f_]+|\d[\d_]*|[A-Z][A-Z0-9_]*)(?: (?:<<|\||\+|\*|-) (?:0x[0-9a-f_]+|\d+|[A-Z][A-Z0-9_]*))*;(?: *\/\/.*)?$/;

it.each(sources.filter(f => f.startsWith('src/layout/')))('%s holds integer constants only', file => {
  const lines = read(file).replace(/^\/\*\*[^]*?\*\/$/gm, '').split('\n').filter(line => line !== '' && !line.startsWith('//'));
  expect(lines.filter(line => !CONSTANT.test(line))).toEqual([]);
  expect(lines.length).toBeGreaterThan(0);
});

it.each([
  ['machine/a.ts', "import { x } from '../xen/a.ts';", 1],
  ['mmu/a.ts', "import { x } from '../cost/a.ts';", 1],
  ['mmu/a.ts', "import {\n  x,\n  y,\n} from '../cost/a.ts';", 1],
  ['mmu/a.ts', "export { x } from '../cost/a.ts';", 1],
  ['mmu/a.ts', "import '../cost/a.ts';", 1],
  ['cost/presets/a.ts', "import { x } from '../../mmu/a.ts';", 1],
  ['cost/presets/a.ts', "import { x } from '../cpu-model.ts';", 0],
  ['layout/a.ts', "import { x } from '../errors.ts';", 1],
  ['layout/a.ts', "import { x } from './header.ts';", 0],
  ['memory/a.ts', "import { readFileSync } from 'node:fs';", 1],
  ['memory/a.ts', "const x = await import('node:fs');", 1],
  ['conformance/a.ts', "import { readFileSync } from 'node:fs';", 0],
  ['conformance/a.ts', "import { x } from '../trace/a.ts';", 1],
  ['report/a.ts', "import { x } from '../machine/a.ts';", 1],
  ['cli/a.ts', "import { x } from 'left-pad';", 1],
  ['elsewhere/a.ts', '', 1],
])('in %s, %s is %i too many', (file, text, many) => {
  expect(strays(file, text)).toHaveLength(many);
});

it.each([
  ['src/mmu/utils.ts', ''],
  ['src/mmu/a.ts', 'export default 1;'],
  ['src/mmu/a.ts', `// TO${'DO'} later`],
  ['src/mmu/a.ts', '\n'.repeat(401)],
  ['src/mmu/a.ts', `function f() {\n${'  x;\n'.repeat(60)}}`],
  ['src/mmu/a.ts', `class A {\n  private f(a: number): void {\n${'    x;\n'.repeat(60)}  }\n}`],
  ['src/mmu/walk.ts', `export function f() {\n${'  x;\n'.repeat(80)}}`],
])('complains of %s', (file, text) => {
  expect(complaints(file, text)).toHaveLength(1);
});
