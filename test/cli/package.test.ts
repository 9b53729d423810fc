import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { createReadStream } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { project } from './pagewalk.ts';

it('the package has the built code, the wasm, types, papers and the bundled compilation, and no tests or other traces', () => {
  const listed = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: project, stdio: ['ignore', 'pipe', 'ignore'] });
  const parsed = JSON.parse(listed.toString());
  const [{ files }] = Array.isArray(parsed) ? parsed : Object.values(parsed) as { files: { path: string }[] }[][];
  const paths: string[] = files.map((f: { path: string }) => f.path);
  for (const needed of ['README.md', 'LICENSE', 'CHANGELOG.md', 'package.json', 'wasm/pagewalk.wasm', 'dist/index.js', 'dist/index.d.ts', 'dist/trace/index.js', 'dist/cli/main.js', 'dist/compare/compare-worker.js', ...['sh', 'gcc', 'cc1', 'as'].map(name => `test/fixtures/compile/${name}.pwt.gz`)]) expect(paths).toContain(needed);
  expect(paths.filter(p => !/^(dist\/.*\.(js|d\.ts)|wasm\/pagewalk\.wasm|test\/fixtures\/compile\/\w+\.pwt\.gz|README\.md|LICENSE|CHANGELOG\.md|package\.json)$/.test(p))).toEqual([]);
});

it('every export of package.json is there, and no runtime dependency', () => {
  const manifest = JSON.parse(readFileSync(`${project}package.json`, 'utf8'));
  expect(manifest.dependencies).toBeUndefined();
  for (const target of Object.values(manifest.exports).flatMap(e => (typeof e === 'string' ? [e] : Object.values(e as object)))) expect(existsSync(`${project}${target}`), target).toBe(true);
});

describe('each way in', () => {
  it.each(['index', 'trace/index', 'xen/index', 'models/index', 'smp/index'])('%s has the names of its source', async entry => {
    const [built, source] = await Promise.all([import(`${project}dist/${entry}.js`), import(`${project}src/${entry}.ts`)]) as Record<string, unknown>[];
    expect(Object.keys(built).sort()).toEqual(Object.keys(source).sort());
    const plain = (names: object) => Object.fromEntries(Object.entries(names).filter(([, value]) => typeof value !== 'function').map(([name, value]) => [name, typeof value === 'object' ? { ...value } : value]));
    expect(plain(built)).toEqual(plain(source));
  });

  it('loads two files for the engine, which need nothing of Node', () => {
    const imports = (file: string) => [...readFileSync(`${project}dist/${file}`, 'utf8').matchAll(/^(?:import|export) .*'(.*)';$/gm)].map(([, from]) => from);
    expect(imports('index.js')).toEqual(['./chunk/engine.js']);
    expect(imports('chunk/engine.js')).toEqual([]);
  });

  it('throws the same errors, as nothing is there twice', async () => {
    const [{ ConfigError, Machine }, { Hypervisor }, { openTrace }] = await Promise.all(['index', 'xen/index', 'trace/index'].map(entry => import(`${project}dist/${entry}.js`)));
    const machine = Machine.create();
    expect(() => Hypervisor.create(machine, { frames: -1, own: { first: 0, frames: 1 } })).toThrow(ConfigError);
    await expect(openTrace('x', { format: 'none' })).rejects.toThrow(ConfigError);
  });
});

const traces = new URL('../../../shared/traces/compile/', import.meta.url);

it.skipIf(!existsSync(traces))('replays the 4.9 million lines of sh, gcc and as in under 300 MB (../shared)', async () => {
  const child = spawn(process.execPath, [`${project}dist/cli/main.js`, 'replay', '-', '--format', 'lackey', '--json', '--cpu', 'zen3'], { stdio: ['pipe', 'pipe', 'inherit'] });
  let text = '', peak = 0;
  child.stdout.on('data', data => { text += data; });
  const watch = setInterval(() => {
    try {
      peak = Math.max(peak, Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1] ?? 0));
    } catch { /* ended, or no /proc here */ }
  }, 20);
  for (const name of ['sh', 'gcc', 'as']) {
    const lines = createReadStream(new URL(`${name}.lackey.gz`, traces)).pipe(createGunzip());
    for await (const chunk of lines) if (!child.stdin.write(chunk)) await new Promise(go => child.stdin.once('drain', go));
  }
  child.stdin.end();
  await new Promise(done => child.on('close', done));
  clearInterval(watch);
  expect(JSON.parse(text).trace.accesses).toBe(4_942_561);
  if (existsSync('/proc/self/status')) expect(peak).toBeGreaterThan(20_000);
  expect(peak).toBeLessThan(300_000);
});
