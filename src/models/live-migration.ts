/**
 * Live migration as rounds: all pages are sent while the guest runs, then those it wrote meanwhile, and so on; the rest when it is stopped.
 *
 * Source: Xen 4.17, send_memory_live(), suspend_and_send_dirty(), simple_precopy_policy() (tools/libs/guest/xg_sr_save.c): at most 5 rounds,
 *         done with fewer than 50 dirty pages. That it stops without progress is a rule of this library.
 */
import { ConfigError } from '../errors.ts';
import { dirtyFrames, type DirtyLog } from './dirty-log.ts';

export interface MigrationOptions {
  readonly log: DirtyLog;
  /** Guest frames that have memory. */
  readonly pages: readonly number[];
  /** Send the pages as they are now. */
  send(gfns: readonly number[]): void;
  /** Let the guest run as long as it takes to send so many pages. @param round - from 1 */
  run(round: number, sent: number): void;
  /** Stop it for good, before the last pages are sent. */
  suspend?(): void;
  /** Rounds while it runs. Default 5. */
  readonly maxRounds?: number;
  /** Fewer dirty pages than this are sent with the guest stopped. Default 50. */
  readonly threshold?: number;
  /** Rounds in a row that leave as much dirty as they sent, after which it is stopped. Default 2. */
  readonly stalledRounds?: number;
}

export interface MigrationRound {
  readonly sent: number;
  /** Pages written while they were sent, and faults that finding out took. */
  readonly dirty: number;
  readonly faults: number;
}

export interface Migration {
  readonly rounds: readonly MigrationRound[];
  /** Why it came to the end. */
  readonly reason: 'few dirty' | 'all rounds' | 'no progress';
  /** Pages sent while the guest was stopped, and in all. */
  readonly downtimePages: number;
  readonly totalPages: number;
}

/** Migrate. What `send()` and `run()` throw comes through, with the log ended. @throws ConfigError - an option */
export function migrate(options: MigrationOptions): Migration {
  checkOptions(options);
  const { log, pages, maxRounds = 5, threshold = 50, stalledRounds = 2 } = options;
  const rounds: MigrationRound[] = [], has = new Set(pages);
  let next = pages, stalled = 0, reason: Migration['reason'] | undefined;
  log.enable();
  try {
    while (reason === undefined) {
      options.send(next);
      options.run(rounds.length + 1, next.length);
      const { bitmap, faults } = log.clean(), dirty = dirtyFrames(bitmap).filter(gfn => has.has(gfn));
      rounds.push({ sent: next.length, dirty: dirty.length, faults });
      stalled = dirty.length >= next.length ? stalled + 1 : 0;
      next = dirty;
      if (dirty.length < threshold) reason = 'few dirty';
      else if (rounds.length >= maxRounds) reason = 'all rounds';
      else if (stalled >= stalledRounds) reason = 'no progress';
    }
    options.suspend?.();
    const late = dirtyFrames(log.clean().bitmap).filter(gfn => has.has(gfn)); // by suspending
    next = [...new Set([...next, ...late])].sort((a, b) => a - b);
    options.send(next);
  } finally {
    log.disable();
  }
  return { rounds, reason, downtimePages: next.length, totalPages: next.length + rounds.reduce((sum, { sent }) => sum + sent, 0) };
}

const LOG = ['enable', 'clean', 'disable'] as const;

/** @throws ConfigError - an option that is missing, or cannot be */
function checkOptions(options: MigrationOptions): void {
  if (typeof options !== 'object' || options === null) throw new ConfigError('options', 'an object with log, pages, send and run', options);
  const { log, pages, send, run, suspend, maxRounds = 5, threshold = 50, stalledRounds = 2 } = options;
  if (LOG.some(method => typeof (log as DirtyLog | undefined)?.[method] !== 'function')) throw new ConfigError('log', 'a log of dirty pages', log);
  if (!Array.isArray(pages)) throw new ConfigError('pages', 'a list of frames', pages);
  const bad = pages.findIndex(gfn => !Number.isInteger(gfn) || gfn < 0);
  if (bad >= 0) throw new ConfigError(`pages[${bad}]`, 'the number of a frame', pages[bad]);
  for (const [field, value] of Object.entries({ send, run, ...(suspend !== undefined && { suspend }) })) {
    if (typeof value !== 'function') throw new ConfigError(field, 'a function', value);
  }
  for (const [field, value] of Object.entries({ maxRounds, threshold, stalledRounds })) {
    const least = field === 'threshold' ? 0 : 1;
    if (!Number.isInteger(value) || value < least) throw new ConfigError(field, `an integer from ${least}`, value);
  }
}
