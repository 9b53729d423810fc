/** Several traces, each through all runs, in several threads: results as of one thread, in the order of the traces. */
import { stat } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { inLanes } from './lanes.ts';
import { openTrace } from './open.ts';
import type { ReplayResult } from './replay-result.ts';
import { TaskRunner, type ReplayTask, type TaskProgress } from './replay-task.ts';

export interface ReplayAllOptions {
  /** Threads, from 1. */
  readonly threads: number;
  /** What a task calls `-`. */
  readonly input?: Readable;
  /** Called now and then, with accesses and bytes of all traces together. */
  readonly onProgress?: (progress: TaskProgress) => void;
}

/** Some of the runs of a task. */
interface Part {
  readonly task: ReplayTask;
  /** Place of the whole task. */
  readonly of: number;
  /** Of the runs of the whole task, 0 to 1. */
  readonly share: number;
}

interface PartResult {
  readonly result: ReplayResult;
  readonly started: number;
  readonly ended: number;
}

/**
 * Replay every task. With fewer traces than threads, the runs of a trace are dealt to several threads, each of which reads it for itself:
 * only plain files can be read twice.
 *
 * @throws InputError - a trace cannot be opened: at once
 * @throws InputError, ConfigError - of the first task in order that has one, as `replay()` does. WorkerError - a thread ended
 */
export async function replayAll(tasks: readonly ReplayTask[], options: ReplayAllOptions): Promise<ReplayResult[]> {
  const { threads, input, onProgress } = options;
  const sizes = await Promise.all(tasks.map(plainBytes));
  const each = Math.ceil(threads / tasks.length);
  const parts = tasks.flatMap((task, of) => split(task, of, sizes[of] === undefined ? 1 : each));
  const runner = new TaskRunner(parts.length === 1 ? 1 : threads, input);
  const report = progressOf(parts, sizes, onProgress);
  try {
    const results = await inLanes(parts, threads, startOrder(parts, sizes, threads), async (part, place, signal): Promise<PartResult> => {
      const started = performance.now();
      const result = await runner.run(part.task, progress => report(place, progress), signal);
      return { result, started, ended: performance.now() };
    });
    return tasks.map((_, of) => joined(results.filter((_, place) => parts[place].of === of)));
  } finally {
    await runner.close();
  }
}

/** Bytes of a plain file; undefined for what can be read only once. @throws InputError - it cannot be read at all */
async function plainBytes({ file, open }: ReplayTask): Promise<number | undefined> {
  if (file === '-') return undefined;
  const info = await stat(file).catch(() => undefined);
  if (!info || info.isDirectory()) await (await openTrace(file, open)).close();
  return info?.isFile() ? info.size : undefined;
}

function split(task: ReplayTask, of: number, into: number): Part[] {
  const { cpus, pages } = task.replay;
  const runs = cpus.length * pages.length, parts = Math.max(1, Math.min(into, runs));
  if (parts === 1) return [{ task, of, share: 1 }];
  const edge = (k: number): number => Math.floor((k * runs) / parts);
  return Array.from({ length: parts }, (_, k) => {
    const only = Array.from({ length: edge(k + 1) - edge(k) }, (_, i) => edge(k) + i);
    return { task: { ...task, replay: { ...task.replay, only } }, of, share: only.length / runs };
  });
}

/** What cannot be waited for first, then the longest, so that no thread has much left when the others are done. One thread: in order. */
function startOrder(parts: readonly Part[], sizes: readonly (number | undefined)[], threads: number): number[] {
  const order = [...parts.keys()], weight = (place: number): number => (sizes[parts[place].of] ?? Infinity) * parts[place].share;
  return threads === 1 ? order : order.sort((a, b) => (weight(a) === weight(b) ? a - b : weight(b) - weight(a)));
}

/** Sums of the progress of all parts, each as much as its share of the trace's runs. */
function progressOf(
  parts: readonly Part[], sizes: readonly (number | undefined)[], onProgress: ReplayAllOptions['onProgress'],
): (place: number, progress: TaskProgress) => void {
  const latest = new Map<number, TaskProgress>();
  const bytesTotal = sizes.reduce((sum, size) => (sum === undefined || size === undefined ? undefined : sum + size), 0);
  return (place, progress) => {
    latest.set(place, progress);
    let accesses = 0, bytesRead = 0;
    for (const [k, of] of latest) {
      accesses += of.accesses * parts[k].share;
      bytesRead += of.bytesRead * parts[k].share;
    }
    onProgress?.({ accesses: Math.round(accesses), bytesRead, bytesTotal });
  };
}

/** One result of the parts of one task. */
function joined(parts: readonly PartResult[]): ReplayResult {
  const [{ result }] = parts, runs = parts.flatMap(part => part.result.runs);
  if (parts.length === 1) return result;
  const seconds = (Math.max(...parts.map(p => p.ended)) - Math.min(...parts.map(p => p.started))) / 1000;
  return { ...result, runs, seconds, rate: (result.trace.accesses * runs.length) / seconds };
}
