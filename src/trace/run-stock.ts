/**
 * Runs that are done, kept for the next replay on the same processor: memory that a process has touched before costs it less than memory that the
 * operating system has to give.
 */
import type { Run, RunOptions } from './replay-run.ts';

const MOST = 8;
/** Of machine memory of all that are kept; a run begins with some 70 MiB, and grows with the pages of its trace. */
const MOST_BYTES = 2 ** 30;

/** By all that decides a run; the one kept last is last. */
const stock: { readonly key: string; readonly run: Run }[] = [];

const keyOf = (options: RunOptions): string => JSON.stringify(options);

const bytesOf = (run: Run): number => run.machine.views.byteLength;
const bytesKept = (): number => stock.reduce((sum, { run }) => sum + bytesOf(run), 0);

/** Keep a run whose result was taken; those kept first make room. */
export function keep(run: Run): void {
  if (run.renewable && bytesOf(run) <= MOST_BYTES) stock.push({ key: keyOf(run.options), run });
  while (stock.length > MOST || bytesKept() > MOST_BYTES) stock.shift();
}

/** @returns a run with these options, as new; undefined: none is kept */
export function kept(options: RunOptions): Run | undefined {
  const key = keyOf(options), place = stock.findLastIndex(one => one.key === key);
  if (place < 0) return undefined;
  const [{ run }] = stock.splice(place, 1);
  run.renew();
  return run;
}
