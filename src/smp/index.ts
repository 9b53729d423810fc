/** pagewalk/smp: the vCPUs of a machine in threads of their own, or in turn in one. */
export { BrokenError } from '../errors.ts';
export { Cluster, type ClusterOptions } from './cluster.ts';
export { runInTurn, type InTurnOptions, type TurnProgram } from './in-turn.ts';
export type { Context, Outcome, Program, ProgramRef } from './program.ts';
export { Recording, type Entry } from './recording.ts';
