import { expect, it } from 'vitest';
import { FrameDuel, type FrameDuelOptions } from './duel.ts';

const OPERATIONS = 96_000;
const scenes = [1, 2].flatMap(vcpus => [false, true].flatMap(high => [0.0005, 0.03, 0.15].map((odd): FrameDuelOptions => ({ vcpus, high, odd }))));

it('plays more than a million operations', () => expect(scenes.length * OPERATIONS).toBeGreaterThan(1_000_000));

it.each(scenes)('both engines do the same: vCPUs $vcpus, frames above 4 GiB $high, odd $odd', options => {
  const d = new FrameDuel(options, options.vcpus * 1000 + options.odd * 100);
  for (let part = 0; part < 16; part++) {
    d.play(OPERATIONS / 16);
    expect(d.differences(), `part ${part}`).toEqual([]);
  }
  for (const what of ['validate', 'drop', 'update']) expect(d.done.get(what), what).toBeGreaterThan(20_000);
  if (options.odd < 0.01) expect(d.done.get('table')).toBeGreaterThan(200_000);
  expect(d.owed).toBeGreaterThan(500);
  expect(d.limit).toBe(options.high ? 2 ** 21 : 128);
});
