/**
 * Walks and permissions in every paging mode against the oracle of test/virt, which knows the rules of a guest's own tables: here its second stage
 * maps every address to itself, and the engines have none.
 */
import { VCPU_FAST_USED } from '../../src/layout/vcpu.ts';
import { GEOMETRIES, modelOf } from '../../test/mmu/tlb-geometries.ts';
import { Engine } from '../../test/virt/nested-engines.ts';
import { loadPdptes, NestedAccess, type Access, type Guest, type Mode } from '../../test/virt/nested-oracle.ts';
import { randomGuest, Words, World } from '../../test/virt/nested-world.ts';
import type { Memory, Stage } from '../../test/virt/second-stage-oracle.ts';
import { Finding, type Target } from '../target.ts';
import { Tape, TapeNumbers } from '../tape.ts';

const MODES: readonly Mode[] = ['legacy', 'pae', '4-level', '5-level'];
const ADDRESS_BITS = [40, 46, 52];
/** Where the second stage's tables are, for the oracle alone: where no table of a guest leads. */
const TOP = 0x3f_ffff_f000n, LEVEL_4 = 0x3f_0000_0000n, LEVEL_3 = 0x20_0000_0000n, PAGE = 4096n;
const READ_WRITE_EXECUTE = 7n, LARGE = 0x80n, WRITE_BACK = 6n << 3n;

/** Memory, and a second stage of five levels in it whose pages of 1 GByte are where they seem to be. */
class Identity implements Memory {
  private readonly words: Words;

  constructor(words: Words) {
    this.words = words;
  }

  read(pa: bigint): bigint {
    if (pa >= TOP && pa < TOP + PAGE) return LEVEL_4 + (pa - TOP) / 8n * PAGE | READ_WRITE_EXECUTE;
    if (pa >= LEVEL_4 && pa < LEVEL_4 + 512n * PAGE) return LEVEL_3 + (pa - LEVEL_4) / 8n * PAGE | READ_WRITE_EXECUTE;
    if (pa >= LEVEL_3 && pa < LEVEL_3 + 512n * 512n * PAGE) return (pa - LEVEL_3) / 8n << 30n | READ_WRITE_EXECUTE | LARGE | WRITE_BACK;
    return this.words.read(pa);
  }

  write(pa: bigint, value: bigint): void {
    this.words.write(pa, value);
  }
}

/** The guest's registers and tables on a processor of their own. */
class Native extends Engine {
  protected override get stageful(): boolean { return false; }

  forget(): void {
    const cpu = this.machine.vcpus[0]!;
    cpu.flush();
    if (this.machine.views.w[(cpu.block + VCPU_FAST_USED) >>> 2] !== 0) throw new Finding(`${this.name}: a flush leaves the fast table in use`);
  }
}

const kept = new Map<number, readonly Native[]>(), words = new Words(), memory = new Identity(words);
const tape = new Tape(), numbers = new TapeNumbers(tape);

function enginesOf(paBits: number): readonly Native[] {
  const engines = kept.get(paBits) ?? (['ts', 'wasm'] as const).flatMap(engine => (['timed', 'functional'] as const).map(mode => new Native({
    engine, mode, nested: false, cpu: modelOf(GEOMETRIES[2]!, 'lru'), physicalAddressBits: paBits, features: { pages1g: true, la57: true },
  })));
  kept.set(paBits, engines);
  return engines;
}

function randomAccess(world: World): Access {
  const kind = numbers.pick(['read', 'read', 'write', 'write', 'fetch', 'shadow read', 'shadow write'] as const);
  const by = numbers.pick(['user', 'user', 'supervisor', kind === 'fetch' || kind.startsWith('shadow') ? 'supervisor' : 'implicit'] as const);
  return { va: world.va(), by, kind };
}

class Walks {
  private readonly world: World;
  private readonly engines: readonly Native[];
  private readonly stage: Stage;
  private readonly mode: Mode;
  private readonly keys: boolean;
  private guest: Guest;

  constructor(head: Uint8Array) {
    const paBits = ADDRESS_BITS[head[0]! % ADDRESS_BITS.length]!;
    this.mode = MODES[head[1]! % MODES.length]!;
    this.engines = enginesOf(paBits);
    this.stage = {
      format: 'ept', levels: 5, root: TOP, paBits, pages1g: true, accessedDirty: false, executeOnly: false, modeBasedExecute: false, pagingWrite: false, advancedExitInfo: false, nxe: true, amd: false,
    };
    this.world = new World(words, numbers, this.stage, this.mode, [0.05, 0.5, 3][head[2]! % 3]!, (head[3]! & 1) === 0);
    this.keys = (head[3]! & 1) === 0;
    for (const e of this.engines) for (const at of this.world.watched) e.copy(words, at);
    this.guest = this.enter();
  }

  /** New registers, until some can be loaded. */
  private enter(): Guest {
    for (;;) {
      const keys = this.keys ? { keys: { pke: numbers.chance(70), pks: numbers.chance(50), pkru: numbers.below(2 ** 32), pkrs: numbers.below(2 ** 32) } } : {};
      const guest = { ...randomGuest(numbers, this.mode, this.world.guestRoot()), ...keys }, pdptes = this.mode === 'pae' ? loadPdptes(memory, this.stage, guest.root) : [];
      const expected = pdptes === undefined ? 'fault d0000' : undefined;
      for (const e of this.engines) {
        const got = e.enter(guest, this.stage);
        if (got !== expected) throw new Finding(`${e.name}: MOV to CR3 gives ${got}, ought to give ${expected}`);
      }
      if (Array.isArray(pdptes)) return { ...guest, pdptes };
    }
  }

  /** @returns what the access came to */
  step(): string {
    const what = numbers.below(20);
    if (what === 0) this.guest = this.enter();
    if (what > 12) {
      const at = this.world.renew();
      for (const e of this.engines) e.copy(words, at);
    }
    const access = randomAccess(this.world), { text } = new NestedAccess(memory, this.guest, this.stage, access).make();
    for (const e of this.engines) {
      e.forget();
      const got = e.access(access), at = e.different(words, this.world.watched);
      if (got !== text) throw new Finding(`${e.name}: ${got}, ought to be ${text}: ${access.kind} by ${access.by} of ${access.va.toString(16)} in ${this.mode} paging`);
      if (at >= 0) throw new Finding(`${e.name}: the entry at ${(at * 4).toString(16)} is another after a ${access.kind} by ${access.by} of ${access.va.toString(16)}`);
    }
    return text;
  }
}

export const walk: Target = {
  name: 'walk', about: 'walks and permissions in every paging mode, both engines, timed and functional, against an oracle', headBytes: 8, recordBytes: 24, most: 400,
  run({ head, records }, notes) {
    tape.load(head);
    const walks = new Walks(head);
    for (const record of records) {
      tape.load(record);
      const kind = walks.step().replace(/ (at|by) .*|^[0-9a-f]+(?= by)/g, '');
      notes.note(head[1]! % MODES.length, [...kind].reduce((sum, letter) => Math.imul(sum, 31) + letter.charCodeAt(0), 0));
    }
    return records.length;
  },
};
