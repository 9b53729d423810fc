/** Which rights the changes of a workload take and give. */
import { expect, it, vi } from 'vitest';
import { runWorkload } from '../../src/guest/workload.ts';
import { PROT_READ, PROT_WRITE } from '../../src/guest/vma.ts';

const rights: number[] = [];

vi.mock(import('../../src/guest/mapping-calls.ts'), async (original) => {
  const module = await original();
  return { ...module, protect: (k, mm, start, end, prot) => { rights.push(prot); module.protect(k, mm, start, end, prot); } };
});

const RW = PROT_READ | PROT_WRITE;

it.each([['guard', [0, RW]], ['protect', [PROT_READ, RW]], ['map', []], ['fork', []]] as const)('%s: %j', (change, each) => {
  rights.length = 0;
  runWorkload({ change, accesses: 401, interval: 200, workingSet: 32, memory: '16M' });
  expect(rights).toEqual([...each, ...each]);
});
