/** Tasks of a comparison, and who does them: this thread if that is all there is, worker threads otherwise. */
import { inLanes } from '../trace/lanes.ts';
import { WorkerPool } from '../trace/worker-pool.ts';
import { runCell, type CellResult, type CellTask } from './cell.ts';
import { runLine, type LineTask, type SweepLine } from './sweep-line.ts';

export type CompareTask = CellTask | LineTask;
export type CompareResult = CellResult | SweepLine;

/** Do a task in this thread. @param onProgress - told how much is done, up to 1 @throws InputError, ConfigError */
export async function runTask(task: CompareTask, onProgress: (share: number) => void): Promise<CompareResult> {
  return task.kind === 'cell' ? runCell(task, onProgress) : runLine(task, onProgress);
}

/**
 * Do tasks, several at a time. Results are those of one thread, in the order of the tasks.
 *
 * @param threads - from 1 @param onProgress - told how much of which task is done, up to 1
 * @throws InputError, ConfigError - of the first task that cannot be done. WorkerError - a thread ended before its task did
 */
export async function runTasks(tasks: readonly CompareTask[], threads: number, onProgress: (place: number, share: number) => void): Promise<CompareResult[]> {
  const order = [...tasks.keys()];
  if (threads === 1 || tasks.length === 1) return inLanes(tasks, 1, order, (task, place) => runTask(task, done => onProgress(place, done)));
  const pool = new WorkerPool<CompareTask, CompareResult, number>(new URL('./compare-worker.js', import.meta.url));
  try {
    return await inLanes(tasks, threads, order, (task, place, signal) => pool.run(task, done => onProgress(place, done), signal));
  } finally {
    await pool.close();
  }
}
