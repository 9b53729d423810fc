/**
 * What an EPT violation tells, bit by bit as the manual's table has it, and which violations there are of the accesses that a walk makes itself.
 *
 * Source: Intel SDM vol. 3C (325462-092), "Basic VM-Exit Information", table "Exit Qualification for EPT Violations" with its notes; "EPT
 *         Misconfigurations"; "EPT Violations". Numbers below are those of the table's bits, written out.
 */
import { describe, expect, it } from 'vitest';
import { ACCESS_FETCH, ACCESS_READ, ACCESS_USER, ACCESS_WRITE } from '../../src/arch/fault.ts';
import type { EptStage } from '../../src/index.ts';
import { exitOf } from '../../src/machine/guest-exit.ts';
import { GUEST_BASE, TwoStages, type GuestMode } from './two-stages.ts';

const VA = 0x7f12_4060_0000, PAGE = GUEST_BASE + 0x400000, AD = 1 << 6;
const R = 1n, W = 2n, X = 4n, XU = 1n << 10n, PW = 1n << 58n, RWX = R | W | X, RIGHTS = RWX | XU | PW;
const P = 1, RW = 2, US = 4, GUEST_A = 1n << 5n, XD = 1n << 63n;
const bits = (...list: number[]): bigint => list.reduce((sum, bit) => sum | 1n << BigInt(bit), 0n);

/** A guest that maps one page, under 4K pages of the host whose entries can be changed. */
class Case {
  readonly t: TwoStages;
  /** Entries of the host on the way to the page, and to the guest's last table. */
  readonly page: number[];
  readonly table: number[];
  /** Entries of the guest. */
  readonly guest: number[];

  constructor({ mode = '4-level', leaf = P | RW | US, ad = false, ...controls }: { mode?: GuestMode; leaf?: number; ad?: boolean } & Partial<EptStage> = {}) {
    const t = this.t = new TwoStages('ept', 4, 1, mode);
    this.page = t.hostMap(PAGE);
    this.guest = t.guestMap(VA, 1, PAGE, P | RW | US);
    if (mode !== 'flat') this.change(this.guest.at(-1)!, BigInt(P | RW | US), BigInt(leaf));
    this.table = t.hostMap(mode === 'flat' ? VA : this.lastTable());
    t.enter(ad ? AD : 0);
    t.machine.vcpus[0].guest.enter({ format: 'ept', eptp: BigInt(t.hostRoot) | BigInt(6 | 3 << 3 | (ad ? AD : 0)), ...controls });
    if (mode !== 'flat') t.machine.vcpus[0].writeEfer(t.machine.vcpus[0].registers.efer | 0x800n); // NXE
  }

  private lastTable(): number { return Number(this.t.read(this.guest.at(-2)!) & 0xfffff_ffff_f000n); }

  /** Take rights from an entry, and give it others. */
  change(entry: number, off: bigint, on = 0n): void { this.t.write(entry, this.t.read(entry) & ~off | on); }

  /** @returns the reason and qualification of the exit, undefined: none */
  access(kind: number, va = VA): readonly [string, bigint] | string {
    const got = this.t.machine.vcpus[0].translate(BigInt(va), kind);
    return got.ok ? 'ok' : got.exit === undefined ? `fault ${got.vector}` : [got.exit.reason, got.exit.info];
  }
}

const violation = (...list: number[]) => ['EPT violation', bits(...list)];
const KINDS = [[ACCESS_READ, 0, R], [ACCESS_WRITE, 1, W], [ACCESS_FETCH, 2, X]] as const;
const allowed = (rights: bigint): number[] => [3, 4, 5].filter(bit => rights & 1n << BigInt(bit - 3));

