/** The rows of the table: every engine, called in every way, on every stream, in turn with the native limit. */
import { fork, type ChildProcess } from 'node:child_process';
import type { Question } from './child.ts';
import { COUNTED, type Stream } from './limit-work.ts';
import type { Native, NativeCounts } from './native.ts';
import type { Caller, Engine } from './rig.ts';

/** A row of `--json`. Times are nanoseconds an access; `limit_ns` and `ratio` are null without the native limit. */
export interface BenchRow {
  readonly engine: Engine;
  readonly caller: Caller;
  readonly stream: Stream;
  readonly ns: number;
  readonly limit_ns: number | null;
  readonly ratio: number | null;
}

export interface RowChoice {
  readonly engines: readonly Engine[];
  readonly callers: readonly Caller[];
  readonly streams: readonly Stream[];
}

export const ENGINES = ['wasm', 'ts'] as const satisfies readonly Engine[];
export const CALLERS = ['batch', 'call'] as const satisfies readonly Caller[];

// The counts may differ by this much of all accesses: limit.c fills empty ways in another order, and its paging-structure caches are first-in, first-out.
const TOLERANCE = 0.002;
// A #PF removes what is cached for its address, as the manual asks; limit.c keeps it. Here that is the only PDPTE, so two references a fault.
const REFERENCES_AFTER_FAULT = 2;

/** A child process with one rig. */
class Subject {
  readonly engine: Engine;
  readonly caller: Caller;
  private readonly child: ChildProcess;

  private constructor(engine: Engine, caller: Caller) {
    this.engine = engine;
    this.caller = caller;
    this.child = fork(new URL('./child.js', import.meta.url));
  }

  static async start(engine: Engine, caller: Caller, accesses: number, alive = 1): Promise<Subject> {
    const subject = new Subject(engine, caller);
    await subject.ask({ be: { engine, caller, accesses, alive } });
    return subject;
  }

  /** @throws Error - the child ended instead of answering */
  ask(question: Question): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const ended = () => reject(new Error(`the ${this.engine} ${this.caller} process ended`));
      this.child.once('exit', ended);
      this.child.once('message', answer => {
        this.child.off('exit', ended);
        resolve(answer);
      });
      this.child.send(question);
    });
  }

  stop(): void {
    this.child.kill();
  }
}

export const median = (of: readonly number[]): number => {
  const sorted = [...of].sort((a, b) => a - b), middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
};

/** Does a rig do the work of limit.c? @throws Error - it does not */
function check(subject: Subject, stream: Stream, got: NativeCounts, native: NativeCounts): void {
  const where = `${subject.engine} ${subject.caller} ${stream}`;
  if (got.checksum !== native.checksum) throw new Error(`${where}: other physical addresses than limit.c`);
  if (got.faults !== native.faults) throw new Error(`${where}: ${got.faults} faults, limit.c ${native.faults}`);
  const expected = { ...native, references: native.references + REFERENCES_AFTER_FAULT * native.faults };
  for (const name of ['l1', 'l2', 'walks', 'references'] as const) {
    if (Math.abs(got[name] - expected[name]) > TOLERANCE * COUNTED) throw new Error(`${where}: ${name} ${got[name]}, expected ${expected[name]} as of limit.c`);
  }
}

/** Measure. @param runs - of each row, in turn with the others and with the native limit @param accesses - of a run */
export async function measureRows(choice: RowChoice, native: Native | undefined, runs: number, accesses: number): Promise<BenchRow[]> {
  const subjects: Subject[] = [];
  try {
    for (const engine of choice.engines) for (const caller of choice.callers) subjects.push(await Subject.start(engine, caller, accesses));
    if (native) {
      const counts = native.counts();
      for (const s of subjects) for (const stream of choice.streams) check(s, stream, await s.ask({ count: stream, native: counts[stream] }) as NativeCounts, counts[stream]);
    }
    const times = new Map<string, number[]>(), note = (name: string, ns: number) => times.set(name, [...times.get(name) ?? [], ns]);
    for (const stream of choice.streams) {
      for (const s of subjects) await s.ask({ measure: stream }); // the first is not counted: it warms up
      for (let run = 0; run < runs; run++) {
        for (const s of subjects) {
          const limit = native?.run(accesses).get(stream);
          if (limit !== undefined) note(`limit ${s.engine} ${s.caller} ${stream}`, limit);
          note(`${s.engine} ${s.caller} ${stream}`, await s.ask({ measure: stream }) as number);
        }
      }
    }
    return subjects.flatMap(({ engine, caller }) => choice.streams.map(stream => {
      const ns = median(times.get(`${engine} ${caller} ${stream}`)!), limits = times.get(`limit ${engine} ${caller} ${stream}`);
      const limit_ns = limits ? median(limits) : null;
      return { engine, caller, stream, ns, limit_ns, ratio: limit_ns === null ? null : ns / limit_ns };
    }));
  } finally {
    for (const s of subjects) s.stop();
  }
}
