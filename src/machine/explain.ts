/**
 * Every reference that a translation makes, without making it: no bit of the state changes.
 *
 * Works on a copy of the vCPU block, which is cleared afterwards. Devices are not asked: a table in a device's hole reads as the open bus.
 */
import { FAULT_NONE, faultCode, faultVector } from '../arch/fault.ts';
import { ConfigError, InvariantError } from '../errors.ts';
import {
  MODE_4LEVEL, MODE_5LEVEL, MODE_LEGACY, MODE_PAE, VCPU_BYTES, VCPU_MODE, VCPU_NESTED, VCPU_OUT_HIT, VCPU_OUT_SIZE, VCPU_OUT_REFS, VCPU_OUT_START, VCPU_ROOT_HI,
  VCPU_ROOT_LO, VCPU_TIMED, VCPU_TRAIL_HI, VCPU_TRAIL_LO, VCPU_TRAIL_VALUE_HI, VCPU_TRAIL_VALUE_LO, VCPU_OUT_DATA_HI, VCPU_OUT_DATA_LO,
  VCPU_OUT_LEVEL, VCPU_PDPTE, VCPU_RSVD_HI, VCPU_PABITS, VCPU_CTL, CTL_NXE,
} from '../layout/vcpu.ts';
import { IN_MEMORY, whereIs } from '../cost/charge.ts';
import { readEntry } from '../memory/entry.ts';
import type { Views } from '../memory/views.ts';
import { reservedHi } from '../mmu/mode.ts';
import { peek } from '../mmu/peek.ts';
import { addressHi, addressLo } from '../mmu/tlb.ts';
import { joinWords } from './address.ts';
import { keyOf, nestedReference, readReferences } from './nested-reference.ts';

/** One entry that a full walk reads. */
export interface Reference {
  /** Level of the table: 1 = page table ... 5 = PML5. */
  readonly level: number;
  /** Under a second stage: whose entry it is; and of the host's, the level of the guest's entry that it leads to, 0 = to the page. */
  readonly stage?: 'guest' | 'host';
  readonly towards?: number;
  /** The manual's name of the entry: `PML4E`, `PTE`; `EPT PTE`, `NPT PTE`. */
  readonly name: string;
  readonly paddr: bigint;
  readonly value: bigint;
  /** False if a TLB or paging-structure cache makes this read unnecessary now. */
  readonly needed: boolean;
  /** Name of the data cache it would hit in now, or `memory`; `untimed` in functional mode. */
  readonly where: string;
}

/** What the tables say of one access, and how many entries it took to find out. */
export type Probe =
  | { readonly ok: true; readonly paddr: bigint; readonly pageBytes: number; readonly references: number }
  | { readonly ok: false; readonly vector: number; readonly errorCode: number; readonly references: number };

/** A translation with every reference that it makes. */
export interface Explanation {
  /** What the tables say, whatever is cached. */
  readonly outcome: Probe;
  /** TLB level that would answer the access now, 0 = none. */
  readonly tlbLevel: number;
  /** Every entry a full walk reads, root first. */
  readonly references: readonly Reference[];
}

/** Another root to translate by. */
export interface Root {
  /** Physical address of the root table, in bytes. */
  readonly root?: bigint;
  readonly mode?: typeof MODE_LEGACY | typeof MODE_PAE | typeof MODE_4LEVEL | typeof MODE_5LEVEL;
}

const MODES: readonly number[] = [MODE_LEGACY, MODE_PAE, MODE_4LEVEL, MODE_5LEVEL];
const LEGACY_NAMES = ['PTE', 'PDE'];
const NAMES = ['PTE', 'PDE', 'PDPTE', 'PML4E', 'PML5E'];

/** Run `look` on a copy of the vCPU block; both blocks are left as they were. */
function withCopy<T>(s: Views, v: number, scratch: number, look: (copy: number) => T): T {
  const words = VCPU_BYTES >>> 2;
  s.w.copyWithin(scratch, v, v + words);
  s.quiet = true;
  try {
    return look(scratch);
  } finally {
    s.quiet = false;
    s.w.fill(0, scratch, scratch + words);
  }
}

/** Translate by the tables alone, by this vCPU's root or another, without any effect. */
export function probe(s: Views, v: number, scratch: number, vaHi: number, vaLo: number, access: number, by: Root): Probe {
  return withCopy(s, v, scratch, copy => {
    setRoot(s, copy, by);
    return outcome(s, copy, vaLo, peek(s, copy, vaHi, vaLo, access, 'tables'));
  });
}

