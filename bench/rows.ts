/** The rows of the table: every engine, called in every way, on every stream, in turn with the native limit. */
import type { Work } from './child.ts';
import { COUNTED, RECORDED, type Stream, type StreamCounts } from './limit-work.ts';
import { median } from './median.ts';
import type { Native } from './native.ts';
import type { Caller, Engine } from './rig.ts';
import { Subject } from './subject.ts';
import { VALIDATIONS } from './validate.ts';

/** Times are nanoseconds an access, of validations an entry; `limit_ns` and `ratio` are null without the native limit. */
export interface BenchRow {
  readonly engine: Engine;
  readonly caller: Caller;
  readonly stream: Work;
  readonly ns: number;
  readonly limit_ns: number | null;
  readonly ratio: number | null;
  /** limit.c's own calls, one an access, where this row is calls, too. */
  readonly callLimit: number | null;
}

/** What to measure. */
export interface Plan {
  readonly engines: readonly Engine[];
  readonly callers: readonly Caller[];
  readonly streams: readonly Work[];
  readonly native: Native | undefined;
  /** Runs of everything, in turn. */
  readonly runs: number;
  /** Accesses of a measurement. */
  readonly accesses: number;
}

/** limit.c's names of what is measured, and of the same made by calls. */
const LIMIT_NAMES: Record<Work, string> = { A0: 'A0', A1: 'A1', A2: 'A2', 'validate': 'Call', 'validate-half': 'Chalf', 'validate-fail': 'Cfail' };
const LIMIT_CALLS: Partial<Record<Work, string>> = { A0: 'B0', A1: 'B1', A2: 'B2' };

const isStream = (work: Work): work is Stream => !(VALIDATIONS as readonly Work[]).includes(work);

/** Tables are validated whole; the fast table is measured on its hits. */
function worksOf(caller: Caller, works: readonly Work[]): readonly Work[] {
  return caller === 'batch' ? works : works.filter(w => (caller === 'fast' ? w === 'A0' : isStream(w)));
}

// The counts may differ by this much of all accesses: limit.c fills empty ways in another order, and its paging-structure caches are first-in, first-out.
const TOLERANCE = 0.002;
// A #PF removes what is cached for its address, as the manual asks; limit.c keeps it. Here that is the only PDPTE, so two references a fault.
const REFERENCES_AFTER_FAULT = 2;

/** Does a subject do the work of limit.c? @throws Error - it does not */
function check({ engine, caller }: Subject, stream: Stream, got: StreamCounts, native: StreamCounts): void {
  const where = `${engine} ${caller} ${stream}`;
  if (got.checksum !== native.checksum) throw new Error(`${where}: other physical addresses than limit.c`);
  if (got.faults !== native.faults) throw new Error(`${where}: ${got.faults} faults, limit.c ${native.faults}`);
  if (caller === 'fast') return; // its hits are counted nowhere
  const expected = { ...native, references: native.references + REFERENCES_AFTER_FAULT * native.faults };
  for (const name of ['l1', 'l2', 'walks', 'references'] as const) {
    if (Math.abs(got[name] - expected[name]) > TOLERANCE * COUNTED) throw new Error(`${where}: ${name} ${got[name]}, expected ${expected[name]} as of limit.c`);
  }
}

/** Measure, after a check that every subject does what limit.c does. */
export async function measureRows({ engines, callers, streams, native, runs, accesses }: Plan): Promise<BenchRow[]> {
  const subjects: Subject[] = [];
  const times = new Map<string, { ours: number[]; limit: number[]; calls: number[] }>(), key = (s: Subject, work: Work) => `${s.engine} ${s.caller} ${work}`;
  try {
    for (const caller of callers) for (const engine of engines) subjects.push(await Subject.start(engine, caller, accesses));
    const counts = native?.counts() ?? RECORDED;
    for (const s of subjects) {
      for (const work of worksOf(s.caller, streams)) {
        times.set(key(s, work), { ours: [], limit: [], calls: [] });
        await s.measure(work); // warms up
        if (isStream(work)) check(s, work, await s.counts(work, counts[work]), counts[work]);
      }
    }
    for (let run = 0; run < runs; run++) {
      for (const s of subjects) {
        const limits = native?.run(accesses);
        for (const work of worksOf(s.caller, streams)) {
          const { ours, limit, calls } = times.get(key(s, work))!;
          ours.push(await s.measure(work));
          if (!limits) continue;
          limit.push(limits.get(LIMIT_NAMES[work])!);
          calls.push(limits.get(LIMIT_CALLS[work] ?? '') ?? NaN);
        }
      }
    }
  } finally {
    for (const s of subjects) s.stop();
  }
  return subjects.flatMap(s => worksOf(s.caller, streams).map(work => {
    const { ours, limit, calls } = times.get(key(s, work))!, ns = median(ours), limit_ns = native ? median(limit) : null;
    const callLimit = native && s.caller === 'call' ? median(calls) : null;
    return { engine: s.engine, caller: s.caller, stream: work, ns, limit_ns, ratio: limit_ns === null ? null : ns / limit_ns, callLimit };
  }));
}

/** The same work with one and with several machines alive in a process. Nanoseconds an access. */
export interface AliveRow {
  readonly engine: Engine;
  readonly caller: Caller;
  readonly stream: Stream;
  readonly one: number;
  readonly four: number;
}

export async function measureAlive({ engines, callers, streams, runs, accesses }: Plan): Promise<AliveRow[]> {
  const rows: AliveRow[] = [];
  for (const engine of engines) {
    for (const caller of callers) {
      const pair = [await Subject.start(engine, caller, accesses), await Subject.start(engine, caller, accesses, 4)] as const;
      try {
        for (const stream of streams.filter(isStream)) {
          const times: [number[], number[]] = [[], []];
          for (let run = -1; run < runs; run++) {
            const both = [await pair[0].measure(stream), await pair[1].measure(stream)];
            if (run >= 0) both.forEach((ns, k) => times[k]!.push(ns)); // the first warms up
          }
          rows.push({ engine, caller, stream, one: median(times[0]), four: median(times[1]) });
        }
      } finally {
        for (const s of pair) s.stop();
      }
    }
  }
  return rows;
}
