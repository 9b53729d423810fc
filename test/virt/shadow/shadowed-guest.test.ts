/** What shadow paging does when: which exits there are, counted, and what stays as it was. */
import { describe, expect, it } from 'vitest';
import { ACCESS_READ, ACCESS_USER, ACCESS_WRITE } from '../../../src/arch/fault.ts';
import { ConfigError } from '../../../src/index.ts';
import type { ShadowPolicy } from '../../../src/virt/shadow/policy.ts';
import type { ShadowState } from '../../../src/virt/shadow/state.ts';
import { A, bytesOf, D, DATA, Guest, L1, L2, L3, MAP, OTHER_L1, P, page, ROOT, US, USER_PAGE } from './small-guest.ts';

it('finds the machine frame, sets A and D in the guest\'s tables only, and keeps the registers apart', () => {
  const g = new Guest(), machine = BigInt(g.p2m[DATA + 3]!) << 12n;
  expect(g.cpu.translate(page(3) + 0x10n, ACCESS_USER)).toMatchObject({ ok: true, paddr: machine + 0x10n, by: 'processor' });
  expect([ROOT, L3, L2].map(gfn => g.entry(gfn, 0) & A)).toEqual([A, A, A]);
  expect(g.entry(L1, 3)).toBe(BigInt(DATA + 3) << 12n | USER_PAGE | A);
  expect(g.cpu.access(0, 0x3000, ACCESS_USER | ACCESS_WRITE)).toBe(0);
  expect(g.entry(L1, 3)).toBe(BigInt(DATA + 3) << 12n | USER_PAGE | A | D);
  expect(g.cpu.registers).toMatchObject({ cr3: BigInt(ROOT * 4096), cr4: 0x20n });
  expect(g.machine.vcpus[0]!.registers.cr3).not.toBe(BigInt(ROOT * 4096));
});

it('a second fault for a page that is not present takes no walk; without the fast path it does', () => {
  for (const [fastPath, expected] of [[true, { exitPageFault: 1, fastNotPresent: 1 }], [false, { exitPageFault: 1, guestFault: 1, walkReference: 4 }]] as const) {
    const g = new Guest({ fastPath });
    g.cpu.translate(0n, ACCESS_USER);
    const first = g.cpu.translate(page(20), ACCESS_USER | ACCESS_WRITE);
    expect(first).toMatchObject({ ok: false, vector: 14, errorCode: 6, cr2: page(20) });
    expect(g.counting(() => expect(g.cpu.translate(page(20), ACCESS_USER)).toMatchObject({ ok: false, errorCode: 4 }))).toEqual(expected);
  }
});

