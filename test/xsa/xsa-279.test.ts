/**
 * XSA-279, "x86: DoS from attempting to use INVPCID with a non-canonical address" (CVE-2018-19965).
 *
 * The attacker asks for one address to be invalidated, and gives a non-canonical one. INVLPG ignores those; INVPCID, which the hypervisor
 * used where it had PCIDs, takes an exception on them, and that was the hypervisor's end.
 *
 * Every way to invalidate one address must take a non-canonical one, or one of the hypervisor's, succeed, and do nothing. A 32-bit guest
 * cannot give such addresses, only those of the hypervisor's part.
 */
import { describe, expect, it } from 'vitest';
import { MMUEXT_INVLPG_ALL, MMUEXT_INVLPG_LOCAL, MMUEXT_INVLPG_MULTI } from '../../src/xen/numbers.ts';
import { addressIn, attacker, EINVAL, holds, load, WIDTHS } from './world.ts';

describe.each(WIDTHS)('XSA-279: a %s guest invalidates', (_, wide) => {
  const addresses = wide
    ? [0x8000_0000_0000n, 0x8000_0000_0000_0000n, 0x4000_dead_beef_0000n, 0xfffe_8000_0000_0000n, 0xffff_7fff_ffff_ffffn, 0xffff_8140_0000_0000n]
    : [0xf580_0000n, 0xffff_ffffn];

  it.each(addresses.map(va => [va.toString(16), va] as const))('0x%s on every way, without effect', (_hex, va) => {
    const g = attacker({ wide, vcpus: 2 }), used = addressIn(g, 0, 100);
    for (const cpu of g.machine.vcpus) load(g, used, cpu);
    for (const command of [MMUEXT_INVLPG_LOCAL, MMUEXT_INVLPG_ALL]) expect(g.ext(command, va)).toBe(0);
    // The mask of vCPUs lies behind the operation.
    g.words(8, 0n, 0n, 0n, 3n);
    expect(g.ext(MMUEXT_INVLPG_MULTI, va, addressIn(g, 1, 511) + 24n)).toBe(0);
    expect(g.map(va, 0n, 2n)).toBe(EINVAL); // there is no entry to change
    expect(g.map(va, 0n, 6n)).toBe(EINVAL);
    for (const cpu of g.machine.vcpus) expect(load(g, used, cpu)).toBe(0n);
    holds(g);
  });
});
