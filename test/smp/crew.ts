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

/** Run all to their end. @returns calls that were made, by vCPU @throws what went wrong */
export async function work(world: World, rest: Record<string, unknown>): Promise<number[]> {
  const cluster = new Cluster(world.machine, { machine: world.options });
  try {
    programs(world, rest).forEach((program, number) => void cluster.start(number, program));
    return (await cluster.join(60_000)).map(done);
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
