/**
 * A guest changes an entry of its grant table while the hypervisor flags it as in use: in version 1 by compare-and-swap of the entry, tried five times
 * (_set_status_v1(), xen/common/grant_table.c of Xen 4.17), in version 2 by a look at it after the flags are up (_set_status_v2()).
 */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Worker } from 'node:worker_threads';
import {
  GNTMAP_host_map, GNTMAP_readonly, GNTST_general_error, GNTST_okay, GTF_accept_transfer, GTF_permit_access, GTF_readonly, GTF_reading, GTF_transfer_committed,
  GTF_writing,
} from '../../src/xen/grant-numbers.ts';
import { DOMID_SELF } from '../../src/xen/numbers.ts';
import { DATA_FRAME, SPARE, Tenants } from './tenants.ts';

const WRITE = GNTMAP_host_map, READ = GNTMAP_host_map | GNTMAP_readonly, REF = 9, TRIES = 5;
const { load, compareExchange, or } = Atomics;

/** Domain 1 grants a frame to domain 0, by an entry of a version; `at` is its word. */
function scene(wide: boolean, version: 1 | 2) {
  const world = new Tenants({ wide }), [user, owner] = world.list, { w } = world.machine.views;
  expect([world.machine.views.atomic, owner.setVersion(version)]).toEqual([true, 0]);
  const set = (flags: number, to = user.id): void => (version === 1 ? owner.grant(REF, flags, to, owner.frame(20)) : owner.grant2(REF, flags, to, 0, owner.frame(20)));
  set(GTF_permit_access);
  const at = owner.domain.grants.entryAt(world.xen.host, REF), map = (flags: number) => user.mapGrant(user.va(SPARE), flags, REF, owner.id);
  const seen = () => owner.flags(REF) & (GTF_reading | GTF_writing), copyTo = () => user.copy([['frame', user.frame(DATA_FRAME), DOMID_SELF, 0], ['ref', REF, owner.id, 0], 8])[0];
  return { world, user, owner, w, at, set, map, seen, copyTo };
}

/** The guest writes right before each compare-and-swap of a word. @returns how often there was one */
function beforeSwap(at: number, write: (swap: number) => void): { swaps: number } {
  const count = { swaps: 0 };
  vi.spyOn(Atomics, 'compareExchange').mockImplementation(((array: Int32Array, index: number, old: number, value: number) => {
    if (index === at && array instanceof Int32Array) write(++count.swaps);
    return compareExchange(array, index, old, value);
  }) as typeof compareExchange);
  return count;
}

/** ... right after the flags of a word are raised. */
function afterRaise(at: number, write: () => void): void {
  vi.spyOn(Atomics, 'or').mockImplementation(((array: Int32Array, index: number, bits: number) => {
    const was = or(array, index, bits);
    if (index === at) write();
    return was;
  }) as typeof or);
}

afterEach(() => { vi.restoreAllMocks(); });