describe('a store into a page table', () => {
  it('is emulated, and the shadow follows', () => {
    const g = new Guest({ outOfSync: 0 });
    g.cpu.translate(page(20), ACCESS_USER);
    g.cpu.translate(0n, ACCESS_USER);
    g.store(L1, 21, 0n);
    const counts = g.counting(() => g.store(L1, 20, BigInt(DATA + 20) << 12n | USER_PAGE | A | D));
    expect(counts).toMatchObject({ exitPageFault: 1, emulatedWrite: 1 });
    expect(counts).not.toHaveProperty('unsync');
    expect(g.counting(() => g.cpu.access(0, 0x14000, ACCESS_USER | ACCESS_WRITE))).toEqual({}); // shadowed already
  });

  it('is the guest\'s own once it is out of sync, until INVLPG or CR3', () => {
    const g = new Guest();
    g.cpu.translate(0n, ACCESS_USER);
    expect(g.counting(() => g.store(L1, 20, 0n))).toMatchObject({ unsync: 1 });
    expect(g.counting(() => { for (let k = 20; k < 30; k++) g.store(L1, k, BigInt(DATA + k) << 12n | USER_PAGE | A); })).toEqual({});
    expect(g.counting(() => g.cpu.invlpg(page(20)))).toMatchObject({ exitInvlpg: 1, resync: 1 });
    expect(g.counting(() => g.store(L1, 20, 0n))).toMatchObject({ unsync: 1 });
    expect(g.counting(() => g.cpu.invlpg(page(512)))).toEqual({ exitInvlpg: 1, invlpg: 1 }); // of another table
    expect(g.counting(() => g.cpu.writeCr3(BigInt(ROOT * 4096)))).toMatchObject({ exitCr3: 1, resync: 1 });
    expect(g.cpu.translate(page(20), ACCESS_USER)).toMatchObject({ ok: false, errorCode: 4 });
    expect(g.cpu.translate(page(21), ACCESS_USER)).toMatchObject({ ok: true });
  });

  it('that makes an entry present needs no flush, though its shadow was magic', () => {
    const g = new Guest();
    g.cpu.translate(0n, ACCESS_USER);
    g.cpu.translate(page(20), ACCESS_USER);
    g.store(L1, 21, 0n);
    expect(g.counting(() => g.store(L1, 20, BigInt(DATA + 20) << 12n | USER_PAGE))).toEqual({});
    expect(g.counting(() => expect(g.cpu.translate(page(20), ACCESS_USER)).toMatchObject({ ok: true }))).toMatchObject({ shadowFill: 1 });
  });

  it('makes room: no more tables are out of sync than the policy says', () => {
    const g = new Guest({ outOfSync: 1 });
    g.put(OTHER_L1, 0, DATA, USER_PAGE);
    g.cpu.translate(0n, ACCESS_USER);
    g.cpu.translate(page(512), ACCESS_USER);
    g.store(L1, 20, 0n);
    expect(g.counting(() => g.store(OTHER_L1, 20, 0n))).toMatchObject({ unsync: 1, resync: 1 });
  });
});

describe('a table is no longer shadowed', () => {
  const used = (policy: Partial<ShadowPolicy>): Guest => {
    const g = new Guest({ outOfSync: 0, ...policy });
    g.cpu.translate(0n, ACCESS_USER);
    g.store(L1, 100, 0n);
    return g;
  };

  it('after many writes with no access through it', () => {
    const g = used({ flood: 4 });
    const counts = g.counting(() => { for (let k = 0; k < 10; k++) g.store(L1, 100 + k, 2n); });
    expect(counts).toMatchObject({ unshadowFlood: 1, emulatedWrite: 3 }); // one was before
    const never = used({ unshadow: false });
    expect(never.counting(() => { for (let k = 0; k < 100; k++) never.store(L1, 100 + k, 0n); })).toMatchObject({ emulatedWrite: 100 });
  });

  it('after entries cleared one after the other, with no other fault between', () => {
    const g = used({}), cleared = (act: () => void): unknown => g.counting(act)['unshadowCleared'];
    expect(cleared(() => g.store(L1, 101, 0n))).toBe(1); // one was before
    for (const between of [() => g.store(L1, 200, 2n), () => g.store(OTHER_L1, 0, 0n), () => g.cpu.translate(page(300), ACCESS_USER), () => g.cpu.translate(page(1), ACCESS_USER)]) {
      g.cpu.translate(0n, ACCESS_USER);
      g.cpu.translate(page(512), ACCESS_USER);
      expect([cleared(() => g.store(L1, 100, 0n)), cleared(between), cleared(() => g.store(L1, 102, 0n))], String(between)).toEqual([undefined, undefined, undefined]);
      expect(cleared(() => g.store(L1, 103, 0n))).toBe(1);
    }
    const never = used({ unshadow: false });
    expect(never.counting(() => { for (let k = 0; k < 9; k++) never.store(L1, 100 + k, 0n); })).toMatchObject({ emulatedWrite: 9 });
  });

  it('after bytes that are no entries', () => {
    const g = used({});
    expect(g.counting(() => g.store(L1, 7, 1n << 51n | P))).toMatchObject({ unshadowNotEntries: 1 });
    const h = used({});
    expect(h.counting(() => h.cpu.write(MAP + BigInt(L1 * 4096 + 801), Uint8Array.of(1), ACCESS_READ))).toMatchObject({ unshadowNotEntries: 1 });
  });

  it('when nothing points at it any more', () => {
    const g = used({});
    expect(g.counting(() => g.store(L2, 0, 0n))).toMatchObject({ tableFreed: 1 });
    expect(g.counting(() => g.store(L1, 1, 0n))).not.toHaveProperty('emulatedWrite');
  });
});

