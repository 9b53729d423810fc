/**
 * Races as inputs: two vCPUs of a domain, and those of others, some of whose operations are made in the middle of one of another, before or
 * after the atomic operations of it that the input names. Who would have to wait there goes on when the other is done.
 */
import { ACCESS_READ, ACCESS_WRITE } from '../../../src/arch/fault.ts';
import { MMU_PT_UPDATE_PRESERVE_AD } from '../../../src/layout/frame.ts';
import { observed } from '../../atomics.ts';
import { OperationTable, type Operation } from '../../operation.ts';
import { Finding, type Notes, type Target } from '../../target.ts';
import { crewOf, type Member } from './crew.ts';
import { DOMAIN_OPERATIONS } from './domains.ts';
import { EVENT_OPERATIONS } from './events.ts';
import { GRANT_OPERATIONS } from './grants.ts';
import { MEMORY_OPERATIONS } from './memory.ts';
import { PROCESSOR_OPERATIONS, TABLE_OPERATIONS } from './mmu.ts';
import { PAGES, worldOf, type World } from './world.ts';

const RUNNING = 2, AUDIT_EVERY = 64, MOST = 1024;
/**
 * Points of an operation at which another one is made in the middle of it, the first ones more often, as many have only a few; the first
 * is that of the operation before, if that is made in the middle, too. 0 is at once, and no point.
 */
const POINTS = Array.from({ length: 80 }, (_, k) => k + 1), FIRST = POINTS.slice(0, 24);
const WHEN = [...FIRST.map(() => 0), ...FIRST, ...FIRST, ...POINTS];
/** Atomic operations after which what is made in the middle of a call waits for something. */
const ENDLESS = 1_000_000;

const ACCESS = 'access';
/** Operations of one vCPU that wait for one of another, at most. */
const MOST_LATER = 6;

/** Which of its domain's vCPUs makes an operation, whether to its end, and when. */
const timed = (one: Operation<World>): Operation<World> => ({
  ...one, fields: { ...one.fields, vcpu: [0, 1], part: [0, 0, 0, 1], when: WHEN }, run: (world, values) => one.run(world, values.slice(0, -3)),
});

const ACCESSES: readonly Operation<World>[] = [
  { name: ACCESS, share: 8, fields: { domain: 3, page: PAGES, write: [0, 1], invlpg: [0, 1], far: [0, 0, 0, 512] }, run(w, [d, page, write, invlpg, far]) { // of the guest itself, which no lock keeps waiting
    const t = w.domain(d!), va = t.va(w.page(page!) + far!);
    if (invlpg === 1) t.cpu.invlpg(va);
    return t.cpu.translate(va, write === 1 ? ACCESS_WRITE : ACCESS_READ).ok ? 0 : -1;
  } },
];

const LIST = [...TABLE_OPERATIONS, ...PROCESSOR_OPERATIONS, ...GRANT_OPERATIONS, ...MEMORY_OPERATIONS, ...EVENT_OPERATIONS, ...DOMAIN_OPERATIONS, ...ACCESSES];
const table = new OperationTable(LIST.filter(({ name }) => name !== 'mode').map(timed));
/** Where of an update's values its command is. */
const COMMAND = 5;

const COPIED = ['copy'], EXTENDED = ['mmuext'], OF_GRANTS = ['map', 'unmap', 'copy'];
/**
 * What operations keep in arrays of their modules as they go on, of which each thread has its own: here there is one for all. Those who share one
 * are not made in the middle of each other.
 */
const KEPT: Readonly<Record<string, readonly string[]>> = {
  mapGrant: ['map'], unmapGrant: ['unmap'], copy: COPIED, copies: COPIED, grantRaw: OF_GRANTS, raw: [...OF_GRANTS, 'mmuext', 'descriptor'],
  pin: EXTENDED, unpin: EXTENDED, root: EXTENDED, ext: EXTENDED, multicall: EXTENDED, ldt: ['mmuext', 'descriptor'], descriptor: ['descriptor'],
};

/** @param wide - operations of mmuext_op are kept for 32-bit domains only */
function shareKept(a: Move, b: Move, wide: boolean): boolean {
  const [first = [], second = []] = [a, b].map(({ operation }) => KEPT[table.nameOf(operation)]);
  return first.some(what => second.includes(what) && !(wide && what === 'mmuext'));
}

interface Move { readonly record: Uint8Array; readonly operation: number; readonly turn: number; readonly part: number; readonly member: Member; readonly when: number }

/** What becomes of operations that are to be made in the middle of another. */
const EARLY = 0, MAKING = 1, DONE = 2, WAITED = 3;

class Race {
  /** Did an operation have to wait where it cannot be stopped? What it left half done is no finding. */
  isTorn = false;
  private readonly world: World;
  private readonly crew: readonly Member[];
  private readonly notes: Notes;
  /** What one vCPU makes in the middle of the next operation of another one. */
  private later: Move[] = [];

