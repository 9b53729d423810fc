/** The recorded compilation as a tree of processes: natively, under a second stage, under shadows, and in a paravirtualized domain. */
import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildKernel, type BuildOptions } from '../../src/guest/built-kernel.ts';
import { ProcessTree } from '../../src/guest/process-tree.ts';
import { runTree, type TreeFigures, type TreeOptions } from '../../src/guest/run-tree.ts';

const COMPILE = fileURLToPath(new URL('../fixtures/compile/', import.meta.url));
const SHARED = fileURLToPath(new URL('../../../shared/traces/compile/', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'pagewalk-tree-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Native, direct, nested, shadow. */
const WAYS: readonly Omit<TreeOptions, 'tree'>[] = [{}, { ops: 'xen' }, { stage: { format: 'ept' } }, { stage: { format: 'npt', hostPages: '2m' } }, { shadow: {} }, { shadow: { hostPages: '2m' } }];
const ENGINES = ['ts', 'wasm'] as const;

/** ... with either engine, and by some of their options. */
const OTHERS: readonly Omit<TreeOptions, 'tree'>[] = [
  ...WAYS.flatMap(way => ENGINES.map(engine => ({ ...way, engine }))), { mode: 'functional' }, { mode: 'functional', shadow: {} }, { pcid: true },
  { ops: 'xen', policy: { batching: 'array', pinning: 'early' } }, { ops: 'xen', policy: { batching: 'ptwr' } },
  { stage: { format: 'ept' }, pcid: true }, { shadow: { policy: { outOfSync: 0 } }, pcid: true },
];

/** A folder with the given files. */
function files(name: string, contents: Readonly<Record<string, string>>): string {
  const dir = mkdtempSync(join(folder, `${name}-`));
  for (const [file, text] of Object.entries(contents)) writeFileSync(join(dir, file), file.endsWith('.gz') ? gzipSync(text) : text);
  return dir;
}

const brk = (pid: number) => `SYSCALL[${pid},1](12) sys_brk ( 0x0 ) --> [pre-success] Success(0x4035000) \n`;
const forked = (pid: number, child: number) => `SYSCALL[${pid},1](58) sys_fork ( )   fork: process ${pid} created child ${child}\n --> [pre-success] Success(0x${child.toString(16)}) \n`;
const wait = (pid: number, child: number) => `SYSCALL[${pid},1](61) sys_wait4 ( ${child}, 0x0, 0, 0x0 ) --> [async] ... \n`;
const exited = (pid: number) => `SYSCALL[${pid},1](231) exit_group( 0 ) --> [pre-success] Success(0x0) \n`;
const store = (address: number, bytes = 8) => ` S ${address.toString(16).padStart(8, '0')},${bytes}\n`;
const load = (address: number, bytes = 8) => ` L ${address.toString(16).padStart(8, '0')},${bytes}\n`;

describe('the bundled compilation', () => {
  let tree: ProcessTree, native: TreeFigures;
  beforeAll(async () => {
    tree = await ProcessTree.load(COMPILE);
    native = await runTree({ tree });
  });
  const run = (options: Omit<TreeOptions, 'tree'>) => runTree({ tree, ...options });
  /** Only what a process can know. */
  const seen = ({ processes }: TreeFigures) => processes;

  it('is sh that forks gcc that forks cc1, then as', () => {
    const { root } = tree, [gcc] = root.children;
    expect([root.name, root.children.map(child => child.name), gcc.name, gcc.children.map(child => child.name)]).toEqual(['sh', ['gcc'], 'gcc', ['cc1', 'as']]);
    expect(tree.accesses).toBe(8_942_561);
  });

  it('has processes of which nothing is refused', () => {
    expect(native.processes.map(({ name, accesses, refused }) => [name, accesses, refused])).toEqual([['cc1', 4_000_000, 0], ['as', 3_408_822, 0], ['gcc', 1_229_606, 0], ['sh', 304_133, 0]]);
    expect(new Set(native.processes.map(({ memory }) => memory)).size).toBe(4);
  });

  it.each(OTHERS)('has the same faults and memory in every process with %j; nothing is left', async options => {
    const figures = await run(options);
    expect(seen(figures)).toEqual(seen(native));
    expect(figures.kernel.faults).toEqual(native.kernel.faults);
    expect([figures.frames.leaked, figures.complaints]).toEqual([0, []]);
  });

  it('keeps the books of the hypervisor, and shadows, in order after every fork, exec and exit', async () => {
    const points: string[] = [], complaints: string[] = [];
    await run({ shadow: {}, contents: false, observe: (_, audit) => complaints.push(...audit()) });
    await run({ ops: 'xen', contents: false, observe: (what, audit) => { points.push(what); complaints.push(...audit()); } });
    expect(complaints).toEqual([]);
    expect(points).toEqual(['fork', 'exec', 'fork', 'exec', 'exit', 'fork', 'exec', 'exit', 'exit', 'exit']);
  });

  it('gives the same figures again', async () => {
    expect(await run({})).toEqual(native);
    for (const way of [{ ops: 'xen' }, { shadow: {} }] as const) expect(await run(way)).toEqual(await run(way));
  });

  it('has the same memory with less of it than it touches, and pages come back', async () => {
    const memories = ({ processes }: TreeFigures) => processes.map(({ name, memory }) => [name, memory]);
    const [bare, xen, shadow] = [await run({ limitPages: 600 }), await run({ limitPages: 600, ops: 'xen' }), await run({ limitPages: 600, shadow: {} })];
    expect(memories(bare)).toEqual(memories(native));
    expect([seen(xen), seen(shadow)]).toEqual([seen(bare), seen(bare)]);
    expect(bare.kernel.evictions).toBeGreaterThan(300);
    expect(bare.kernel.refaults.reduce((sum, many) => sum + many)).toBeGreaterThan(20);
    const { hypervisorTrap, hypervisorEmulate, hypervisorShadow, hypervisorSync, hypervisorFlush } = shadow.cycles;
    expect([shadow.shadow!.setDirty > 20, shadow.shadow!.setAccessed > 20]).toEqual([true, true]);
    expect(hypervisorTrap + hypervisorEmulate + hypervisorShadow + hypervisorSync + hypervisorFlush).toBe(shadow.cpu.cycles.hypervisor);
    expect([xen.kernel.refaults, xen.complaints, shadow.kernel.refaults, shadow.complaints]).toEqual([bare.kernel.refaults, [], bare.kernel.refaults, []]);
  });

  it('loads roots without losing what is cached where it has PCIDs', async () => {
    const pcid = await run({ pcid: true });
    expect(pcid.native!.kept).toBeGreaterThan(0);
    expect(pcid.cpu.walks).toBeLessThan(native.cpu.walks);
  });

  it('reads more for a walk under a second stage, less so where the host has large pages; it traps nowhere', async () => {
    const [small, large] = [await run({ stage: { hostPages: '4k' } }), await run({ stage: { hostPages: '2m' } })], cost = ({ cycles }: TreeFigures) => cycles.walkStart + cycles.walkLoads;
    expect([cost(small) > cost(large), cost(large) > cost(native)]).toEqual([true, true]);
    expect({ ...small.cycles, walkStart: 0, walkLoads: 0 }).toEqual({ ...native.cycles, walkStart: 0, walkLoads: 0 });
  });

  it('costs a hypercall where a native kernel stores, more without batches', async () => {
    const calls = ({ xen }: TreeFigures) => [...xen!.batches].reduce((sum, [, many]) => sum + many, 0);
    const [late, early, unbatched] = [await run({ ops: 'xen' }), await run({ ops: 'xen', policy: { pinning: 'early' } }), await run({ ops: 'xen', policy: { batching: 'unbatched' } })];
    expect(calls(early)).toBeGreaterThan(calls(late));
    expect(calls(unbatched)).toBeGreaterThan(calls(late));
    const { mmu_update, multicall } = late.xen!.counters.hypercalls;
    expect([mmu_update.calls, multicall.calls].every(many => many > 0)).toBe(true);
    expect(late.cpu.cycles.hypervisor).toBeGreaterThan(0);
    expect(native.cpu.cycles.hypervisor).toBe(0);
  });
});

describe.skipIf(!existsSync(SHARED))('../shared/traces/compile', () => {
  let tree: ProcessTree, bundled: TreeFigures;
  beforeAll(async () => {
    [tree, bundled] = [await ProcessTree.load(SHARED), await runTree({ tree: COMPILE })];
  });

  it.each(WAYS)('is the same compilation with %j', async way => {
    const { processes, complaints } = await runTree({ tree, ...way });
    expect(processes).toEqual(bundled.processes);
    expect(complaints).toEqual([]);
  });
});

describe('a folder of traces', () => {
  it('is refused where a child is missing, by file and line', async () => {
    const text = `${store(0x4031000)}${brk(1)}${forked(1, 7)}${exited(1)}`;
    for (const file of ['sh.lackey', 'sh.lackey.gz']) {
      const dir = files('missing', { [file]: text });
      await expect(ProcessTree.load(dir)).rejects.toThrow(`${join(dir, file)}: line 3: expected a trace of process 7, which is forked here`);
      expect(readdirSync(dir)).toEqual([file]);
    }
  });

  it('is refused where a child is missing, in a format without lines', async () => {
    const dir = files('missing', {});
    for (const file of ['sh', 'cc1', 'as']) copyFileSync(join(COMPILE, `${file}.pwt.gz`), join(dir, `${file}.pwt.gz`));
    await expect(ProcessTree.load(dir)).rejects.toThrow(/sh\.pwt\.gz: access 302\d{3}: expected a trace of process 31285/);
  });

  it.each([
    ['two trees', { 'a.lackey': `${store(0x4031000)}${brk(1)}`, 'b.lackey': `${store(0x4031000)}${brk(2)}` }, 'one process that no other forked'],
    ['one process twice', { 'a.lackey': `${store(0x4031000)}${brk(1)}`, 'b.lackey': `${store(0x4031000)}${brk(1)}` }, 'a process that no other trace has'],
    ['a child forked twice', { 'a.lackey': `${store(0x4031000)}${forked(1, 2)}${forked(1, 2)}`, 'b.lackey': `${store(0x4031000)}${brk(2)}` }, 'line 4: expected a process that is forked once'],
    ['a trace of nobody', { 'a.lackey': store(0x4031000) }, 'a system call, which tells whose trace it is'],
    ['its own ancestor', { 'a.lackey': `${store(0x4031000)}${brk(1)}`, 'b.lackey': `${store(0x4031000)}${forked(2, 3)}`, 'c.lackey': `${store(0x4031000)}${forked(3, 2)}` }, 'a descendant of process 1'],
    ['a bad line', { 'a.lackey': `${brk(1)}nonsense\n` }, 'line 2'],
  ] as const)('is refused with %s', async (_name, contents, message) => {
    await expect(ProcessTree.load(files('bad', contents))).rejects.toThrow(message);
  });

  it('is refused without traces, or without a folder', async () => {
    await expect(ProcessTree.load(files('empty', { 'readme.txt': 'x' }))).rejects.toThrow('dir: expected a folder with traces');
    await expect(ProcessTree.load(join(folder, 'nowhere'))).rejects.toThrow('dir: expected a folder that can be read');
  });

  it('is not changed by being read', async () => {
    const before = readFileSync(join(COMPILE, 'sh.pwt.gz'));
    await ProcessTree.load(COMPILE);
    expect(readFileSync(join(COMPILE, 'sh.pwt.gz')).equals(before)).toBe(true);
  });
});

describe('a trace alone', () => {
  it('is a process whose children end when they are forked: their pages are shared no more', async () => {
    const text = `${store(0x1fff000000)}${store(0x4031000)}${brk(1)}SYSCALL[1,1](12) sys_brk ( 0x4055000 ) --> [pre-success] Success(0x4055000) \n${store(0x4036000)}${forked(1, 2)}${wait(1, 2)}${store(0x4036000)}`;
    const file = join(files('alone', { 'a.lackey': text }), 'a.lackey'), tree = await ProcessTree.open(file);
    expect(tree).toMatchObject({ accesses: 4, root: { name: 'a', pid: 1, children: [] } });
    for (const ops of ['native', 'xen'] as const) {
      const { kernel, complaints, frames, processes } = await runTree({ tree, ops });
      expect([kernel.forks, kernel.exits, kernel.faults.copy, kernel.faults.reuse, complaints, frames.leaked]).toEqual([1, 2, 0, 1, [], 0]);
      expect(processes.map(({ name }) => name)).toEqual(['a']);
    }
  });

  it('needs no system calls, and may be of any format', async () => {
    const tree = await ProcessTree.open(join(files('plain', { 'x.trace.din': '2 401000\n0 7ff000\n1 7ff010\n' }), 'x.trace.din'));
    expect(tree).toMatchObject({ accesses: 3, root: { name: 'x.trace', pid: 1 } });
    expect((await runTree({ tree })).processes[0]).toMatchObject({ accesses: 3, refused: 0 });
  });

  it('is refused like others', async () => {
    await expect(ProcessTree.open(join(folder, 'none'))).rejects.toThrow('none: open: expected a file');
    await expect(ProcessTree.open(join(files('bad', { 'a.lackey': `${brk(1)}nonsense\n` }), 'a.lackey'))).rejects.toThrow('line 2');
  });

  it('tells how far it is', async () => {
    const done: number[] = [], tree = await ProcessTree.open(join(COMPILE, 'sh.pwt.gz'));
    await runTree({ tree, contents: false, onProgress: accesses => done.push(accesses) });
    expect(done.at(-1)).toBe(tree.accesses);
    expect(done.every((accesses, k) => k === 0 || accesses > done[k - 1])).toBe(true);
  });
});

describe('small trees', () => {
  const base = `${store(0x1fff000000)}${store(0x4031000)}${brk(1)}SYSCALL[1,1](12) sys_brk ( 0x4055000 ) --> [pre-success] Success(0x4055000) \n`;
  const child = `${store(0x1fff000000)}${load(0x4031000)}${brk(2)}${exited(2)}`;

  it('copy on write between fork and wait, and find nobody to share with afterwards', async () => {
    const dir = files('cow', {
      'a.lackey': `${base}${store(0x4036000)}${store(0x4037000)}${forked(1, 2)}${store(0x4036000)}${wait(1, 2)}${store(0x4037000)}${exited(1)}`, 'b.lackey': child,
    });
    for (const ops of ['native', 'xen'] as const) {
      const { kernel, complaints, frames } = await runTree({ tree: dir, ops });
      expect([kernel.faults.copy, kernel.faults.reuse, kernel.forks, kernel.execs, kernel.exits, kernel.contextSwitches]).toEqual([1, 1, 1, 2, 2, 2]);
      expect([complaints, frames.leaked]).toEqual([[], 0]);
    }
  });

  it('tell a process of what it may not do, once for each access', async () => {
    const dir = files('signal', { 'a.lackey': `${base}SYSCALL[1,1](10) sys_mprotect ( 0x4031000, 4096, 1 )[sync] --> Success(0x0) \n${store(0x4031000)}${store(0x4031008)}${load(0x4031000)}` });
    for (const ops of ['native', 'xen'] as const) {
      const { processes, kernel } = await runTree({ tree: dir, ops });
      expect([processes[0].refused, kernel.faults.refused]).toEqual([2, 2]);
    }
  });

  it('run children that nobody waits for', async () => {
    const dir = files('orphan', { 'a.lackey': `${base}${forked(1, 2)}`, 'b.lackey': child });
    expect((await runTree({ tree: dir, ops: 'xen' })).processes.map(({ name }) => name)).toEqual(['a', 'b']);
  });

  it('serve an access that crosses into a page that is not there', async () => {
    const dir = files('cross', { 'a.lackey': `${base}${store(0x4036ffc, 8)}${load(0x4037000, 4)}` });
    const [native, xen] = [await runTree({ tree: dir }), await runTree({ tree: dir, ops: 'xen', engine: 'ts' })];
    expect(xen.processes).toEqual(native.processes);
    expect(native.kernel.faults.demandZero).toBe(2);
  });

  it.each<[string, 'native' | 'xen', BuildOptions]>([['xen', 'xen', {}], ['nested', 'native', { stage: {} }], ['shadow', 'native', { shadow: {} }]])('are refused with too little memory for %s, and not with the least that is told', (_, ops, more) => {
    const refusal = (bytes: number): string => { try { buildKernel({ ops, ...more, memory: bytes, limitPages: 8 }); } catch (error) { return (error as Error).message; } return ''; };
    const [, least] = /^memory: expected at least (\d+) bytes, got 524288$/.exec(refusal(524288))!;
    expect(refusal(Number(least) - 4096)).toMatch(`at least ${least} bytes`);
    expect(refusal(Number(least))).not.toMatch('at least');
  });

  it.each([
    [{ ops: 'vmware' }, 'ops'], [{ pages: '1g' }, 'pages'], [{ ops: 'xen', policy: { batching: 'all' } }, 'batching'], [{ ops: 'xen', policy: { pinning: 'never' } }, 'pinning'],
    [{ policy: {} }, 'policy'], [{ ops: 'xen', pcid: true }, 'pcid'], [{ ops: 'xen', stage: {} }, 'stage'], [{ ops: 'xen', shadow: {} }, 'shadow'], [{ stage: {}, shadow: {} }, 'shadow'], [{ shadow: { hostPages: '1g' } }, 'shadow.hostPages'], [{ shadow: { poolFrames: 1.5 } }, 'shadow.poolFrames'],
    [{ shadow: { policy: { flood: 0 } } }, 'policy.flood'], [{ shadow: { policy: { unshadow: false } } }, 'shadow.policy.unshadow'], [{ shadow: {}, shadowCosts: {} }, 'shadowCosts.exitPageFault'], [{ stage: { format: 'vmx' } }, 'stage.format'], [{ stage: { hostPages: '1g' } }, 'stage.hostPages'], [{ limitPages: 0 }, 'limitPages'], [{ faultAround: 3 }, 'faultAround'], [{ promoteAt: 513 }, 'promoteAt'],
    [{ memory: '16K' }, 'memory'], [{ ops: 'xen', policy: { batch: 'array' } }, 'policy.batch: expected one of batching, pinning'], [{ stage: { formt: 'npt' } }, 'stage.formt'], [{ shadow: { pool: 5 } }, 'shadow.pool'], [{ stage: null }, 'stage: expected an object, got null'],
    [{ tree: undefined }, 'tree: expected a folder of traces'], [{ tree: 5 }, 'tree: expected a folder of traces'], [{ shadow: '2m' }, 'shadow: expected an object, got "2m"'],
  ])('are refused with %j', async (options, field) => {
    const dir = files('one', { 'a.lackey': base });
    await expect(runTree({ tree: dir, ...options } as TreeOptions)).rejects.toThrow(field);
  });
});