function setRoot(s: Views, copy: number, by: Root): void {
  const w = s.w;
  if (by.mode !== undefined) {
    if (!MODES.includes(by.mode)) throw new ConfigError('mode', 'MODE_LEGACY, MODE_PAE, MODE_4LEVEL or MODE_5LEVEL', by.mode);
    if (by.root === undefined) throw new ConfigError('root', 'a root for the mode', by.root);
    w[copy + (VCPU_MODE >>> 2)] = by.mode;
    w[copy + (VCPU_RSVD_HI >>> 2)] = reservedHi(by.mode, w[copy + (VCPU_PABITS >>> 2)], (w[copy + (VCPU_CTL >>> 2)] & CTL_NXE) !== 0);
  }
  if (by.root === undefined) return;
  w[copy + (VCPU_ROOT_LO >>> 2)] = Number(by.root & 0xfffff000n) | 0;
  w[copy + (VCPU_ROOT_HI >>> 2)] = Number(by.root >> 32n);
  const mode = w[copy + (VCPU_MODE >>> 2)];
  if (mode < MODE_4LEVEL && by.root >> 32n !== 0n) throw new ConfigError('root', 'an address below 4 GiB in 32-bit and PAE paging', by.root);
  if (mode !== MODE_PAE) return;
  for (let i = 0; i < 4; i++) {
    const entry = readEntry(s, Number(by.root & 0xffffffe0n) + i * 8);
    w[copy + (VCPU_PDPTE >>> 2) + i * 2] = Number(entry & 0xffffffffn) | 0;
    w[copy + (VCPU_PDPTE >>> 2) + i * 2 + 1] = Number(entry >> 32n) | 0;
  }
}

function outcome(s: Views, c: number, vaLo: number, fault: number): Probe {
  const w = s.w;
  const references = w[c + (VCPU_OUT_REFS >>> 2)];
  if (fault !== FAULT_NONE) return { ok: false, vector: faultVector(fault), errorCode: faultCode(fault), references };
  const level = w[c + (VCPU_OUT_LEVEL >>> 2)];
  if (w[c + (VCPU_NESTED >>> 2)]) {
    const size = w[c + (VCPU_OUT_SIZE >>> 2)], dataLo = w[c + (VCPU_OUT_DATA_LO >>> 2)];
    return { ok: true, paddr: joinWords(addressHi(w[c + (VCPU_OUT_DATA_HI >>> 2)]), addressLo(dataLo, vaLo, size)), pageBytes: 4096 * 512 ** size, references };
  }
  if (references === 0) return { ok: true, paddr: BigInt(vaLo >>> 0), pageBytes: 4096, references };
  const legacy4M = level === 2 && w[c + (VCPU_MODE >>> 2)] === MODE_LEGACY;
  const lo = w[c + (VCPU_OUT_DATA_LO >>> 2)] | (legacy4M ? vaLo & 0x200000 : 0);
  const paddr = joinWords(addressHi(w[c + (VCPU_OUT_DATA_HI >>> 2)]), addressLo(lo, vaLo, level - 1));
  return { ok: true, paddr, pageBytes: legacy4M ? 2 ** 22 : 4096 * 512 ** (level - 1), references };
}

/** List every reference of a full walk, and which of them the vCPU's caches make unnecessary. */
export function explain(s: Views, v: number, scratch: number, vaHi: number, vaLo: number, access: number, cacheNames: readonly string[]): Explanation {
  return withCopy(s, v, scratch, c => {
    const w = s.w;
    peek(s, c, vaHi, vaLo, access, 'cached');
    const tlbLevel = w[c + (VCPU_OUT_HIT >>> 2)];
    const whereOf = (paHi: number, paLo: number): string => {
      const where = w[v + (VCPU_TIMED >>> 2)] ? whereIs(s, v, paHi, paLo) : -1;
      return where < 0 ? 'untimed' : where === IN_MEMORY ? 'memory' : cacheNames[where];
    };
    const names = w[c + (VCPU_MODE >>> 2)] === MODE_LEGACY ? LEGACY_NAMES : NAMES;
    if (w[c + (VCPU_NESTED >>> 2)]) {
      const needed = new Set(tlbLevel > 0 ? [] : readReferences(w, c).map(keyOf));
      const fault = peek(s, c, vaHi, vaLo, access, 'tables');
      const references = readReferences(w, c).map(r => nestedReference(w, c, r, names, needed.has(keyOf(r)), whereOf(r.paHi, r.paLo)));
      return { outcome: outcome(s, c, vaLo, fault), tlbLevel, references };
    }
    const start = tlbLevel > 0 ? 0 : w[c + (VCPU_OUT_START >>> 2)];
    const fault = peek(s, c, vaHi, vaLo, access, 'tables');
    const references: Reference[] = [];
    const top = w[c + (VCPU_OUT_START >>> 2)];
    for (let n = 0; n < w[c + (VCPU_OUT_REFS >>> 2)]; n++) {
      const level = top - n, t = c + level - 1;
      const paHi = w[t + (VCPU_TRAIL_HI >>> 2)], paLo = w[t + (VCPU_TRAIL_LO >>> 2)];
      references.push({
        level, name: names[level - 1], needed: level <= start,
        paddr: joinWords(paHi, paLo), value: joinWords(w[t + (VCPU_TRAIL_VALUE_HI >>> 2)], w[t + (VCPU_TRAIL_VALUE_LO >>> 2)]),
        where: whereOf(paHi, paLo),
      });
    }
    if (references.length > 5) throw new InvariantError('a walk reads at most five entries');
    return { outcome: outcome(s, c, vaLo, fault), tlbLevel, references };
  });
}
