/**
 * Two vCPUs of a domain, and another domain's, whose calls are made part by part in the order that the input says: what is a race elsewhere is an
 * input here. Between any two parts all counts are those of the tables.
 */
import type { Vcpu } from '../../../src/machine/vcpu.ts';
import { OperationTable, type Operation } from '../../operation.ts';
import type { Target } from '../../target.ts';
import { DOMAIN_OPERATIONS } from './domains.ts';
import { EVENT_OPERATIONS } from './events.ts';
import { GRANT_OPERATIONS } from './grants.ts';
import { MEMORY_OPERATIONS } from './memory.ts';
import { PROCESSOR_OPERATIONS, TABLE_OPERATIONS } from './mmu.ts';
import { worldOf, type World } from './world.ts';

const RUNNING = 2, AUDIT_EVERY = 256, MOST = 1024;
/** What a call answers that is not done yet. */
const UNDER_WAY = -85;

/** vCPUs with a call under way, which has to be dispatched again. */
const underWay = new Set<Vcpu>();

function part(world: World, cpu: Vcpu): number {
  const { xen } = world.tenants, rc = xen.dispatchPart(cpu);
  if (!xen.host.preempted) underWay.delete(cpu);
  return xen.host.preempted ? UNDER_WAY : rc;
}

/** Calls of a world, of which only the first part is made. A vCPU whose call is under way makes another part of that instead. */
function inParts(world: World): void {
  world.tenants.dispatch = (cpu, nr, args) => {
    if (underWay.has(cpu)) return part(world, cpu);
    world.tenants.xen.setCall(cpu, nr, ...args);
    underWay.add(cpu);
    return part(world, cpu);
  };
}

const STEERING: readonly Operation<World>[] = [
  { name: 'turn', share: 12, fields: { vcpu: [0, 1] }, run(w, [vcpu]) {
    w.turn = vcpu!;
    return 0;
  } },
  { name: 'part', share: 12, fields: { which: 4 }, run(w, [which]) {
    const cpus = [...underWay], cpu = cpus[which! % Math.max(1, cpus.length)];
    return cpu === undefined ? -1 : part(w, cpu);
  } },
  { name: 'finish', share: 3, fields: { which: 4 }, run(w, [which]) {
    const cpus = [...underWay], cpu = cpus[which! % Math.max(1, cpus.length)];
    while (cpu !== undefined && underWay.has(cpu)) part(w, cpu);
    return cpu === undefined ? -1 : 0;
  } },
];

/** Operations that only calls are made of: what else a vCPU does while its call is under way it cannot do. */
const MADE_OF_CALLS = [...TABLE_OPERATIONS, ...PROCESSOR_OPERATIONS, ...GRANT_OPERATIONS, ...MEMORY_OPERATIONS, ...EVENT_OPERATIONS].filter(({ name }) => name !== 'mode');
const table = new OperationTable([...MADE_OF_CALLS, ...DOMAIN_OPERATIONS, ...STEERING]);

function finishAll(world: World): void {
  for (const cpu of [...underWay]) while (underWay.has(cpu)) part(world, cpu);
}

export const vcpus: Target = {
  name: 'vcpus', about: 'calls of several vCPUs, part by part in the order that the input says, audited between the parts', headBytes: 2, recordBytes: table.recordBytes, most: MOST,
  explain: record => table.explain(record), parse: words => table.parse(words),
  run({ head, records }, notes, careful) {
    underWay.clear();
    const world = worldOf(head, head[1]! & 1 ? 'wasm' : 'ts', RUNNING), every = careful ? 1 : AUDIT_EVERY;
    inParts(world);
    let before = 0;
    for (const [n, record] of records.entries()) {
      const [first] = table.decode(record);
      if (table.nameOf(first) === 'die') finishAll(world);
      const [operation, answer] = table.run(world, record);
      notes.note(operation, answer);
      notes.note((before << 8) | operation, underWay.size);
      before = operation;
      if ((n + 1) % every === 0) world.audit();
      if (world.over) break;
    }
    finishAll(world);
    world.audit();
    if (careful || (head[1]! & 0x0c) === 0) world.end();
    return records.length;
  },
};
