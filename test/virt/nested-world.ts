/** Random tables of both stages: few frames and few slots, so that paths meet, and entries of every kind of wrongness. */
import type { Random } from '../mmu/tlb-random.ts';
import type { Guest, Mode } from './nested-oracle.ts';
import type { Memory, Stage } from './second-stage-oracle.ts';

export const RAM = 8 * 2 ** 20;
const OPEN_BUS = 0xffff_ffff_ffff_ffffn;

/** Machine frames: those of the second stage's tables, and those which it maps, by the indices of levels 2 and 1 that an identity of 1G or 2M leads to. */
const FIRST_HOST_FRAME = 32, TABLES = 3; // of each level
const HOST_FRAMES = Array.from({ length: 5 * TABLES }, (_, k) => FIRST_HOST_FRAME + k);
const INDEX_1 = [1, 2, 5, 7], INDEX_2 = [0, 1, 2, 3], INDEX_3 = [0, 1, 3];
const GUEST_FRAMES = INDEX_2.flatMap(two => INDEX_1.map(one => two * 512 + one));
const HOST_SLOTS = Array.from({ length: 8 }, (_, k) => k);
/** Slots of a guest's tables; PDPTEs are in 256 to 259. */
const GUEST_SLOTS = [1, 5, 300, 511], LEGACY_SLOTS = [1, 5, 300, 1023], PDPTES = 256;
const KIB4 = 4096n, XD = 1n << 63n;

/** The test's own memory, in 8-byte words. */
export class Words implements Memory {
  readonly all = new BigUint64Array(RAM / 8);
  /** The same bytes, as the engines' memories are compared with. */
  readonly halves = new Int32Array(this.all.buffer);

  read(pa: bigint): bigint {
    return pa < BigInt(RAM) ? this.all[Number(pa >> 3n)]! : OPEN_BUS;
  }

  write(pa: bigint, value: bigint): void {
    if (pa < BigInt(RAM)) this.all[Number(pa >> 3n)] = value;
  }
}

/** Machine address of a table of the second stage. */
export const hostTable = (r: Random, level: number): bigint => BigInt(FIRST_HOST_FRAME + TABLES * (level - 1) + r.below(TABLES)) * KIB4;

/** Memory with tables in it. How wrong their entries are is a chance in percent, for each thing that can be. */
export class World {
  readonly memory: Words;
  /** Word index (of 4 bytes) of every entry that is ever written: the low word of each. */
  readonly watched: readonly number[];
  private readonly random: Random;
  private readonly stage: Stage;
  private readonly mode: Mode;
  private readonly wrong: number;
  private readonly varied: boolean;

  /** @param memory - whose entries are all written anew @param varied - a guest's rights are of every kind, with protection keys */
  constructor(memory: Words, random: Random, stage: Stage, mode: Mode, wrong: number, varied = false) {
    this.varied = varied;
    this.memory = memory;
    this.random = random;
    this.stage = stage;
    this.mode = mode;
    this.wrong = wrong;
    for (const frame of HOST_FRAMES) for (const slot of HOST_SLOTS) this.renewHost(frame, slot);
    for (const frame of GUEST_FRAMES) for (const slot of this.guestSlots) this.renewGuest(frame, slot);
    if (mode === 'pae') for (const frame of GUEST_FRAMES) this.pdptes(frame);
    this.watched = [
      ...HOST_FRAMES.flatMap(frame => HOST_SLOTS.map(slot => frame * 1024 + slot * 2)),
      ...GUEST_FRAMES.flatMap(frame => this.guestSlots.map(slot => frame * 1024 + (mode === 'legacy' ? slot & ~1 : slot * 2))),
      ...(mode === 'pae' ? GUEST_FRAMES.flatMap(frame => [0, 1, 2, 3].map(k => frame * 1024 + (PDPTES + k) * 2)) : []),
    ];
  }

  private get guestSlots(): readonly number[] {
    return this.mode === 'legacy' ? LEGACY_SLOTS : GUEST_SLOTS;
  }