it('CR0.WP = 0: the page is the supervisor\'s until a user comes, or every write is emulated', () => {
  const g = new Guest(), e = new Guest({ wp: 'emulate' }), s = new Guest();
  for (const guest of [g, e, s]) {
    guest.put(L1, 0, DATA, P | US);
    guest.cpu.writeCr0(0x8000_0031n);
  }
  s.cpu.writeCr4(0x20_0020n);
  s.cpu.setAc(true);
  expect(g.counting(() => expect(g.cpu.translate(0n, ACCESS_WRITE)).toMatchObject({ ok: true, by: 'processor' }))).toMatchObject({ wpFlip: 1 });
  expect(g.counting(() => g.cpu.translate(8n, ACCESS_WRITE))).toEqual({});
  expect(g.cpu.translate(0n, ACCESS_USER | ACCESS_WRITE)).toMatchObject({ ok: false, errorCode: 7 });
  expect(g.cpu.translate(0n, ACCESS_USER)).toMatchObject({ ok: true });
  g.cpu.translate(0n, ACCESS_WRITE);
  g.cpu.writeCr0(0x8001_0031n);
  expect(g.cpu.translate(0n, ACCESS_WRITE)).toMatchObject({ ok: false, errorCode: 3 });
  for (const guest of [e, s]) expect(guest.counting(() => expect(guest.cpu.translate(0n, ACCESS_WRITE)).toMatchObject({ ok: true, by: 'hypervisor' }))).toMatchObject({ emulatedWp: 1 });
});

describe('log-dirty', () => {
  const setBits = (bits: Uint8Array): number[] => [...bits].flatMap((byte, at) => [...Array(8).keys()].filter(k => byte >> k & 1).map(k => at * 8 + k));

  it('has exactly the pages that were written, each told by one fault a round, and leaves the guest\'s entries alone', () => {
    const g = new Guest();
    for (let k = 0; k < 16; k++) g.cpu.access(0, k * 4096, ACCESS_USER | ACCESS_WRITE);
    const before = Array.from({ length: 512 }, (_, k) => g.entry(L1, k));
    g.shadow.startLogDirty();
    for (let round = 0; round < 3; round++) {
      const counts = g.counting(() => { for (let n = 0; n < 20; n++) g.cpu.access(0, (n % 4) * 2 * 4096, ACCESS_USER | ACCESS_WRITE); });
      expect(counts).toMatchObject({ exitPageFault: 4, logDirty: 4 });
      expect(g.counting(() => { for (let k = 0; k < 16; k++) g.cpu.access(0, k * 4096, ACCESS_USER); })).toEqual({});
      expect(setBits(g.shadow.peekLogDirty())).toEqual([0, 2, 4, 6].map(k => DATA + k));
      expect(setBits(g.shadow.cleanLogDirty())).toEqual([0, 2, 4, 6].map(k => DATA + k));
      expect(setBits(g.shadow.peekLogDirty())).toEqual([]);
    }
    expect(Array.from({ length: 512 }, (_, k) => g.entry(L1, k))).toEqual(before);
    g.shadow.stopLogDirty();
    expect(g.shadow.audit()).toEqual([]);
  });

  it('has the pages that a supervisor writes although they are read-only, in each round', () => {
    const g = new Guest();
    g.put(L1, 0, DATA, P | US);
    g.cpu.writeCr0(0x8000_0031n);
    g.shadow.startLogDirty();
    for (let round = 0; round < 3; round++) {
      expect(g.counting(() => { for (let n = 0; n < 3; n++) g.cpu.access(0, 0, ACCESS_WRITE); })).toMatchObject({ wpFlip: 1, exitPageFault: 1 });
      expect(setBits(g.shadow.cleanLogDirty())).toContain(DATA);
      expect(g.shadow.audit()).toEqual([]);
    }
  });

  it('has the guest\'s tables, too, whoever writes them', () => {
    const g = new Guest({ outOfSync: 0 });
    g.cpu.access(0, 0, ACCESS_USER | ACCESS_WRITE);
    g.store(L1, 100, 0n);
    g.shadow.startLogDirty();
    g.cpu.access(0, 0x5000, ACCESS_USER); // A of an entry
    expect(setBits(g.shadow.cleanLogDirty())).toEqual([L1]);
    g.store(L1, 100, 0n);
    g.shadow.written(DATA * 4096, 8);
    expect(setBits(g.shadow.cleanLogDirty())).toEqual([L1, DATA]);
  });
});