describe.each([['64-bit', true], ['32-bit', false]] as const)('grants to a %s guest that change meanwhile', (_, wide) => {
  it.each([1, 2, 3, 4])('are tried again: %i changes do not keep it from being mapped', changes => {
    const { w, at, map, seen, owner } = scene(wide, 1), bit = 1 << 9; // of no meaning to anyone
    const count = beforeSwap(at, swap => { if (swap <= changes) w[at] ^= bit; });
    expect([map(WRITE).status, count.swaps, seen(), owner.pins(REF), (w[at] & bit) !== 0]).toEqual([GNTST_okay, changes + 1, GTF_reading | GTF_writing, 1, changes % 2 === 1]);
  });

  it('are given up after five tries, with nothing in use', () => {
    const { world, w, at, map, seen, owner, copyTo } = scene(wide, 1), refs = world.xen.host.frames.refs(owner.frame(20));
    const count = beforeSwap(at, () => { w[at] ^= 1 << 9; });
    expect([map(WRITE).status, count.swaps]).toEqual([GNTST_general_error, TRIES]);
    expect([copyTo(), count.swaps]).toEqual([GNTST_general_error, 2 * TRIES]);
    expect([seen(), owner.pins(REF), world.xen.host.frames.refs(owner.frame(20))]).toEqual([0, 0, refs]);
  });

  const withdrawals: [what: string, flags: number, to: number, mapping: number, status: number][] = [
    ['taken back', 0, 0, READ, GNTST_general_error],
    ['given to another', GTF_permit_access, 5, READ, GNTST_general_error],
    ['made one to read, when it is to be written', GTF_permit_access | GTF_readonly, 0, WRITE, GNTST_general_error],
    ['made one to read, when it is to be read', GTF_permit_access | GTF_readonly, 0, READ, GNTST_okay],
    ['made one to take a frame', GTF_accept_transfer, 0, READ, GNTST_general_error],
  ];
  it.each(withdrawals)('are %s: what the guest wrote last counts', (_what, flags, to, mapping, status) => {
    for (const version of [1, 2] as const) {
      const { world, at, set, map, seen, owner } = scene(wide, version), { host } = world.xen;
      const write = (): void => { vi.restoreAllMocks(); set(flags, to); };
      if (version === 1) beforeSwap(at, write);
      else afterRaise(owner.domain.grants.statusAt(host, REF), write);
      expect([map(mapping).status, seen(), owner.pins(REF)]).toEqual([status, ...(status === GNTST_okay ? [GTF_reading, 0x100] : [0, 0])]);
    }
  });

  it('are made ones to read while they are mapped to be read: no use to write begins', () => {
    for (const version of [1, 2] as const) {
      const { world, at, set, map, seen, owner, copyTo } = scene(wide, version);
      expect(map(READ).status).toBe(GNTST_okay);
      const write = (): void => { vi.restoreAllMocks(); set(GTF_permit_access | GTF_readonly | (version === 1 ? GTF_reading : 0)); };
      if (version === 1) beforeSwap(at, write);
      else afterRaise(owner.domain.grants.statusAt(world.xen.host, REF), write);
      expect([copyTo(), seen(), owner.pins(REF)]).toEqual([GNTST_general_error, GTF_reading, 0x100]);
    }
  });

  it('take a frame: the entry that changes is not committed', () => {
    for (const [write, status, flags] of [[0x200, GNTST_general_error, 0x200 | GTF_accept_transfer], [0, GNTST_okay, GTF_accept_transfer | GTF_transfer_committed | 8]]) {
      const { world, user, owner, w, at, set } = scene(wide, 1);
      set(GTF_accept_transfer);
      expect(user.map(DATA_FRAME, 0n)).toBe(0);
      beforeSwap(at, () => { w[at] |= write; });
      expect([user.transfer(user.frame(DATA_FRAME), owner.id, REF), owner.flags(REF)]).toEqual([status, flags]);
      expect(world.xen.host.frames.owner(user.frame(DATA_FRAME))).toBe(status === GNTST_okay ? owner.id : 0);
    }
  });

  it('by a thread of its own hold all invariants', async () => {
    for (const version of [1, 2] as const) {
      const { world, at, map, seen, owner, user, copyTo } = scene(wide, version), entry = load(world.machine.views.w, at);
      const running = new Int32Array(new SharedArrayBuffer(8));
      const worker = new Worker(`
        const { workerData: { buffer, at, entry, running } } = require('node:worker_threads'), w = new Int32Array(buffer);
        const values = [entry, entry | ${GTF_readonly}, entry, entry & ~3, entry | 0x200, entry ^ 0x70000];
        for (let k = 0; Atomics.load(running, 0) === 0; k++) {
          const old = Atomics.load(w, at), value = values[k % values.length] | (old & ${GTF_reading | GTF_writing});
          if (Atomics.compareExchange(w, at, old, value) === old) Atomics.add(running, 1, 1);
        }`, { eval: true, workerData: { buffer: world.machine.views.w.buffer, at, entry, running } });
      await new Promise(resolve => { worker.once('online', resolve); });
      while (load(running, 1) === 0) await new Promise(resolve => { setTimeout(resolve, 1); });
      const statuses = new Set<number>();
      for (let k = 0; k < 400; k++) {
        const { status, handle } = map(k & 1 ? READ : WRITE);
        statuses.add(status);
        if (status === GNTST_okay) {
          expect([owner.pins(REF), seen()]).toEqual(k & 1 ? [0x100, GTF_reading] : [1, GTF_reading | GTF_writing]);
          expect(user.unmapGrant(user.va(SPARE), 0, handle)).toBe(GNTST_okay);
        }
        expect([GNTST_okay, GNTST_general_error]).toContain(copyTo());
        expect([owner.pins(REF), seen()]).toEqual([0, 0]);
      }
      Atomics.store(running, 0, 1);
      await worker.terminate();
      expect([...statuses].every(status => status === GNTST_okay || status === GNTST_general_error)).toBe(true);
    }
  });
});
