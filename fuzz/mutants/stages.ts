/** What may notice a mutant, the cheapest first. */
import { readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { ConfigError } from '../../src/errors.ts';
import type { Mutant } from './mutant.ts';
import type { Ended, Tree } from './tree.ts';

export const STAGES = ['glance', 'near', 'conformance', 'folder', 'fuzz', 'rest'] as const;
export type Stage = (typeof STAGES)[number];

export interface StageOptions {
  readonly fuzzSeconds: number;
  /** Folder of recordings; undefined: there are none. */
  readonly recordings: string | undefined;
}

const TEST_SECONDS = 900, BUILD_SECONDS = 300, GLANCE_SECONDS = 20;

/** Tests of a folder of sources. */
const FOLDERS: Readonly<Record<string, readonly string[]>> = {
  'src/mmu': ['test/mmu/', 'test/wasm/'], 'src/cache': ['test/cache/', 'test/mmu/', 'test/wasm/'], 'wasm': ['test/wasm/', 'test/frames/', 'test/mmu/'],
  'src/frames': ['test/frames/', 'test/xen/', 'test/xsa/'], 'src/xen': ['test/xen/', 'test/xsa/'],
};
/** Tests that a file of sources is tried with first, by the beginning of its name. */
const NEAR: readonly (readonly [start: string, tests: readonly string[]])[] = [
  ['src/xen/grant', ['test/xen/grants', 'test/xen/tenants-history', 'test/xen/grant-audit', 'test/xen/changed-entry', 'test/xen/grant-limits', 'test/xen/bad-grants']],
  ['src/xen/event', ['test/xen/events', 'test/xen/tenants-history', 'test/xen/ports', 'test/xen/delivery', 'test/xen/bad-events']],
  ['src/xen/', ['test/xen/history', 'test/xen/tenants-history', ...['permission', 'refused-entry', 'refusal', 'reservation', 'exchange', 'destroy', 'allocat'].map(name => `test/xen/${name}`)]], ['src/frames/', ['test/frames/rules', 'test/frames/update', 'test/frames/duel']],
  ['src/mmu/walk', ['test/mmu/walk', 'test/mmu/rights-walk']], ['src/mmu/rights', ['test/mmu/rights']], ['src/mmu/control', ['test/mmu/control']], ['src/mmu/', ['test/mmu/stale.test']], ['src/cache/', ['test/cache/']], ['wasm/', ['test/wasm/engine']],
];

const vitest = (tree: Tree, tests: readonly string[]): Promise<Ended> => tree.run('npx', ['vitest', 'run', '--bail', '1', '--reporter', 'dot', ...tests], TEST_SECONDS);

/** Compile the copy. @returns what is wrong with it, undefined if nothing */
export async function build(tree: Tree, { file }: Mutant): Promise<string | undefined> {
  if (file.startsWith('wasm/')) {
    const { status, output } = await tree.run('npm', ['run', '--silent', 'wasm'], BUILD_SECONDS);
    if (status !== 'passed') return output;
  }
  for (const args of [['node_modules/.bin/tsc', '-p', 'fuzz/tsconfig.json'], ['npm', 'run', '--silent', 'build']] as const) { // tests run what is compiled, too
    const { status, output } = await tree.run(args[0], args.slice(1), BUILD_SECONDS);
    if (status !== 'passed') return output;
  }
  tree.finishBuild();
  return undefined;
}

/** @returns what noticed the mutant, undefined if nothing did */
export async function tryStage(tree: Tree, mutant: Mutant, stage: Stage, options: StageOptions): Promise<string | undefined> {
  switch (stage) {
    case 'near': return testsNotice(tree, NEAR.find(([start]) => mutant.file.startsWith(start))?.[1] ?? []);
    case 'folder': return testsNotice(tree, FOLDERS[mutant.file.split('/').slice(0, mutant.file.startsWith('wasm') ? 1 : 2).join('/')] ?? []);
    case 'glance': return fuzzingNotices(tree, mutant.targets.slice(0, 1), Math.min(GLANCE_SECONDS, options.fuzzSeconds));
    case 'fuzz': return fuzzingNotices(tree, mutant.targets, options.fuzzSeconds);
    case 'conformance': return conformanceNotices(tree, mutant, options.recordings);
    case 'rest': return testsNotice(tree, ['test/']);
  }
}

/** @throws ConfigError - a target cannot be fuzzed */
async function fuzzingNotices(tree: Tree, targets: readonly string[], seconds: number): Promise<string | undefined> {
  for (const target of targets) {
    const { status, code, output } = await tree.run('node', ['build/fuzz/fuzz/main.js', target, String(seconds), '--first', '--seed', '1'], seconds + BUILD_SECONDS);
    if (status === 'failed' && code !== 1) throw new ConfigError('target', 'one that can be fuzzed', `${target}: ${output.slice(0, 300)}`);
    if (status !== 'passed') return `${target}: ${/^found .*$/m.exec(output)?.[0] ?? status}`;
  }
  return undefined;
}

async function testsNotice(tree: Tree, tests: readonly string[]): Promise<string | undefined> {
  if (tests.length === 0) return undefined;
  const { status, output } = await vitest(tree, tests), plain = output.replaceAll(/\x1b\[[\d;]*m/g, '');
  if (status === 'passed') return undefined;
  return `${/(?:FAIL|❯)\s+.*?(test\/[^\n]*)/.exec(plain)?.[1] ?? status}: ${/^\s*((?:\w*Error|Finding):? .*)$/m.exec(plain)?.[1] ?? ''}`;
}

/** One recording after the other, the short ones first: most mutants are noticed by the first few. */
async function conformanceNotices(tree: Tree, { file }: Mutant, recordings: string | undefined): Promise<string | undefined> {
  if (recordings === undefined) return undefined;
  const folder = join(recordings, /^src\/(xen|frames)/.test(file) ? 'xen' : 'paging');
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(name => /\.jsonl(\.gz)?$/.test(name)).map(name => join(folder, name));
  for (const recording of files.sort((a, b) => statSync(a).size - statSync(b).size)) {
    const { status } = await tree.run('node', ['dist/cli/main.js', 'conformance', recording], TEST_SECONDS);
    if (status !== 'passed') return `${basename(recording)} ${status}`;
  }
  return undefined;
}