it('in timed mode work has a price, and its vCPU pays', () => {
  const g = new Guest({}, { costs: { exitPageFault: 1000, shadowFill: 10 } }), before = g.machine.vcpus[0]!.counters().cycles.hypervisor;
  expect(g.counting(() => g.cpu.translate(0n, ACCESS_USER))).toMatchObject({ exitPageFault: 1, shadowFill: 1, cycles: 1010 });
  expect(g.machine.vcpus[0]!.counters().cycles.hypervisor - before).toBe(1010);
});

it('the audit finds a shadow entry that is not the guest\'s, and a table that is writable', () => {
  const g = new Guest();
  const at = (): bigint => g.machine.vcpus[0]!.explain(0n, ACCESS_USER).references.at(-1)!.paddr;
  g.cpu.translate(0n, ACCESS_USER);
  g.machine.vcpus[0]!.flush();
  const leaf = at(), old = new Uint8Array(8);
  g.machine.read(leaf, old);
  g.machine.write(leaf, bytesOf(BigInt(g.p2m[L1]!) << 12n | USER_PAGE | A | D));
  expect(g.shadow.audit().map(line => line.slice(0, 3))).toEqual(['SA1', 'SW1', 'SA3', 'SW1']);
  g.machine.write(leaf, old);
  expect(g.shadow.audit()).toEqual([]);
});

it('... and a page that only CR0.WP = 0 makes writable, and that the round has not', () => {
  const g = new Guest(), { h } = g.shadow as unknown as { readonly h: ShadowState };
  g.put(L1, 0, DATA, P | US);
  g.cpu.writeCr0(0x8000_0031n);
  g.shadow.startLogDirty();
  g.cpu.access(0, 0, ACCESS_WRITE);
  expect([h.flips.size, g.shadow.audit()]).toEqual([1, []]);
  h.dirty.take();
  expect(g.shadow.audit().map(line => line.slice(0, 3))).toContain('SA1');
});

it.each([
  ['pool.frames', { pool: { first: 1, frames: 17 } }],
  ['pool', { pool: { first: 1 << 24, frames: 100 } }],
  ['vcpus', { vcpus: [] }],
  ['p2m', { p2m: 5 as never }],
  ['policy.flood', { policy: { flood: 0 } }],
  ['policy.wp', { policy: { wp: 'never' as never } }],
  ['policy.speed', { policy: { speed: 1 } as never }],
  ['costs.lunch', { costs: { lunch: 1 } as never }],
])('refuses a wrong %s', (field, options) => {
  expect(() => new Guest({}, options)).toThrow(ConfigError);
  expect(() => new Guest({}, options)).toThrow(new RegExp(`^${field.replace('.', '\\.')}:`));
});

it('protection keys and five levels are withheld: their bits in CR4 are a #GP', () => {
  const g = new Guest();
  for (const bit of [12n, 22n, 23n, 24n]) expect(g.cpu.writeCr4(0x20n | 1n << bit)).toBe(13 << 16);
});