  /** A guest-physical address of a frame: mostly one that the second stage may map. */
  gpa(): bigint {
    const r = this.random, { paBits, levels } = this.stage, narrow = this.mode === 'legacy';
    let gpa = BigInt(r.pick(INDEX_1)) << 12n | BigInt(r.pick(INDEX_2)) << 21n | BigInt(r.pick(INDEX_3)) << 30n;
    if (narrow) return gpa;
    if (paBits >= 40 && r.chance(30)) gpa |= 1n << 39n;
    if (paBits === 52 && r.chance(levels === 5 ? 30 : 2)) gpa |= 1n << 48n;
    return gpa;
  }

  /** A linear address that uses the slots. */
  va(): bigint {
    const r = this.random, { mode } = this;
    if (mode === 'flat') return this.gpa() & 0xffff_ffffn | BigInt(r.below(4096));
    if (mode === 'legacy') return BigInt(r.pick(LEGACY_SLOTS)) << 22n | BigInt(r.pick(LEGACY_SLOTS)) << 12n | BigInt(r.below(4096));
    const levels = mode === 'pae' ? 2 : mode === '4-level' ? 4 : 5;
    let va = BigInt(r.below(4096));
    for (let level = 1; level <= levels; level++) va |= BigInt(r.pick(GUEST_SLOTS)) << BigInt(3 + 9 * level);
    return mode === 'pae' ? va | BigInt(r.below(4)) << 30n : BigInt.asUintN(64, BigInt.asIntN(12 + 9 * levels, va));
  }

  /** Write one entry anew. @returns its word index */
  renew(): number {
    const r = this.random;
    if (this.mode === 'flat' || r.chance(60)) return this.renewHost(r.pick(HOST_FRAMES), r.pick(HOST_SLOTS));
    return this.renewGuest(r.pick(GUEST_FRAMES), r.pick(this.guestSlots));
  }

  /** Write the entry at a word index anew, which is one of the watched. */
  renewAt(at: number): number {
    const frame = at >> 10, slot = (at & 1023) / 2;
    return HOST_FRAMES.includes(frame) ? this.renewHost(frame, slot) : this.renewGuest(frame, slot);
  }

  private renewHost(frame: number, slot: number): number {
    const at = frame * 1024 + slot * 2;
    const level = 1 + Math.floor((frame - FIRST_HOST_FRAME) / TABLES), large = (level === 2 || (level === 3 && this.stage.pages1g)) && this.random.chance(15);
    this.memory.all[at / 2] = this.stage.format === 'ept' ? this.eptEntry(level, large) : this.nptEntry(level, large);
    return at;
  }

  private renewGuest(frame: number, slot: number): number {
    if (this.mode !== 'legacy') {
      this.memory.all[frame * 512 + slot] = this.guestEntry();
      return frame * 1024 + slot * 2;
    }
    this.memory.halves[frame * 1024 + slot] = Number(BigInt.asIntN(32, this.guestEntry()));
    return frame * 1024 + (slot & ~1);
  }

  private on(percent: number, value: bigint): bigint {
    return this.random.chance(percent) ? value : 0n;
  }

  /**
   * Where an entry of the second stage leads: a table of the level below, a frame of the guest, or (for a large page) an identity. Where no more
   * than half a percent is to be wrong, no frame is a table of both stages.
   */
  private hostTarget(level: number, large: boolean): bigint {
    const r = this.random;
    if (r.chance((this.wrong - 0.5) / 2)) return BigInt(r.pick(HOST_FRAMES)) * KIB4;
    if (large) return level === 3 ? 0n : BigInt(r.pick(INDEX_2)) << 21n;
    return level === 1 ? BigInt(r.pick(GUEST_FRAMES)) * KIB4 : hostTable(r, level - 1);
  }

  /** One bit in `wrong` percent of entries that ought not to be set: between a page's size and 12, or at MAXPHYADDR or above. */
  private stray(): bigint {
    const r = this.random, { paBits } = this.stage;
    return r.chance(this.wrong / 2) ? 1n << BigInt(r.chance(50) ? 12 + r.below(18) : paBits + r.below(64 - paBits)) : 0n;
  }

