/** All vCPUs of a world at work: as programs of a cluster, or in turn. */
import { Cluster, type Outcome, type ProgramRef, type TurnProgram } from '../../dist/smp/index.js';
import { run } from './guest-program.mjs';
import { dataFor, type World } from './world.mjs';

const PROGRAM = new URL('./guest-program.mjs', import.meta.url);

/** A program for each vCPU, by its number. @param rest - seed, steps, `own` */
export function programs(world: World, rest: Record<string, unknown>): ProgramRef[] {
  const list: ProgramRef[] = [];
  for (const guest of world.guests) guest.cpus.forEach((number, k) => { list[number] = { module: PROGRAM, data: dataFor(world, guest, k, rest) }; });
  return list;
}

export const inTurn = (world: World, rest: Record<string, unknown>): TurnProgram[] => programs(world, rest).map(({ data }) => ({ run, data }));

/** Run all to their end, round by round, with an audit after each. @returns calls that were made, by round and vCPU @throws what went wrong */
export async function work(world: World, rounds: readonly Record<string, unknown>[]): Promise<number[][]> {
  const cluster = new Cluster(world.machine, { machine: world.options }), calls: number[][] = [];
  try {
    for (const rest of rounds) {
      programs(world, rest).forEach((program, number) => void cluster.start(number, program));
      calls.push((await cluster.join(60_000)).map(done));
      const complaints = world.xen.audit();
      if (complaints.length > 0) throw new Error(complaints.join('; '));
    }
    return calls;
  } finally {
    await cluster.close();
  }
}

/** Calls that a program made. @throws it failed, or reached what is not its domain's */
export function done(outcome: Outcome): number {
  if (outcome.how !== 'returned') throw new Error(JSON.stringify(outcome));
  const { done: calls, wrong } = outcome.value as { done: number; wrong: string[] };
  if (wrong.length > 0) throw new Error(wrong.join('; '));
  return calls;
}
