/** What `pagewalk compare` does where processes did not see the same. */
import { expect, it, vi } from 'vitest';
import type { Comparison } from '../../src/compare/comparison.ts';
import { cell, comparison, group } from '../report/sample-comparison.ts';
import { fixture } from './pagewalk.ts';

const made = vi.hoisted(() => ({ comparison: undefined as unknown }));
vi.mock('../../src/compare/comparison.ts', () => ({ compare: () => Promise.resolve(made.comparison) }));

const other = { processes: [{ ...cell('native', {}).processes[0], memory: 'other' }] };

async function run(result: Comparison, ...args: readonly string[]) {
  made.comparison = result;
  const { compareCommand } = await import('../../src/cli/compare.ts'), out: string[] = [], err: string[] = [];
  return { status: await compareCommand([fixture('compile'), ...args], text => out.push(text), text => err.push(text)), out: out.join('\n'), err: err.join('\n') };
}

it('says so, with exit status 1; in JSON and CSV too, whose readers are told on standard error', async () => {
  const differs = comparison([group([cell('native', { tlb: 1 }), cell('nested', { tlb: 2 }, other)])]), line = 'nested on zen3, 4k: memory of process sh (1): other; m native on zen3, 4k';
  const tables = await run(differs);
  expect([tables.status, tables.err]).toEqual([1, '']);
  expect(tables.out).toContain(`What processes saw differs:\n${line}`);
  for (const format of ['--json', '--csv']) expect(await run(differs, format)).toMatchObject({ status: 1, err: `What processes saw differs:\n${line}` });
});

it('has exit status 0 where they did', async () => {
  const { status, out, err } = await run(comparison([group([cell('native', { tlb: 1 }), cell('nested', { tlb: 2 })])]));
  expect([status, err]).toEqual([0, '']);
  expect(out).toContain('Outcome   the same in all 2 cells');
});
