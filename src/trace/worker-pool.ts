/**
 * Tasks in worker threads: both ends of the conversation. A worker does one task at a time and is kept for the next, so that what it
 * compiled stays warm.
 */
import { parentPort, Worker } from 'node:worker_threads';
import { InvariantError } from '../errors.ts';
import { plainError, restoredError, type PlainError } from './plain-error.ts';

/** A worker thread ended before its task did: out of memory, or a bug. */
export class WorkerError extends Error {
  override readonly name = 'WorkerError';
}

/** What a worker posts: any number of `progress`, then one of the others. */
type Reply<R, P> =
  | { readonly kind: 'progress'; readonly progress: P }
  | { readonly kind: 'done'; readonly result: R }
  | { readonly kind: 'failed'; readonly error: PlainError };

/** Least time between two reports of progress of one worker. */
const PROGRESS_MS = 50;

/** What waits for a worker's replies. */
interface Client<R, P> {
  progress(progress: P): void;
  done(result: R): void;
  failed(error: Error): void;
}

interface Hand<R, P> {
  readonly worker: Worker;
  client: Client<R, P> | undefined;
}

/** Threads that run the module `entry`, which calls `serveTasks()`: as many as there were tasks at a time. */
export class WorkerPool<T, R, P> {
  private readonly entry: URL;
  private readonly hands = new Set<Hand<R, P>>();

  constructor(entry: URL) {
    this.entry = entry;
  }

  /**
   * Do a task in a thread that has none, or in a new one.
   *
   * @param task - plain data
   * @param signal - ends the thread and what it does
   * @throws what the task threw, of its class if it is one of ours. WorkerError - the thread ended
   */
  async run(task: T, onProgress: (progress: P) => void, signal?: AbortSignal): Promise<R> {
    const hand = [...this.hands].find(h => h.client === undefined) ?? this.hire();
    const abort = (): void => {
      hand.client?.failed(new WorkerError('a worker thread was told to stop'));
      void this.dismiss(hand);
    };
    signal?.addEventListener('abort', abort);
    try {
      return await new Promise<R>((done, failed) => {
        hand.client = { progress: onProgress, done, failed };
        hand.worker.postMessage(task);
      });
    } finally {
      signal?.removeEventListener('abort', abort);
      hand.client = undefined;
    }
  }

  /** End all threads, whatever they do. */
  async close(): Promise<void> {
    await Promise.all([...this.hands].map(hand => this.dismiss(hand)));
  }

  private hire(): Hand<R, P> {
    const hand: Hand<R, P> = { worker: new Worker(this.entry), client: undefined };
    const { worker } = hand;
    const lost = (why: string): void => {
      this.hands.delete(hand);
      hand.client?.failed(new WorkerError(`a worker thread ended before its task did: ${why}`));
    };
    worker.on('message', (reply: Reply<R, P>) => {
      if (reply.kind === 'progress') hand.client?.progress(reply.progress);
      else if (reply.kind === 'done') hand.client?.done(reply.result);
      else hand.client?.failed(restoredError(reply.error));
    });
    worker.on('error', error => lost(error.message));
    worker.on('exit', status => lost(`exit status ${status}`));
    this.hands.add(hand);
    return hand;
  }

  private async dismiss(hand: Hand<R, P>): Promise<void> {
    this.hands.delete(hand);
    await hand.worker.terminate();
  }
}

/**
 * The worker's end: do each task that comes, one after another.
 *
 * @throws InvariantError - this is no worker thread
 */
export function serveTasks<T, R, P>(run: (task: T, onProgress: (progress: P) => void) => Promise<R>): void {
  const port = parentPort;
  if (!port) throw new InvariantError('tasks are served in worker threads');
  const post = (reply: Reply<R, P>): void => port.postMessage(reply);
  port.on('message', (task: T) => {
    let last = -Infinity;
    const progress = (progress: P): void => {
      const now = performance.now();
      if (now - last < PROGRESS_MS) return;
      last = now;
      post({ kind: 'progress', progress });
    };
    run(task, progress).then(result => post({ kind: 'done', result }), (error: unknown) => post({ kind: 'failed', error: plainError(error) }));
  });
}