  constructor(world: World, notes: Notes) {
    this.world = world;
    this.crew = crewOf(world);
    this.notes = notes;
  }

  /** Make the operation of a record, or keep it for the middle of another one. */
  play(record: Uint8Array): void {
    const move = this.moveOf(record), isDeath = table.nameOf(move.operation) === 'die'; // none of a domain's vCPUs runs when it dies
    const { member } = this.later[0] ?? move;
    if (isDeath || (member === move.member && (move.when === 0 || this.later.length === MOST_LATER))) this.settle();
    if (isDeath) this.notes.note(move.operation, table.run(this.world, record)[1]);
    else if (member !== move.member) this.meet(move);
    else if (move.when > 0) this.later.push(move);
    else this.make(move);
  }

  /** Make what is kept. */
  settle(): void {
    for (const move of this.later.splice(0)) this.make(move);
  }

  /** Whatever ended the input. */
  release(): void {
    for (const member of this.crew) member.release();
  }

  private moveOf(record: Uint8Array): Move {
    const [operation, values] = table.decode(record), [vcpu, part, when] = values.slice(-3) as [number, number, number];
    this.world.turn = vcpu;
    const { cpu } = this.world.domain(values[0]!);
    return { record, operation, turn: vcpu, part, member: this.crew[this.world.tenants.machine.vcpus.indexOf(cpu)]!, when };
  }

  private make({ record, operation, turn, part, member }: Move): void {
    const { world } = this, before = world.turn;
    world.turn = turn;
    member.givesUp = part === 1;
    this.notes.note(operation, member.as(world, () => table.run(world, record)[1]));
    world.turn = before;
  }

  /** Make an operation, and in the middle of it what is kept. */
  private meet(outer: Move): void {
    const list = this.later.splice(0), marks = new Map<number, bigint>();
    let k = 0, left = list[0]!.when, state = EARLY, made = 0;
    const point = (): void => {
      if (state === MAKING && ++made > ENDLESS) throw new Finding('what is made in the middle of a call comes to no end');
      if (state === EARLY) left--;
      while (state === EARLY && left <= 0 && !outer.member.holdsWithin) {
        state = MAKING;
        const inner = list[k]!, done = !shareKept(outer, inner, this.world.wide) && inner.member.attempt(() => { this.make(inner); });
        this.notes.note((inner.operation << 8) | outer.operation, done ? DONE : WAITED);
        if (done) k++;
        if (table.nameOf(inner.operation) !== ACCESS) marks.clear(); // it may have changed the entries itself
        state = !done ? WAITED : k === list.length ? DONE : EARLY;
        left = (list[k]?.when ?? 1) - 1;
      }
    };
    observed(() => { this.make(outer); }, {
      point, marked: (at, bits) => { marks.set(at, (marks.get(at) ?? 0n) | bits); }, wait: () => { this.isTorn ||= list[k]!.member.isInside; },
    });
    if (this.isTorn) return;
    if (isPreserving(outer.record)) this.checkMarks(marks);
    if (list[k]?.member.underWay === true) list[k++]!.member.finish();
    for (const move of list.slice(k)) this.make(move);
  }

  /** A and D that were set while an update kept them are there still. */
  private checkMarks(marks: ReadonlyMap<number, bigint>): void {
    const { q } = this.world.tenants.machine.views;
    for (const [at, bits] of marks) if ((q[at]! & bits) !== bits) throw new Finding(`an update that keeps A and D lost 0x${bits.toString(16)} of the entry 0x${BigInt.asUintN(64, q[at]!).toString(16)}`);
  }
}

function isPreserving(record: Uint8Array): boolean {
  const [operation, values] = table.decode(record);
  return table.nameOf(operation) === 'update' && values[COMMAND] === MMU_PT_UPDATE_PRESERVE_AD;
}

export const races: Target = {
  name: 'races', about: 'operations of vCPUs in the middle of one of another, at atomic operations that the input names, audited; TypeScript only, as what wasm does cannot be intercepted',
  headBytes: 2, recordBytes: table.recordBytes, most: MOST, explain: record => table.explain(record), parse: words => table.parse(words),
  run({ head, records }, notes, careful) {
    const world = worldOf(head, 'ts', RUNNING), race = new Race(world, notes), every = careful ? 1 : AUDIT_EVERY;
    try {
      for (const [n, record] of records.entries()) {
        race.play(record);
        if (race.isTorn) return n + 1;
        if ((n + 1) % every === 0) world.audit();
        if (world.over) break;
      }
      race.settle();
    } finally {
      race.release();
    }
    world.audit();
    if (careful || (head[1]! & 0x0c) === 0) world.end();
    return records.length;
  },
};
