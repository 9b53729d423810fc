/** What `npm run stress` is asked for. On the built package. */
import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';

const stress = (...argv: string[]) => spawnSync(process.execPath, ['test/smp/stress.mjs', ...argv], { encoding: 'utf8' });

it.each([
  [['soon'], 'SECONDS: expected a number above 0, got "soon"'], [['0'], 'SECONDS'], [['1', '2'], 'SECONDS'], [['1', '--workers', '2.5'], '--workers: expected a whole number from 2 to 16, got "2.5"'], [['1', '--workers', '17'], '--workers'],
  [['1', '--seed', 'x'], '--seed: expected a whole number'], [['1', '--only', 'turn,twice'], '--only: expected some of beside,turn,again,killed, got "twice"'], [['1', '--what'], '--what'],
])('%j is refused in a line, and how it is used', (argv, message) => {
  const { status, stdout, stderr } = stress(...argv);
  expect([status, stdout]).toEqual([2, '']);
  expect(stderr).toMatch(/^stress: .*\nnpm run stress -- SECONDS .*\n$/);
  expect(stderr).toContain(message);
});

it('a short run tells what was done', () => {
  const { status, stdout } = stress('0.1', '--workers', '2', '--seed', '3', '--only', 'turn');
  expect([status, stdout]).toEqual([0, expect.stringMatching(/│ turn +│ [1-9].*│ 0 +│\n/) as string]);
});
