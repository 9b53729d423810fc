/** Domains that cannot be made: nothing of them is left. */
import { describe, expect, it } from 'vitest';
import { HV_BYTES } from '../../src/layout/hypervisor.ts';
import type { DomainOptions } from '../../src/xen/domain-options.ts';
import { Tenants } from './tenants.ts';

const FREE = 0x990, NEXT = 0x991;

const refused: readonly (readonly [field: string, options: (taken: number) => Partial<DomainOptions>])[] = [
  ['p2m[0]', taken => ({ p2m: [[0, taken, 1]] })],
  ['p2m[1]', () => ({ p2m: [[0, FREE, 2], [2, NEXT, 1]] })],
  ['p2m[0]', () => ({ p2m: [[0, 0xfffff, 1]] })],
  ['sharedInfo', taken => ({ sharedInfo: taken })],
  ['sharedInfo', () => ({ sharedInfo: 0xfffff })],
  ['sharedInfo', () => ({ sharedInfo: FREE })],
  ['sharedInfo', () => ({ sharedInfo: 0.5 })],
  ['grants.frames[0]', taken => ({ grants: { frames: [taken] } })],
  ['grants.frames[1]', () => ({ grants: { frames: [0x980, 0x980] } })],
  ['grants.frames', () => ({ grants: { maxFrames: 1, frames: [0x980, 0x981] } })],
  ['grants.maxVersion', () => ({ grants: { maxVersion: 3 } })],
  ['grants.maxVersion', () => ({ grants: { maxVersion: 0 } })],
  ['maxEventPort', () => ({ maxEventPort: -1 })],
  ['maxEventPort', () => ({ maxEventPort: 1.5 })],
  ['pirqs', () => ({ pirqs: 2 ** 20 + 1 })],
  ['compatStart', () => ({ compatStart: -1 })],
];

describe('a domain', () => {
  it.each(refused)('with a wrong %s is not made (case %#)', (field, options) => {
    const { xen, list: [tenant] } = new Tenants({ domains: 1 }), { frames, own } = xen.host;
    const state = (): string => JSON.stringify([[...xen.host.domains.keys()], Array.from({ length: frames.count }, (_, mfn) => [frames.owner(mfn), frames.refs(mfn), frames.flags(mfn)])]);
    const used = (): number[] => [...own.s.w.slice(own.block + HV_BYTES / 4, own.block + HV_BYTES / 4 + own.frames / 32)];
    const before = state(), held = used();
    expect(() => xen.createDomain({ id: 7, p2m: [[0, FREE, 2]], ...options(tenant!.first) })).toThrow(expect.objectContaining({ name: 'ConfigError', field }));
    expect(state()).toBe(before);
    expect(used()).toEqual(held);
    xen.createDomain({ id: 7, p2m: [[0, FREE, 2]], sharedInfo: 0x980, grants: { frames: [0x981] } });
    expect(xen.audit()).toEqual([]);
  });
});
