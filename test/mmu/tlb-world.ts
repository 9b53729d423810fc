/** A small world of page tables for random histories: few tables, few slots, so that everything collides with everything. */
import type { Random } from './tlb-random.ts';

export const ROOTS = [0x10000n, 0x11000n, 0x12000n];

/** Tables by level. Roots of 5-level paging are the tables at level 5. */
const TABLES: readonly (readonly bigint[])[] = [
  [], [0x30000n, 0x31000n, 0x32000n, 0x33000n], [0x28000n, 0x29000n, 0x2a000n], [0x20000n, 0x21000n, 0x22000n],
  [0x18000n, 0x19000n, 0x1a000n], ROOTS,
];

const SLOTS: readonly (readonly number[])[] = [[], [0, 1, 2, 3, 128, 129, 256, 384], [0, 1, 511], [0, 1, 3], [0, 256, 511], [0, 256, 511]];

/** Tables at a level; those at the root level are the roots. */
export const tablesAt = (level: number, rootLevel: number): readonly bigint[] => (level === rootLevel ? ROOTS : TABLES[level]);

const P = 1n, RW = 2n, US = 4n, A = 0x20n, D = 0x40n, PS = 0x80n, G = 0x100n, XD = 1n << 63n;
const PHYSICAL_BITS = 46n;

/** How likely each bit is, in percent. */
export interface Mix {
  readonly present: number;
  readonly leafRights: number;
  readonly global: number;
  readonly reserved: number;
  /** 2M pages among entries at level 2; 1G pages are half as many. */
  readonly large: number;
}

export const WILD: Mix = { present: 98, leafRights: 85, global: 25, reserved: 1, large: 36 };
/** Few faults: what is cached lives long enough to become stale. */
export const TAME: Mix = { present: 99.7, leafRights: 97, global: 25, reserved: 0.1, large: 36 };
/** Only 4K pages: the fast table need not be emptied by each invalidation. */
export const SMALL: Mix = { ...TAME, large: 0 };

/** A random entry for a table at `level`. */
export function randomEntry(random: Random, level: number, mix: Mix): bigint {
  const on = (percent: number, bits: bigint) => (random.chance(percent) ? bits : 0n);
  const large = (level === 2 && random.chance(mix.large)) || (level === 3 && random.chance(mix.large / 2));
  const leaf = level === 1 || large, rights = leaf ? mix.leafRights : Math.max(97, mix.leafRights);
  let value = on(mix.present, P) | on(rights, RW) | on(rights, US) | on(100 - rights, XD) | on(mix.global, G) | on(50, A) | on(50, D);
  value |= BigInt(random.below(16)) << 59n;
  if (leaf) {
    const bits = BigInt(3 + 9 * level), most = 1n << (PHYSICAL_BITS - bits);
    value |= (BigInt(random.below(8)) * 0x5_4321n + BigInt(random.below(4))) % most << bits;
    value |= large ? PS | on(50, 1n << 12n) : on(50, PS); // PAT
  } else value |= random.pick(TABLES[level - 1]);
  if (random.chance(mix.reserved)) value |= level >= 4 && random.chance(50) ? PS : 1n << PHYSICAL_BITS;
  return value;
}

/** Address and value of a random new entry. */
export function randomChange(random: Random, rootLevel: number, mix: Mix): { readonly at: bigint; readonly value: bigint } {
  const level = random.pick([1, 1, 1, 1, 2, 2, 3, rootLevel]);
  const at = random.pick(tablesAt(level, rootLevel)) + BigInt(random.pick(SLOTS[level])) * 8n;
  return { at, value: randomEntry(random, level, mix) };
}

/** Every entry that an address of the world can use, with its level. */
export function everyEntry(rootLevel: number): { readonly at: bigint; readonly level: number }[] {
  const all: { at: bigint; level: number }[] = [];
  for (let level = 1; level <= rootLevel; level++) {
    for (const table of tablesAt(level, rootLevel)) for (const slot of SLOTS[level]) all.push({ at: table + BigInt(slot) * 8n, level });
  }
  return all;
}

/** A random linear address; one in 200 is not canonical. */
export function randomAddress(random: Random, rootLevel: number): bigint {
  let va = BigInt(random.below(4096));
  for (let level = 1; level <= rootLevel; level++) va |= BigInt(random.pick(SLOTS[level])) << BigInt(3 + 9 * level);
  va = BigInt.asUintN(64, BigInt.asIntN(12 + 9 * rootLevel, va));
  return random.below(200) === 0 ? va ^ (1n << 63n) : va;
}

/** Addresses in use now, the way programs have them: the same few for a while. */
export class WorkingSet {
  private readonly random: Random;
  private readonly rootLevel: number;
  private readonly pool: bigint[] = [];
  private at = 0;

  constructor(random: Random, rootLevel: number, size: number) {
    this.random = random;
    this.rootLevel = rootLevel;
    while (this.pool.length < size) this.pool.push(randomAddress(random, rootLevel));
  }

  next(): bigint {
    this.at = this.random.below(this.pool.length);
    if (this.random.chance(4)) this.replace();
    return this.pool[this.at];
  }

  /** Use another address instead of the last one. */
  replace(): void {
    this.pool[this.at] = randomAddress(this.random, this.rootLevel);
  }
}
