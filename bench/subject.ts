/** Child processes that measure, seen from the parent. */
import { fork, type ChildProcess } from 'node:child_process';
import type { Question, Work } from './child.ts';
import type { Stream, StreamCounts } from './limit-work.ts';
import type { Caller, Engine } from './rig.ts';

/** A child process with one engine called in one way. */
export class Subject {
  readonly engine: Engine;
  readonly caller: Caller;
  private readonly child: ChildProcess;

  private constructor(engine: Engine, caller: Caller, accesses: number, alive: number) {
    this.engine = engine;
    this.caller = caller;
    this.child = fork(new URL('./child.js', import.meta.url), [engine, caller, String(accesses), String(alive)]);
  }

  /** @param accesses - of a measurement @param alive - machines in the process, all of them at work in turn; the last is measured */
  static async start(engine: Engine, caller: Caller, accesses: number, alive = 1): Promise<Subject> {
    const subject = new Subject(engine, caller, accesses, alive);
    await subject.answer();
    return subject;
  }

  /** Nanoseconds an access, or an entry. */
  async measure(work: Work): Promise<number> {
    return await this.ask({ measure: work }) as number;
  }

  async counts(stream: Stream, native: StreamCounts): Promise<StreamCounts> {
    return await this.ask({ count: stream, native }) as StreamCounts;
  }

  private ask(question: Question): Promise<unknown> {
    this.child.send(question);
    return this.answer();
  }

  /** @throws Error - the child ended instead of answering */
  private answer(): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const ended = () => reject(new Error(`the ${this.engine} ${this.caller} process ended`));
      this.child.once('exit', ended);
      this.child.once('message', answer => {
        this.child.off('exit', ended);
        resolve(answer);
      });
    });
  }

  stop(): void {
    this.child.kill();
  }
}
