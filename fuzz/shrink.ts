/** The smallest input that still shows the same: fewer operations, then fewer bytes that are not zero. */
import { tryInput, type Found } from './finding.ts';
import type { Input } from './input.ts';
import { Notes, type Target } from './target.ts';

const MOST_MS = 20_000;

/** @returns the finding with a smaller input, or as it was. It is checked after every operation from here on, if that shows it too */
export async function shrink(target: Target, found: Found, mostMs = MOST_MS): Promise<Found> {
  const notes = new Notes(), until = performance.now() + mostMs;
  const careful = await tryInput(target, found.input, notes, true); // that it shows earlier may be worded differently
  const key = careful?.key ?? found.key, isCareful = careful !== undefined;
  let best = careful ?? found;
  const holds = async (input: Input): Promise<boolean> => {
    if (performance.now() > until) return false;
    const now = await tryInput(target, input, notes, isCareful);
    if (now?.key !== key) return false;
    best = now;
    return true;
  };
  const records = await fewer(found.input.records, list => holds({ head: found.input.head, records: list }));
  const plain: Uint8Array[] = [...records];
  let head = found.input.head;
  for (let k = 0; k < head.length; k++) head = await zeroed(head, k, tried => holds({ head: tried, records: plain }));
  for (let n = 0; n < plain.length; n++) {
    for (let k = 0; k < plain[n]!.length; k++) {
      plain[n] = await zeroed(plain[n]!, k, tried => holds({ head, records: plain.map((record, at) => (at === n ? tried : record)) }));
    }
  }
  return best;
}

/** Leave out runs of a list, from half of it down to one. */
async function fewer<T>(list: readonly T[], holds: (list: readonly T[]) => Promise<boolean>): Promise<readonly T[]> {
  let left = list;
  for (let run = list.length; run >= 1; run = run === 1 ? 0 : Math.ceil(run / 2)) {
    for (let at = left.length - run; at > -run; at -= run) {
      const without = [...left.slice(0, Math.max(0, at)), ...left.slice(at + run)];
      if (without.length < left.length && await holds(without)) left = without;
    }
  }
  return left;
}

async function zeroed(data: Uint8Array, k: number, holds: (data: Uint8Array) => Promise<boolean>): Promise<Uint8Array> {
  if (data[k] === 0) return data;
  const tried = data.slice();
  tried[k] = 0;
  return await holds(tried) ? tried : data;
}
