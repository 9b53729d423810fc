/**
 * XSA-224, "grant table operations mishandle reference counts" (CVE-2017-10920, -10921, -10922).
 *
 * A grant is mapped for the processor, for a device, or both, and each takes references of its own: a general one, and one of the type writable
 * if it may write. They were counted wrongly in several ways. The attacker maps for both and takes one of the two away, or names the device's
 * address as zero, or maps a frame writable that cannot be written, or has an unmapping fail after half of it was done: afterwards a mapping is
 * there whose references are not, and its frame can become a page table, or be freed, under it.
 *
 * Each half holds its references for as long as it is there, and no longer; a zero address leaves its half alone; what fails changes nothing.
 * Both widths.
 */
import { describe, expect, it } from 'vitest';
import {
  GNTMAP_device_map, GNTMAP_host_map, GNTMAP_readonly, GNTST_bad_dev_addr, GNTST_bad_handle, GNTST_general_error, GNTST_okay, GTF_permit_access,
} from '../../src/xen/grant-numbers.ts';
import { MMUEXT_PIN_L1_TABLE } from '../../src/xen/numbers.ts';
import { entryOf, READ } from '../xen/guest.ts';
import { SPARE, Tenants } from '../xen/tenants.ts';
import { EINVAL, WIDTHS } from './world.ts';

const DEVICE = GNTMAP_device_map, HOST = GNTMAP_host_map, BOTH = DEVICE | HOST;
const REF = 9, K = 20;

describe.each(WIDTHS)('XSA-224: a %s guest', (_, wide) => {
  function scene() {
    const world = new Tenants({ wide }), [attacker, victim] = world.list, mfn = victim.frame(K), { frames } = world.xen.host;
    victim.grant(REF, GTF_permit_access, attacker.id, mfn);
    /** General references, type count, pin: with the owner's own two, its allocation and its mapping. */
    const counts = (): number[] => [frames.refs(mfn) - 2, frames.typeCount(mfn) - 1, victim.pins(REF)];
    return { world, attacker, victim, mfn, bus: mfn * 4096, va: attacker.va(SPARE), counts };
  }

  it.each([['the device', true], ['the processor', false]] as const)('maps for both, and unmaps for %s first', (_what, deviceFirst) => {
    for (const flags of [BOTH, BOTH | GNTMAP_readonly]) {
      const { attacker, bus, va, counts } = scene(), type = flags & GNTMAP_readonly ? 0 : 1, both = attacker.mapGrant(va, flags, REF, 1);
      const [host, device] = type ? [1, 1 << 16] : [1 << 8, 1 << 24];
      expect([both.status, ...counts()]).toEqual([GNTST_okay, 2, 2 * type, host + device]);
      expect(attacker.unmapGrant(deviceFirst ? 0n : va, deviceFirst ? bus : 0, both.handle)).toBe(GNTST_okay);
      expect(counts()).toEqual([1, type, deviceFirst ? host : device]);
      expect(attacker.unmapGrant(deviceFirst ? 0n : va, deviceFirst ? bus : 0, both.handle)).toBe(GNTST_okay); // that half is gone: nothing is done
      expect(counts()).toEqual([1, type, deviceFirst ? host : device]);
      expect(attacker.unmapGrant(deviceFirst ? va : 0n, deviceFirst ? 0 : bus, both.handle)).toBe(GNTST_okay);
      expect(counts()).toEqual([0, 0, 0]);
      expect(attacker.unmapGrant(va, bus, both.handle)).toBe(GNTST_bad_handle);
    }
  });

  it('gives no address for the device: its half stays', () => {
    const { attacker, bus, va, counts } = scene(), { handle } = attacker.mapGrant(va, BOTH, REF, 1);
    for (let k = 0; k < 3; k++) expect(attacker.unmapGrant(0n, 0, handle)).toBe(GNTST_okay);
    expect(counts()).toEqual([2, 2, 0x10001]);
    expect(attacker.unmapGrant(va, 0, handle)).toBe(GNTST_okay);
    expect(counts()).toEqual([1, 1, 0x10000]);
    expect(attacker.unmapGrant(0n, bus, handle)).toBe(GNTST_okay);
    expect(counts()).toEqual([0, 0, 0]);
  });

  it('has an unmapping of both fail in one half: neither is done', () => {
    const { world, attacker, bus, va, counts } = scene(), { handle } = attacker.mapGrant(va, BOTH, REF, 1);
    for (const [host, device, status] of [[attacker.va(SPARE + 1), bus, GNTST_general_error], [va, bus + 4096, GNTST_bad_dev_addr]] as const) {
      attacker.unmapGrant(host, device, handle);
      const before = world.state();
      expect([attacker.unmapGrant(host, device, handle), ...counts()]).toEqual([status, 2, 2, 0x10001]);
      expect(Buffer.compare(before, world.state())).toBe(0);
    }
    expect([attacker.unmapGrant(va, bus, handle), ...counts()]).toEqual([GNTST_okay, 0, 0, 0]);
  });

  it('maps a page table to be written, for a device too: it is refused, and the table keeps its counts', () => {
    const { world, attacker, victim, mfn, va, counts } = scene(), { frames } = world.xen.host;
    expect([victim.map(K, entryOf(mfn, READ)), victim.ext(MMUEXT_PIN_L1_TABLE, mfn)]).toEqual([0, 0]);
    const before = counts(), type = frames.type(mfn);
    for (const flags of [HOST, DEVICE, BOTH]) {
      expect([attacker.mapGrant(va, flags, REF, 1).status, ...counts(), frames.type(mfn)]).toEqual([GNTST_general_error, ...before, type]);
    }
    for (const flags of [HOST, DEVICE, BOTH]) expect(attacker.mapGrant(va, flags | GNTMAP_readonly, REF, 1).status).toBe(GNTST_okay);
    expect(frames.type(mfn)).toBe(type);
  });

  it('maps for a device alone, to write: no entry is made, and the frame becomes no page table', () => {
    const { attacker, victim, mfn, bus, va, counts } = scene(), before = attacker.entry(SPARE), { status, handle } = attacker.mapGrant(va, DEVICE, REF, 1);
    expect([status, attacker.entry(SPARE), ...counts()]).toEqual([GNTST_okay, before, 1, 1, 0x10000]);
    expect([victim.map(K, entryOf(mfn, READ)), victim.ext(MMUEXT_PIN_L1_TABLE, mfn)]).toEqual([0, EINVAL]);
    expect(attacker.unmapGrant(va, bus, handle)).toBe(GNTST_okay);
    expect(victim.ext(MMUEXT_PIN_L1_TABLE, mfn)).toBe(0);
  });
});
