/**
 * A shadowed guest, the same kernel on a machine of its own, and under a second stage: whatever they do, they see the same.
 *
 * `SHADOW_STEPS=16000` makes it a million operations, `SHADOW_SEED` others.
 */
import { expect, it } from 'vitest';
import type { ShadowPolicy } from '../../../src/virt/shadow/policy.ts';
import { WORK } from '../../../src/virt/shadow/work.ts';
import { Kernel } from './kernel.ts';
import { MODES, type TwinOptions } from './twin.ts';

const POLICIES: readonly (readonly [string, Partial<ShadowPolicy>])[] = [
  ['the defaults', {}],
  ['every write emulated', { outOfSync: 0 }],
  ['one table out of sync, floods soon', { outOfSync: 1, flood: 3 }],
  ['no fast path', { fastPath: false }],
  ['no unshadowing', { unshadow: false, outOfSync: 0 }],
  ['nothing clever', { fastPath: false, outOfSync: 0, unshadow: false, wp: 'emulate', superpages: false, guess: false }],
];
const STEPS = Number(process.env['SHADOW_STEPS'] ?? 1500), SEED = Number(process.env['SHADOW_SEED'] ?? 1);

interface Variant {
  readonly pcid?: boolean;
  /** Rounds of log-dirty. */
  readonly logged?: boolean;
}

function run(options: TwinOptions & Variant, seed: number): void {
  const kernel = new Kernel(options, seed), { guest } = kernel.twin;
  if (options.logged === true) guest.startLogDirty();
  for (let k = 0; k < STEPS && kernel.twin.differences.length === 0; k++) {
    kernel.step();
    if (options.logged === true && k % 100 === 0) guest.cleanLogDirty();
    if (k % 20 === 0) kernel.twin.differences.push(...kernel.twin.guest.audit());
    if (k % 500 === 499) kernel.twin.compare();
  }
  if (kernel.twin.differences.length === 0) kernel.twin.compare();
  expect(kernel.twin.differences).toEqual([]);
  for (const [kind, times] of Object.entries(kernel.twin.guest.counters())) work[kind] = (work[kind] ?? 0) + times;
}

/** What all shadows did, by kind. */
const work: Record<string, number> = {};

const VARIANTS: readonly (readonly [string, Partial<Omit<TwinOptions, 'mode'>> & Variant])[] = [
  ['a pool that is too small', { pool: 18 }],
  ['two processors', { vcpus: 2 }],
  ['two processors, a small pool, no unshadowing', { vcpus: 2, pool: 22, policy: { unshadow: false } }],
  ['PCIDs', { pcid: true }],
  ['pages written are logged', { logged: true }],
  ['the TypeScript engine', { machine: { engine: 'ts' } }],
  ['functional mode', { machine: { mode: 'functional' } }],
  ['NPT', { machine: { features: { amd: true } } }],
  ['no reserved address bits', { machine: { physicalAddressBits: 52 }, nested: false }],
];

for (const mode of MODES) {
  it.each(POLICIES)(`${mode}: %s`, (_, policy) => {
    for (const scrambled of [false, true]) run({ mode, scrambled, policy, nested: true }, SEED + (scrambled ? 1 : 0));
  });

  it.each(VARIANTS)(`${mode}: %s`, (_, options) => {
    run({ mode, scrambled: true, nested: true, ...options }, SEED + 2);
  });
}

it('all kinds of work were done', () => {
  expect(Object.keys(WORK).filter(kind => !(work[kind]! > 0))).toEqual([]);
});
