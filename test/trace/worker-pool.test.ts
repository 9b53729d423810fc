import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { ConfigError, InputError } from '../../src/errors.ts';
import { serveTasks, WorkerError, WorkerPool } from '../../src/trace/worker-pool.ts';

const folder = mkdtempSync(join(tmpdir(), 'pagewalk-pool-'));
afterAll(() => rmSync(folder, { recursive: true }));
const dist = (file: string): string => new URL(`../../dist/${file}`, import.meta.url).href;
const entry = join(folder, 'entry.mjs');
writeFileSync(entry, `
  import { threadId } from 'node:worker_threads';
  import { ConfigError, InputError } from '${dist('errors.js')}';
  import { serveTasks } from '${dist('trace/worker-pool.js')}';
  serveTasks(async ({ does, n }, progress) => {
    if (does === 'square') { progress({ at: n }); progress({ at: n + 1 }); return { square: n * n, thread: threadId }; }
    if (does === 'config') throw new ConfigError('nodes', 'a few', n);
    if (does === 'input') throw new InputError('a.trace', 'line 7', 'a number', 'seven');
    if (does === 'bug') throw new TypeError('a bug');
    if (does === 'exit') process.exit(7);
    if (does === 'crash') setTimeout(() => { throw new Error('crashed'); }, 0);
    await new Promise(() => setInterval(() => {}, 1000));
  });
`);

interface Task { readonly does: string; readonly n?: number }
interface Square { readonly square: number; readonly thread: number }

const pools: WorkerPool<Task, Square, { at: number }>[] = [];
afterEach(() => Promise.all(pools.splice(0).map(pool => pool.close())));
function poolOf(): WorkerPool<Task, Square, { at: number }> {
  const pool = new WorkerPool<Task, Square, { at: number }>(pathToFileURL(entry));
  pools.push(pool);
  return pool;
}
const nothing = (): void => {};
const failure = (pool: ReturnType<typeof poolOf>, does: string): Promise<Error> => pool.run({ does, n: 3 }, nothing).then(() => { throw new Error('done'); }, e => e);

describe('WorkerPool', () => {
  it('does tasks in as many threads as there are tasks at a time, and keeps the threads', async () => {
    const pool = poolOf(), run = (n: number) => pool.run({ does: 'square', n }, nothing);
    const first = await Promise.all([run(2), run(3)]), second = await run(4);
    expect(first.map(r => r.square)).toEqual([4, 9]);
    expect(second.square).toBe(16);
    const threads = first.map(r => r.thread);
    expect(new Set(threads).size).toBe(2);
    expect(threads).toContain(second.thread);
  });

  it('passes on progress, but not more often than can be of use', async () => {
    const seen: number[] = [];
    await poolOf().run({ does: 'square', n: 5 }, p => { seen.push(p.at); });
    expect(seen).toEqual([5]);
  });

  it('throws what the task threw: its class, message, fields; the thread goes on', async () => {
    const pool = poolOf();
    const config = await failure(pool, 'config'), input = await failure(pool, 'input'), bug = await failure(pool, 'bug');
    expect(config).toBeInstanceOf(ConfigError);
    expect(config).toMatchObject({ message: 'nodes: expected a few, got 3', field: 'nodes', expected: 'a few' });
    expect(input).toBeInstanceOf(InputError);
    expect(input).toMatchObject({ message: 'a.trace: line 7: expected a number, got seven', file: 'a.trace', where: 'line 7', expected: 'a number' });
    expect(bug).not.toBeInstanceOf(ConfigError);
    expect(bug).toMatchObject({ message: 'a bug', stack: expect.stringContaining('entry.mjs') });
    expect((await pool.run({ does: 'square', n: 2 }, nothing)).square).toBe(4);
  });

  it.each([['exit', /exit status 7/], ['crash', /crashed/]])('reports a thread that ends by %s, and does the next task in another', async (does, why) => {
    const pool = poolOf();
    const { thread } = await pool.run({ does: 'square', n: 1 }, nothing);
    const error = await failure(pool, does);
    expect(error).toBeInstanceOf(WorkerError);
    expect(error.message).toMatch(why);
    expect((await pool.run({ does: 'square', n: 1 }, nothing)).thread).not.toBe(thread);
  });

  it('ends a thread whose result is no longer wanted', async () => {
    const pool = poolOf(), controller = new AbortController();
    const outcome = pool.run({ does: 'hang' }, nothing, controller.signal);
    setTimeout(() => controller.abort(), 50);
    await expect(outcome).rejects.toThrow(WorkerError);
    expect((await pool.run({ does: 'square', n: 6 }, nothing)).square).toBe(36);
  });

  it('serves tasks in worker threads only', () => {
    expect(() => serveTasks(async () => 1)).toThrow(/worker thread/);
  });
});
