import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as pagewalk from '../src/index.ts';
import * as built from '../dist/index.js';
import { Cluster } from '../dist/smp/index.js';
import * as models from '../src/models/index.ts';
import { ProcessTree, runTree } from '../src/guest/index.ts';
import { BackRing, FrontRing, Hypervisor } from '../src/xen/index.ts';

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

it('the hypercalls of each policy are as many as it says', async () => {
  const rows = [...readme.matchAll(/^\| (?:\(default\)|`\{ (\w+): '(\w+)' \}`[^|]*) \| (\d+) \| (\d+) \| (\d+) \|$/gm)];
  expect(rows).toHaveLength(5);
  const tree = await ProcessTree.load(new URL('fixtures/compile', import.meta.url).pathname);
  for (const [row, name, value, ...said] of rows) {
    const xen = (await runTree({ tree, ops: 'xen', engine: 'wasm', mode: 'functional', contents: false, ...(name && { policy: { [name]: value } }) })).xen!;
    const made = [...xen.batches.values()].reduce((sum, many) => sum + many, 0);
    expect([made, xen.counters.hypercalls['multicall']?.calls, xen.emulated].map(String), row).toEqual(said);
  }
}, 60_000);

describe('the other examples run', () => {
  const blocks = [...readme.matchAll(/```ts\n([^]*?)```/g)].map(([, code]) => code!.replace(/^import .*$/gm, '')).slice(1);
  /** The example that has some words in it. */
  const example = (words: string): string => {
    const [found, another] = blocks.filter(code => code.includes(words));
    if (found === undefined || another !== undefined) throw new Error(`not one example has ${words}`);
    return found;
  };
  const run = (code: string, names: object): unknown => new Function(...Object.keys(names), code)(...Object.values(names));
  const embedded = (mode: 'timed' | 'functional') => {
    const machine = pagewalk.Machine.create({ mode }), cpu = machine.vcpus[0], va = 0x7f00_0000_0000n;
    machine.map(va, { user: true, write: true, frames: 8 });
    return { ...pagewalk, machine, cpu, va, vaHi: 0x7f00, vaLo: 0x123, kind: pagewalk.ACCESS_USER };
  };

  it('are ten, with one of guests and one of rings', () => expect(blocks).toHaveLength(10));

  it('memory models: what it says of each', () => {
    const told: unknown[] = [], code = example('DmaDoor').replace(/^((?:door|safe|log)\.(?:write|clean)\(.*?\)); .*$/gm, 'told.push($1);');
    run(code, { ...pagewalk, ...models, told });
    expect(told).toMatchObject([{ ok: false, address: 12288, reason: 'untranslated', hit: 3, meant: 8198 }, { ok: true }, { dirty: 1, faults: 1 }]);
  });

  it('doors of a vCPU', () => {
    const names = { ...embedded('timed'), bytes: new Uint8Array(5000), pa: 0x2000n, pages: 2 };
    run(example('cpu.probe'), { ...names, value: names.cpu.registers.cr3 });
    expect(names.cpu.counters().translations.load).toBe(3); // access(), and read() of two pages
  });

  it('many accesses', () => {
    const names = embedded('timed'), handled: number[] = [], queues: pagewalk.AccessQueue[] = [];
    const cpu = {
      queue: (capacity: number) => {
        queues.push(names.cpu.queue(capacity));
        queues[0]!.push(0, 0x5000, pagewalk.ACCESS_USER, 8);
        return queues[0];
      },
      runBatch: names.cpu.runBatch.bind(names.cpu),
    };
    const handle = (fault: number): void => {
      handled.push(fault);
      queues[0]!.skip();
    };
    run(example('cpu.queue'), { ...names, cpu, handle, n: 5, fault: 0 });
    expect(handled).toEqual([pagewalk.FAULT_PF | pagewalk.PFEC_U]);
    expect(names.cpu.counters().faults).toBe(2); // and the first of the columns, which are empty
  });

  it('the fast table', () => {
    const names = embedded('functional');
    for (const rows of ['fills', 'hits']) {
      const { paLo, fault } = run(`${example('FAST_TABLE_BYTES')}\nreturn { paLo, fault };`, { ...names, paLo: undefined, fault: undefined }) as { paLo?: number; fault?: number };
      if (rows === 'fills') expect([paLo, fault]).toEqual([undefined, pagewalk.FAULT_NONE]);
      else expect([paLo, fault]).toEqual([names.cpu.paddrLo, undefined]);
    }
  });

  it('Xen', () => {
    const first = 0xc000, n = 0x800, frames = first + n, root = 0xb000;
    const options = { memory: frames * 4096, mode: 'functional', paging: 'none' } as const, machine = pagewalk.Machine.create(options), cpu = machine.vcpus[0];
    const call = { rdi: 0n, rsi: 0n, rdx: 0n, r10: 0n, r8: 0n };
    const result = run(`${example('xen.dispatch(')}\nreturn xen;`, { ...call, Machine: pagewalk.Machine, memory: machine.views.memory, options, Hypervisor, machine, frames, first, n, cpu, root, fault: pagewalk.FAULT_PF, va: 0x1000n, bytes: new Uint8Array(8) }) as Hypervisor;
    expect(result.audit()).toEqual([]);
  });

  it('shadow paging', () => {
    const machine = pagewalk.Machine.create({ paging: 'none' }), p2m = Int32Array.from({ length: 0x2000 }, (_, gfn) => gfn ^ 1);
    const guest = run(`${example('ShadowedGuest')}\nreturn guest;`, { ShadowedGuest: pagewalk.ShadowedGuest, ACCESS_USER: pagewalk.ACCESS_USER, machine, p2m, bytes: Uint8Array.of(7) }) as pagewalk.ShadowedGuest;
    const seen = new Uint8Array(1);
    machine.read(0x9000n, seen);
    expect([guest.audit(), seen[0]]).toEqual([[], 7]);
  });

  it('many processors', async () => {
    const options = { memory: '1M', vcpus: 2, mode: 'functional' } as const, machine = built.Machine.create(options), guest = new URL('./smp/small-programs.mjs', import.meta.url);
    const [outcome, cluster] = await (run(`return (async () => {${example('cluster.start')}\nreturn [await run, cluster]; })();`, { Cluster, machine, options, guest }) as Promise<[unknown, Cluster]>);
    await cluster.close();
    expect(outcome).toEqual({ how: 'stopped' });
  });

  it('the guest kernel', async () => {
    const fields: Promise<object> = run(`return (async () => {${example('runTree')}\nreturn { kernel, cycles, xen, processes }; })();`, { ...pagewalk, runTree }) as Promise<object>;
    expect(await fields).toMatchObject({ kernel: { forks: 3 }, xen: { stores: expect.any(Number) }, processes: [{ name: 'cc1' }, { name: 'as' }, { name: 'gcc' }, { name: 'sh' }] });
  });
});
