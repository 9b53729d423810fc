/**
 * Races as inputs: two vCPUs of a domain, and those of others, one of whose operations is made in the middle of another's, before or after the
 * atomic operation of it that the input names. Who would have to wait there goes on when the other is done.
 */
import { atEachPoint } from '../../atomics.ts';
import { OperationTable, type Operation } from '../../operation.ts';
import { Finding, type Notes, type Target } from '../../target.ts';
import { crewOf, type Member } from './crew.ts';
import { DOMAIN_OPERATIONS } from './domains.ts';
import { EVENT_OPERATIONS } from './events.ts';
import { GRANT_OPERATIONS } from './grants.ts';
import { MEMORY_OPERATIONS } from './memory.ts';
import { PROCESSOR_OPERATIONS, TABLE_OPERATIONS } from './mmu.ts';
import { worldOf, type World } from './world.ts';

const RUNNING = 2, AUDIT_EVERY = 64, MOST = 1024;
/** Points of an operation at which another one is made in the middle of it, the first ones more often, as many have only a few; 0 is at once, and no point. */
const POINTS = Array.from({ length: 80 }, (_, k) => k + 1), FIRST = POINTS.slice(0, 24);
const WHEN = [...FIRST.map(() => 0), ...FIRST, ...FIRST, ...POINTS];
/** Atomic operations after which what is made in the middle of a call waits for something. */
const ENDLESS = 1_000_000;

/** Which of its domain's vCPUs makes an operation, and when. */
const timed = (one: Operation<World>): Operation<World> => ({
  ...one, fields: { ...one.fields, vcpu: [0, 1], when: WHEN }, run: (world, values) => one.run(world, values.slice(0, -2)),
});

const LIST = [...TABLE_OPERATIONS, ...PROCESSOR_OPERATIONS, ...GRANT_OPERATIONS, ...MEMORY_OPERATIONS, ...EVENT_OPERATIONS, ...DOMAIN_OPERATIONS];
const table = new OperationTable(LIST.filter(({ name }) => name !== 'mode').map(timed));

interface Move { readonly record: Uint8Array; readonly operation: number; readonly turn: number; readonly member: Member; readonly when: number }

/** What becomes of an operation that is to be made in the middle of another. */
const EARLY = 0, MAKING = 1, DONE = 2, WAITED = 3;

class Race {
  /** Did an operation have to wait where it cannot be stopped? What it left half done is no finding. */
  isTorn = false;
  private readonly world: World;
  private readonly crew: readonly Member[];
  private readonly notes: Notes;
  /** What is made in the middle of the next operation of another vCPU. */
  private later: Move | undefined;

  constructor(world: World, notes: Notes) {
    this.world = world;
    this.crew = crewOf(world);
    this.notes = notes;
  }

  /** Make the operation of a record, or keep it for the middle of another one. */
  play(record: Uint8Array): void {
    const move = this.moveOf(record), isDeath = table.nameOf(move.operation) === 'die'; // none of a domain's vCPUs runs when it dies
    if (isDeath || this.later?.member === move.member) this.settle();
    if (isDeath) this.noted(move, table.run(this.world, record)[1]);
    else if (this.later) this.meet(move, this.later);
    else if (move.when > 0) this.later = move;
    else this.make(move);
  }

  /** Make what is kept. */
  settle(): void {
    const { later } = this;
    this.later = undefined;
    if (later) this.make(later);
  }

  /** Whatever ended the input. */
  release(): void {
    for (const member of this.crew) member.release();
  }

  private moveOf(record: Uint8Array): Move {
    const [operation, values] = table.decode(record), [vcpu, when] = values.slice(-2) as [number, number], { machine: { vcpus } } = this.world.tenants;
    this.world.turn = vcpu;
    return { record, operation, turn: vcpu, member: this.crew[vcpus.indexOf(this.world.domain(values[0]!).cpu)]!, when };
  }

  private make({ record, operation, turn, member }: Move): void {
    const { world } = this, before = world.turn;
    world.turn = turn;
    this.noted({ operation }, member.as(world, () => table.run(world, record)[1]));
    world.turn = before;
  }

  private noted({ operation }: Pick<Move, 'operation'>, answer: number): void {
    this.notes.note(operation, answer);
  }

  private meet(outer: Move, inner: Move): void {
    const { world } = this;
    let left = inner.when, state = EARLY, made = 0;
    this.later = undefined;
    const point = (): void => {
      if (state === MAKING && ++made > ENDLESS) throw new Finding('what is made in the middle of a call comes to no end');
      if (state !== EARLY || --left > 0 || outer.member.holdsWithin) return;
      state = MAKING;
      state = inner.member.attempt(() => { this.make(inner); }) ? DONE : WAITED;
    };
    world.turn = outer.turn;
    atEachPoint(() => { this.make(outer); }, point, () => { this.isTorn ||= inner.member.isInside; });
    this.notes.note((inner.operation << 8) | outer.operation, state);
    if (this.isTorn) return;
    if (inner.member.underWay) inner.member.finish();
    else if (state !== DONE) this.make(inner);
  }
}

export const races: Target = {
  name: 'races', about: 'calls of vCPUs, one in the middle of another at an atomic operation that the input names, audited; of the TypeScript engine, as those of wasm cannot be seen',
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
