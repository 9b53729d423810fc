/** A thread that makes one input: checked after every operation; if all holds then, also as fuzzing does. */
import { parentPort, workerData } from 'node:worker_threads';
import { readRecorded } from './corpus.ts';
import { tryInput, type Found } from './finding.ts';
import { fitted } from './input.ts';
import { Notes } from './target.ts';
import { findTarget } from './targets/all.ts';

export interface ReplayTask {
  readonly file: string;
  /** Its name, or the path of its module. */
  readonly target: string;
}

/** What came of it. */
export interface Replayed {
  readonly found: Pick<Found, 'message' | 'stack'> | undefined;
}

/** What the thread tells: that the input begins, and what came of it. */
export type ReplayNews = 'begun' | Replayed;

const tell = (news: ReplayNews): void => parentPort!.postMessage(news);
const task = workerData as ReplayTask, target = await findTarget(task.target), input = fitted(readRecorded(task.file, target).input, target.headBytes, target.recordBytes);
tell('begun');
const found = await tryInput(target, input, new Notes(), true) ?? await tryInput(target, input, new Notes(), false);
target.end?.();
tell({ found: found && { message: found.message, stack: found.stack } });
