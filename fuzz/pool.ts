/** Threads that fuzz one target together: what one finds of use the others get, and one that hangs or dies is a finding, and is replaced. */
import { Worker } from 'node:worker_threads';
import type { Found } from './finding.ts';
import type { Progress } from './fuzzer.ts';
import { Heart } from './heart.ts';
import type { Input } from './input.ts';
import type { Target } from './target.ts';
import type { News, Task } from './worker.ts';

/** Default of `Target.hangMs`. */
export const HANG_MS = 60_000;
const WATCH_MS = 250, SEED_STEP = 7919;

export interface PoolOptions {
  /** How threads find the target: by its name, or the path of its module. */
  readonly from: string;
  readonly seed: number;
  readonly ms: number;
  readonly jobs: number;
  readonly corpus: readonly Input[];
  readonly coverage: boolean;
  /** End at the first finding. */
  readonly first: boolean;
  readonly onKept: (input: Input) => void;
  readonly onFound: (found: Found) => void;
}

interface Thread {
  readonly worker: Worker;
  readonly heart: Heart;
  progress: Progress;
  beats: number;
  since: number;
}

export class Pool {
  private readonly target: Target;
  private readonly options: PoolOptions;
  private readonly end: number;
  private readonly threads = new Set<Thread>();
  private readonly over: Progress[] = [];
  private started = 0;
  private resolve!: () => void;

  constructor(target: Target, options: PoolOptions) {
    this.target = target;
    this.options = options;
    this.end = performance.now() + options.ms;
  }

  /** @returns what all of them did together; `ms` is that of one */
  async run(): Promise<Progress> {
    const done = new Promise<void>(resolve => { this.resolve = resolve; });
    for (let k = 0; k < this.options.jobs; k++) this.start();
    const watch = setInterval(() => this.watch(), WATCH_MS);
    await done;
    clearInterval(watch);
    const sum = (of: (progress: Progress) => number): number => this.over.reduce((all, progress) => all + of(progress), 0);
    return { operations: sum(p => p.operations), inputs: sum(p => p.inputs), fresh: Math.max(0, ...this.over.map(p => p.fresh)), ms: sum(p => p.ms) / this.options.jobs };
  }

  private start(): void {
    const { options } = this, heart = new Heart();
    const workerData: Task = {
      target: options.from, seed: options.seed + SEED_STEP * this.started++, ms: this.end - performance.now(), corpus: options.corpus, coverage: options.coverage, heart: heart.buffer,
    };
    const worker = new Worker(new URL('./worker.js', import.meta.url), { workerData });
    const thread: Thread = { worker, heart, progress: { operations: 0, inputs: 0, fresh: 0, ms: 0 }, beats: 0, since: performance.now() };
    this.threads.add(thread);
    worker.on('message', (news: News) => this.hear(thread, news));
    worker.on('exit', status => this.lose(thread, `the thread ended with status ${status}`, ''));
    worker.on('error', error => this.lose(thread, `the thread died: ${error.message}`, error.stack ?? ''));
  }

  private hear(thread: Thread, news: News): void {
    if ('kept' in news) {
      this.options.onKept(news.kept);
      for (const other of this.threads) if (other !== thread) other.worker.postMessage(news.kept);
    } else if ('found' in news) this.find(news.found);
    else {
      thread.progress = news.progress;
      if (news.done) this.finish(thread);
    }
  }

  private find(found: Found): void {
    this.options.onFound(found);
    if (this.options.first) for (const thread of [...this.threads]) this.finish(thread);
  }

  private watch(): void {
    const now = performance.now();
    for (const thread of this.threads) {
      const { beats } = thread.heart;
      if (beats !== thread.beats) [thread.beats, thread.since] = [beats, now];
      else if (now - thread.since > (this.target.hangMs ?? HANG_MS) && beats > 0) this.lose(thread, `no end in ${this.target.hangMs ?? HANG_MS} ms`, '');
    }
  }

  /** A thread is lost with the input that it was at. */
  private lose(thread: Thread, message: string, stack: string): void {
    if (!this.threads.has(thread)) return;
    this.find({ key: message.split('\n')[0]!, message, stack, input: thread.heart.input });
    if (thread.heart.beats > 0 && performance.now() < this.end && !this.options.first) this.start();
    this.finish(thread);
  }

  private finish(thread: Thread): void {
    if (!this.threads.delete(thread)) return;
    void thread.worker.terminate();
    this.over.push(thread.progress);
    if (this.threads.size === 0) this.resolve();
  }
}
