/** One reading of one trace, through some runs, as plain data: what a worker thread can be sent. */
import type { Readable } from 'node:stream';
import { openTrace, type OpenOptions } from './open.ts';
import { replay, type ReplayOptions } from './replay.ts';
import type { ReplayResult } from './replay-result.ts';
import { WorkerError, WorkerPool } from './worker-pool.ts';

export interface ReplayTask {
  /** Path of the trace; `-` for the stream given to the runner. */
  readonly file: string;
  readonly open: OpenOptions;
  readonly replay: Omit<ReplayOptions, 'onProgress'>;
}

export interface TaskProgress {
  readonly accesses: number;
  /** Bytes of the trace read, as stored. */
  readonly bytesRead: number;
  /** Bytes of the trace in all; undefined for a pipe. */
  readonly bytesTotal: number | undefined;
}

/**
 * Replay one task in this thread.
 *
 * @param source - what to read, if not the task's file
 * @throws InputError, ConfigError - as `openTrace()` and `replay()`
 */
export async function runTask(
  task: ReplayTask, onProgress: (progress: TaskProgress) => void, source: string | Readable = task.file,
): Promise<ReplayResult> {
  const reader = await openTrace(source, { engine: task.replay.engine, ...task.open });
  return replay(reader, {
    ...task.replay, onProgress: (accesses, { bytesRead, bytesTotal }) => onProgress({ accesses, bytesRead, bytesTotal }),
  });
}

/** Runs tasks: in this thread if that is all there is, in worker threads otherwise. What reads the stream `-` stays here. */
export class TaskRunner {
  private readonly threads: number;
  private readonly input: Readable | undefined;
  private readonly pool = new WorkerPool<ReplayTask, ReplayResult, TaskProgress>(new URL('./replay-worker.js', import.meta.url));

  /** @param input - what a task calls `-` */
  constructor(threads: number, input?: Readable) {
    this.threads = threads;
    this.input = input;
  }

  /**
   * As many at a time as there are threads: more would start more.
   *
   * @param signal - the result is no longer wanted
   * @throws as `runTask()`. WorkerError - a thread ended before the task did
   */
  async run(task: ReplayTask, onProgress: (progress: TaskProgress) => void, signal?: AbortSignal): Promise<ReplayResult> {
    if (this.threads > 1 && task.file !== '-') {
      try {
        return await this.pool.run(task, onProgress, signal);
      } catch (error) {
        throw error instanceof WorkerError ? new WorkerError(`${task.file}: ${error.message}`) : error;
      }
    }
    const checked = (progress: TaskProgress): void => {
      signal?.throwIfAborted();
      onProgress(progress);
    };
    return runTask(task, checked, task.file === '-' ? this.input : task.file);
  }

  close(): Promise<void> {
    return this.pool.close();
  }
}
