/** An input in a file, made again: in a thread of its own, as it may be one that has no end, or that ends the thread. */
import { Worker } from 'node:worker_threads';
import { readRecorded } from './corpus.ts';
import { HANG_MS } from './pool.ts';
import type { Replayed, ReplayNews, ReplayTask } from './replay-worker.ts';
import { findTarget, targetOf } from './targets/all.ts';

/** Checked after every operation, an input takes longer. */
const PATIENCE = 4;

/** @param from - path of the module of the target; undefined: the file names it @throws InputError, ConfigError - the file is no input of a target */
export async function replayFile(file: string, from: string | undefined): Promise<Replayed> {
  const module = from === undefined ? undefined : await findTarget(from), { target: name } = readRecorded(file, module), target = module ?? targetOf(name, file);
  const workerData: ReplayTask = { file, target: from ?? name }, most = (target.hangMs ?? HANG_MS) * PATIENCE;
  const worker = new Worker(new URL('./replay-worker.js', import.meta.url), { workerData });
  let timer: NodeJS.Timeout | undefined;
  try {
    return await new Promise<Replayed>(resolve => {
      const found = (message: string, stack = ''): void => resolve({ found: { message, stack } });
      worker.on('message', (news: ReplayNews) => {
        if (news === 'begun') timer = setTimeout(() => found(`no end in ${most} ms`), most);
        else resolve(news);
      });
      worker.on('error', error => found(`the thread died: ${error.message}`, error.stack));
      worker.on('exit', status => found(`the thread ended with status ${status}`));
    });
  } finally {
    clearTimeout(timer);
    await worker.terminate();
  }
}
