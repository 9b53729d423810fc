/** A process that replays the bundled trace in one and in two worker threads; prints JSON. */
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { fileURLToPath } from 'node:url';
import { presets } from '../dist/index.js';
import { openTrace, PwtWriter, replay } from '../dist/trace/index.js';
import { median } from './median.ts';
import { written } from './written.ts';

/** Seconds of wall time for two replays: by one worker, by two. */
export interface Scaling {
  readonly one: number;
  readonly two: number;
}

const TIMES = 48; // in a row make the trace, so that a replay lasts

/** A worker: does a job for every message. */
async function serve(): Promise<void> {
  const pwt = await written(() => openTrace(fileURLToPath(new URL('../test/fixtures/compile/gcc.pwt.gz', import.meta.url))), PwtWriter, TIMES);
  parentPort!.on('message', async () => {
    await replay(await openTrace(Readable.from([pwt])), { name: 'gcc', cpus: [presets.zen3], pages: ['4k'] });
    parentPort!.postMessage('done');
  });
}

async function job(worker: Worker): Promise<void> {
  worker.postMessage('go');
  await once(worker, 'message'); // an error of the worker rejects
}

async function scaling(runs: number): Promise<Scaling> {
  const [a, b] = [1, 2].map(() => new Worker(new URL(import.meta.url))) as [Worker, Worker];
  const one: number[] = [], two: number[] = [];
  for (let run = -2; run < runs; run++) {
    const start = performance.now();
    await job(a);
    await job(a);
    const between = performance.now();
    await Promise.all([job(a), job(b)]);
    const end = performance.now();
    if (run < 0) continue; // warms up
    one.push((between - start) / 1000);
    two.push((end - between) / 1000);
  }
  await Promise.all([a.terminate(), b.terminate()]);
  return { one: median(one), two: median(two) };
}

if (isMainThread) console.log(JSON.stringify(await scaling(Number(process.argv[2]))));
else await serve();