  private eptEntry(level: number, large: boolean): bigint {
    const r = this.random, { wrong } = this;
    let e = this.hostTarget(level, large) | this.stray() | (large ? 1n << 7n : this.on(wrong / 4, 1n << 7n));
    e |= r.chance(100 - wrong) ? 7n : BigInt(r.below(8));
    e |= this.on(90, 1n << 10n) | this.on(20, 1n << 58n) | this.on(20, 1n << 8n) | this.on(20, 1n << 9n);
    if (level === 1 || large || r.chance(wrong / 2)) e |= BigInt(r.chance(100 - wrong) ? 6 : r.below(8)) << 3n | this.on(10, 1n << 6n);
    return e;
  }

  private nptEntry(level: number, large: boolean): bigint {
    const { wrong } = this;
    return this.hostTarget(level, large) | this.stray() | (large ? 1n << 7n : this.on(wrong / 4, 1n << 7n)) | this.on(100 - wrong, 1n) | this.on(100 - wrong, 2n)
      | this.on(100 - wrong, 4n) | this.on(wrong / 2, XD) | this.on(wrong / 4, 1n << 8n) | this.on(20, 0x20n) | this.on(20, 0x40n);
  }

  private guestEntry(): bigint {
    const { wrong, mode } = this, large = this.random.chance(15);
    let e = (large ? this.on(50, 1n << 21n) | this.gpa() >> 30n << 30n : this.gpa()) | this.stray();
    if (large && mode === 'legacy') e = this.on(30, 1n << 13n) | BigInt(this.random.below(2)) << 30n | this.on(wrong, 1n << BigInt(13 + this.random.below(9)));
    if (this.varied) return e | this.rights() | (large ? 0x80n : this.on(wrong / 4, 0x80n)) | this.on(100 - wrong / 2, 1n) | this.on(40, 0x20n) | this.on(40, 0x40n) | this.on(wrong / 4, 0x100n);
    return e | (large ? 0x80n : this.on(wrong / 4, 0x80n)) | this.on(100 - wrong / 2, 1n) | this.on(100 - wrong, 2n) | this.on(100 - 2 * wrong, 4n) | this.on(wrong / 2, XD)
      | this.on(wrong / 4, 0x100n) | this.on(40, 0x20n) | this.on(40, 0x40n);
  }

  /** R/W, U/S, XD and, in long mode, a key. */
  private rights(): bigint {
    const { mode } = this, long = mode === '4-level' || mode === '5-level';
    return this.on(85, 2n) | this.on(85, 4n) | (mode === 'legacy' ? 0n : this.on(8, XD)) | (long ? BigInt(this.random.below(16)) << 59n : 0n);
  }

  private pdptes(frame: number): void {
    for (let k = 0; k < 4; k++) {
      this.memory.all[frame * 512 + PDPTES + k] = this.gpa() | this.on(95, 1n) | this.on(this.wrong / 10, 2n) | this.on(this.wrong / 10, 1n << BigInt(this.stage.paBits));
    }
  }

  /** Where CR3 is to point. */
  guestRoot(): bigint {
    if (this.mode === 'flat') return 0n;
    return this.mode === 'pae' ? (this.gpa() & 0xffff_f000n) + BigInt(PDPTES * 8) : this.gpa();
  }
}

/** A guest's control bits. */
export function randomGuest(r: Random, mode: Mode, root: bigint): Guest {
  return {
    mode, root, pdptes: [], pse: r.chance(80), wp: r.chance(60), smep: r.chance(40), smap: r.chance(30), ac: r.chance(40), nxe: mode !== 'legacy' && r.chance(80),
  };
}

export function randomStage(r: Random, format: 'ept' | 'npt', paBits: number, pages1g: boolean): Stage {
  const levels = r.chance(50) ? 4 : 5;
  return {
    format, levels, root: hostTable(r, levels), paBits, pages1g, accessedDirty: r.chance(50), executeOnly: r.chance(60), modeBasedExecute: r.chance(50),
    pagingWrite: r.chance(40), advancedExitInfo: r.chance(50), nxe: r.chance(70), amd: format === 'npt',
  };
}