describe('bits 5:0, 7 and 8 of an access to a page', () => {
  it.each([R, R | W, R | X, RWX, X])('whose entry permits %i', rights => {
    for (const [kind, bit, needs] of KINDS) {
      const c = new Case();
      c.change(c.page[3]!, RIGHTS, rights);
      expect(c.access(kind | ACCESS_USER)).toEqual((rights & needs) !== 0n ? 'ok' : violation(bit, ...allowed(rights), 7, 8));
    }
  });

  it.each([0, 1, 2])('where the entry %i from the root permits less than the one that maps it', above => {
    for (const [kind, bit, needs] of KINDS) for (const rights of [R, R | W, R | X]) {
      const c = new Case();
      c.change(c.page[above]!, RIGHTS, rights); // the guest's tables are in that region: what it lacks for them it lacks for all
      const whole = above < 2, forTables = whole && (rights & W) === 0n;
      const expected = forTables ? violation(1, ...allowed(rights), 7) : (rights & needs) !== 0n ? 'ok' : violation(bit, ...allowed(rights), 7, 8);
      expect(c.access(kind | ACCESS_USER)).toEqual(expected);
    }
  });

  it.each([2, 3])('are 0 in 5:3 where an entry is not present, whatever those above permit (entry %i from the root)', at => {
    const c = new Case();
    c.t.write(c.page[at]!, 0n);
    expect(c.access(ACCESS_WRITE | ACCESS_USER)).toEqual(violation(1, 7, 8));
  });
});

describe('an access of the walk to the guest’s own tables', () => {
  it('is a read, without accessed and dirty flags for EPT; with them a read and a write', () => {
    for (const [ad, attempted] of [[false, [0]], [true, [0, 1]]] as const) {
      const c = new Case({ ad });
      c.t.write(c.table[3]!, 0n);
      expect(c.access(ACCESS_READ | ACCESS_USER)).toEqual(violation(...attempted, 7));
    }
  });

  it('that writes A or D is a write; where both are set already it is none', () => {
    const c = new Case();
    c.change(c.table[3]!, W);
    expect(c.access(ACCESS_READ | ACCESS_USER)).toEqual(violation(1, 3, 5, 7));
    c.change(c.guest[3]!, 0n, GUEST_A);
    expect(c.access(ACCESS_READ | ACCESS_USER)).toBe('ok');
    expect(c.access(ACCESS_WRITE | ACCESS_USER)).toEqual(violation(1, 3, 5, 7)); // D
  });

  it('is a write by any access to them, with accessed and dirty flags for EPT: a read of entries that have A and D too', () => {
    const c = new Case({ ad: true });
    c.guest.forEach(entry => c.change(entry, 0n, GUEST_A | 1n << 6n));
    c.change(c.table[3]!, W);
    expect(c.access(ACCESS_READ | ACCESS_USER)).toEqual(violation(0, 1, 3, 5, 7));
  });
});

describe.each([false, true])('paging-write access, with accessed and dirty flags for EPT: %s', ad => {
  const attempted = ad ? [0, 1] : [1];

  it('permits the walk to write tables in a page that may not be written', () => {
    const c = new Case({ ad, pagingWrite: true });
    c.change(c.table[3]!, W, PW);
    expect(c.access(ACCESS_WRITE | ACCESS_USER)).toBe('ok');
    expect(c.t.read(c.guest[3]!) & (GUEST_A | 1n << 6n)).toBe(GUEST_A | 1n << 6n);
  });

  it('does not permit the guest to write there, nor is it told as a right', () => {
    const c = new Case({ ad, pagingWrite: true });
    c.change(c.page[3]!, W, PW);
    expect(c.access(ACCESS_WRITE | ACCESS_USER)).toEqual(violation(1, 3, 5, 7, 8));
  });

  it('is nothing without its control, and nothing in an entry that refers to a table', () => {
    const without = new Case({ ad }), above = new Case({ ad, pagingWrite: true });
    without.change(without.table[3]!, W, PW);
    expect(without.access(ACCESS_READ | ACCESS_USER)).toEqual(violation(...attempted, 3, 5, 7));
    above.change(above.table[2]!, W, PW);
    expect(above.access(ACCESS_READ | ACCESS_USER)).toEqual(violation(...attempted, 3, 5, 7));
  });

  it('is a misconfiguration in an entry that maps a page and does not permit reads, with its control', () => {
    for (const [pagingWrite, expected] of [[true, ['EPT misconfiguration', 0n]], [false, violation(0, 5, 7, 8)]] as const) {
      const c = new Case({ ad, pagingWrite });
      c.change(c.page[3]!, RIGHTS, X | PW);
      expect(c.access(ACCESS_READ | ACCESS_USER)).toEqual(expected);
      expect(c.access(ACCESS_FETCH | ACCESS_USER)).toEqual(pagingWrite ? expected : 'ok');
    }
  });
});

