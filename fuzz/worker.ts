/** A thread that fuzzes one target until its time is up. */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import type { Found } from './finding.ts';
import { Fuzzer, type Progress } from './fuzzer.ts';
import { Heart } from './heart.ts';
import type { Input } from './input.ts';
import { findTarget } from './targets/all.ts';

/** What a thread is told. */
export interface Task {
  /** Its name, or the path of its module. */
  readonly target: string;
  readonly seed: number;
  readonly ms: number;
  readonly corpus: readonly Input[];
  readonly coverage: boolean;
  readonly heart: SharedArrayBuffer;
}

/** What it tells. */
export type News = { readonly kept: Input } | { readonly found: Found } | { readonly progress: Progress; readonly done: boolean };

const TELL_MS = 500;

const task = workerData as Task, port = parentPort!, heart = new Heart(task.heart), end = performance.now() + task.ms;
const tell = (news: News): void => port.postMessage(news);
const target = await findTarget(task.target), fuzzer = new Fuzzer(target, {
  seed: task.seed, corpus: task.corpus, coverage: task.coverage, onInput: input => heart.beat(input), onKept: kept => tell({ kept }), onFound: found => tell({ found }),
});

let told = 0;
await fuzzer.run(progress => {
  const now = performance.now();
  if (now - told > TELL_MS) {
    told = now;
    tell({ progress, done: false });
    for (let message = receiveMessageOnPort(port); message; message = receiveMessageOnPort(port)) fuzzer.take(message.message as Input);
  }
  return now > end;
});
target.end?.();
tell({ progress: fuzzer.progress, done: true });
