/** Hypercalls as targets: operations of one kind, and those that make it meet others, audited. */
import type { Input } from '../../input.ts';
import { OperationTable, type Operation } from '../../operation.ts';
import { Finding, type Notes, type Target } from '../../target.ts';
import { DOMAIN_OPERATIONS } from './domains.ts';
import { EVENT_OPERATIONS } from './events.ts';
import { GRANT_OPERATIONS } from './grants.ts';
import { MEMORY_OPERATIONS } from './memory.ts';
import { PROCESSOR_OPERATIONS, TABLE_OPERATIONS } from './mmu.ts';
import { worldOf, type World } from './world.ts';

const AUDIT_EVERY = 256, MOST = 1024;

/** What a history came to. */
interface Outcome {
  readonly answers: number[];
  readonly state: Buffer | undefined;
}

/** @param whole - what is left in the end, too */
function play(table: OperationTable<World>, { head, records }: Input, engine: 'ts' | 'wasm', notes: Notes, every: number, whole: boolean): Outcome {
  const world = worldOf(head, engine), answers: number[] = [];
  let before = 0;
  for (const [n, record] of records.entries()) {
    const [operation, answer] = table.run(world, record);
    answers.push(answer);
    notes.note(operation, answer);
    notes.note((before << 8) | operation, answer === 0 ? 1 : 2);
    before = answer === 0 ? operation : before;
    if ((n + 1) % every === 0) world.audit();
    if (world.over) break;
  }
  world.audit();
  const state = whole ? world.state() : undefined;
  if (whole || (head[1]! & 0x0c) === 0) world.end();
  return { answers, state };
}

function same(a: Outcome, b: Outcome): void {
  const at = a.answers.findIndex((answer, k) => answer !== b.answers[k]);
  if (at >= 0) throw new Finding(`operation ${at}: TypeScript answers ${a.answers[at]}, wasm ${b.answers[at]}`);
  if (Buffer.compare(a.state!, b.state!) !== 0) throw new Finding('memory of the domains, or the frame table, differs with the engine');
}

/** One input in four is made with both engines, and all that are replayed. */
function hypercalls(name: string, about: string, operations: readonly Operation<World>[]): Target {
  const table = new OperationTable(operations);
  return {
    name, about, headBytes: 2, recordBytes: table.recordBytes, most: MOST, explain: record => table.explain(record), parse: words => table.parse(words),
    run(input, notes, careful) {
      const choice = input.head[1]! & 3, every = careful ? 1 : AUDIT_EVERY;
      if (!careful && choice < 3) return play(table, input, choice === 0 ? 'wasm' : 'ts', notes, every, false).answers.length;
      const a = play(table, input, 'ts', notes, every, true);
      same(a, play(table, input, 'wasm', notes, every, true));
      return a.answers.length * 2;
    },
  };
}

/** A few of others, so that pages have other uses, too. */
const some = (operations: readonly Operation<World>[], ...names: string[]): Operation<World>[] => operations.filter(({ name }) => names.includes(name)).map(one => ({ ...one, share: 1 }));

const GRANTED = some(GRANT_OPERATIONS, 'entry', 'mapGrant', 'unmapGrant');
const MAPPED = some(TABLE_OPERATIONS, 'map', 'seal', 'update', 'pin', 'unpin', 'touch');
const EXTENDED = TABLE_OPERATIONS.filter(({ name }) => ['pin', 'unpin', 'root', 'ext'].includes(name)).map(one => ({ ...one, share: 5 }));

export const HYPERCALLS: readonly Target[] = [
  hypercalls('mmu-update', 'mmu_update, update_va_mapping and stores to page tables, audited', [...TABLE_OPERATIONS, ...PROCESSOR_OPERATIONS, ...GRANTED]),
  hypercalls('mmuext', 'mmuext_op, descriptors and modes, audited', [...EXTENDED, ...some(TABLE_OPERATIONS, 'map', 'seal', 'update', 'store', 'touch', 'load'), ...PROCESSOR_OPERATIONS]),
  hypercalls('memory-op', 'memory_op, audited', [...MEMORY_OPERATIONS, ...MAPPED, ...GRANTED]),
  hypercalls('grants', 'grant_table_op and the entries of grants, audited', [...GRANT_OPERATIONS, ...MAPPED, ...some(MEMORY_OPERATIONS, 'hide', 'decrease')]),
  hypercalls('events', 'event_channel_op, and what guests write into event pages, audited', [...EVENT_OPERATIONS, ...some(TABLE_OPERATIONS, 'map')]),
  hypercalls('domains', 'all of these by domains that die and are replaced, audited', [
    ...TABLE_OPERATIONS, ...PROCESSOR_OPERATIONS, ...MEMORY_OPERATIONS, ...GRANT_OPERATIONS, ...EVENT_OPERATIONS, ...DOMAIN_OPERATIONS,
  ]),
];