describe('advanced information: bits 11:9, of the guest’s own translation', () => {
  it.each([
    ['a user page that can be written', P | RW | US, false, [9, 10]], ['a user page that cannot', P | US, false, [9]], ['a supervisor page', P | RW, false, [10]],
    ['a user page without fetches', P | RW | US, true, [9, 10, 11]], ['a supervisor page, read-only, without fetches', P, true, [11]],
  ] as const)('%s', (_, leaf, noFetch, told) => {
    for (const advancedExitInfo of [true, false]) {
      const c = new Case({ leaf, advancedExitInfo });
      if (noFetch) c.change(c.guest[3]!, 0n, XD);
      c.t.write(c.page[3]!, 0n);
      expect(c.access(ACCESS_READ)).toEqual(violation(0, 7, 8, ...(advancedExitInfo ? told : [])));
    }
  });

  it('is of every level: U/S and R/W of a table count', () => {
    const c = new Case({ advancedExitInfo: true });
    c.change(c.guest[1]!, BigInt(RW | US));
    c.t.write(c.page[3]!, 0n);
    expect(c.access(ACCESS_READ)).toEqual(violation(0, 7, 8));
  });

  it('is not of an access to a table', () => {
    const c = new Case({ advancedExitInfo: true });
    c.t.write(c.table[3]!, 0n);
    expect(c.access(ACCESS_READ)).toEqual(violation(0, 7));
  });

  it('says user-mode and writable where paging is off', () => {
    const c = new Case({ mode: 'flat', advancedExitInfo: true });
    expect(c.access(ACCESS_READ, 0x40800000)).toEqual(violation(0, 7, 8, 9, 10));
  });
});

describe('mode-based execute control: bit 6, and bit 5 for supervisor-mode addresses', () => {
  it.each([[P | RW | US, X, [2, 3, 4, 5]], [P | RW, XU, [2, 3, 4, 6]]] as const)('a fetch from a page by %i whose entry permits the other mode', (leaf, rights, expected) => {
    const c = new Case({ leaf, modeBasedExecute: true });
    for (const entry of [...c.page.slice(0, 3), ...c.table]) c.change(entry, 0n, XU);
    c.change(c.page[3]!, RIGHTS, R | W | rights);
    expect(c.access(ACCESS_FETCH)).toEqual(violation(...expected, 7, 8));
    c.change(c.page[3]!, 0n, X | XU);
    expect(c.access(ACCESS_FETCH)).toBe('ok');
  });
});

it('a load of the PDPTE registers has no linear address, and is a read with accessed and dirty flags for EPT, too', () => {
  for (const ad of [false, true]) {
    const t = new TwoStages('ept', 4, 1, 'pae'), cpu = t.machine.vcpus[0];
    t.guestMap(0x80400000, 1, PAGE);
    t.enter(ad ? AD : 0);
    const root = t.hostMap(t.guestRoot).at(-1)!, entry = t.read(root);
    t.write(root, entry & ~W);
    cpu.guest.invept(2, 0n);
    expect(cpu.writeCr3(BigInt(t.guestRoot))).toBe(0); // may be read: enough
    t.write(root, 0n);
    cpu.guest.invept(2, 0n);
    const fault = cpu.writeCr3(BigInt(t.guestRoot)), { reason, info, gpa } = exitOf(t.machine.views.w, cpu.block >>> 2, fault);
    expect([reason, info, gpa]).toEqual(['EPT violation', 1n, BigInt(t.guestRoot)]);
  }
});
