import { describe, expect, it, vi } from 'vitest';
import { runCell } from '../../src/compare/cell.ts';
import { WAYS, type WayName } from '../../src/compare/way.ts';
import { presets } from '../../src/cost/presets/all.ts';
import { ProcessTree, totalCycles, type TreeFigures } from '../../src/guest/index.ts';
import { fixture } from '../cli/pagewalk.ts';

let change = (figures: TreeFigures): TreeFigures => figures;

vi.mock(import('../../src/guest/index.ts'), async (original) => {
  const module = await original();
  return { ...module, runTree: async (options) => change(await module.runTree(options)) };
});

const tree = await ProcessTree.load(fixture('compile'));
const run = (way: WayName) => runCell({ kind: 'cell', way, cpu: presets.zen3, pages: '4k', tree, engine: 'auto', memory: '64M' }, () => undefined);
const sum = (counts: readonly number[]): number => counts.reduce((a, b) => a + b, 0);

it.each(WAYS)('%s: cycles by cause are all cycles, estimates are a part of them, and nothing is complained of', async (way) => {
  const { cycles, estimated, total, complaints } = await run(way);
  expect([totalCycles(cycles), complaints]).toEqual([total, []]);
  for (const [cause, of] of Object.entries(estimated)) {
    expect(of, cause).toBeGreaterThanOrEqual(0);
    expect(of, cause).toBeLessThanOrEqual(cycles[cause as keyof typeof cycles]);
  }
});

it('hypercalls are as many by kind of exit as by the calls in them, the first of all too', async () => {
  const { hypercalls, batches, exits } = (await run('direct')).hypervisor!;
  const made = sum(batches.map(({ hypercalls }) => hypercalls));
  expect(hypercalls.map(({ name }) => name)).toContain('vm_assist');
  expect(exits).toMatchObject([{ name: 'hypercall', count: made }, { name: 'page fault' }, { name: 'system call, return' }]); // none was preempted
  expect(sum(batches.map(({ size, hypercalls: many }) => size * many)) + hypercalls.find(({ name }) => name === 'multicall')!.calls).toBe(sum(hypercalls.map(({ calls }) => calls)));
});

it('exits of shadow paging are told by what they were for, each once', async () => {
  const counted = { exitPageFault: 1000, guestFault: 100, fastNotPresent: 10, emulatedWrite: 20, emulatedWp: 3, unsync: 5, exitCr3: 7, exitInvlpg: 9, exitCr0: 1, exitCr4: 2, exitEfer: 4, exitInvpcid: 8 };
  change = figures => ({ ...figures, shadow: { ...figures.shadow!, ...counted } });
  try {
    expect(Object.fromEntries((await run('shadow')).hypervisor!.exits.map(({ name, count }) => [name, count]))).toEqual({
      'guest\'s page fault': 110, 'store to a table': 28, 'entry not shadowed': 862, 'load of CR3': 7, 'INVLPG': 9, 'other register': 15,
    });
  } finally {
    change = figures => figures;
  }
});

it('references are those of the guest\'s tables, and of the host\'s where there is a host', async () => {
  for (const way of WAYS) {
    let hits: readonly (readonly number[])[] = [];
    change = (figures) => {
      hits = [figures.cpu.referenceHits, figures.cpu.hostHits];
      return figures;
    };
    const { references } = await run(way).finally(() => { change = figures => figures; });
    expect([references.guest, references.host], way).toEqual(hits.map(sum));
    expect(references.host > 0, way).toBe(way === 'nested');
  }
});

describe('what does not hold at the end is complained of', () => {
  it.each(['native', 'direct'] as const)('%s: frames that are left, and what the hypervisor says', async (way) => {
    change = figures => ({ ...figures, frames: { ...figures.frames, leaked: 3 }, complaints: ['a frame has no owner'] });
    try {
      expect((await run(way)).complaints).toEqual(['a frame has no owner', '3 frames are left when all processes have ended']);
    } finally {
      change = figures => figures;
    }
  });
});
