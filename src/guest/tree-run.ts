/** Replays a tree of processes on a kernel: their accesses, system calls and forks, one process at a time, each as far as it waits. */
import type { AccessColumns } from '../machine/columns.ts';
import { BATCH_CAPACITY, type AccessBatch } from '../trace/batch.ts';
import { openTrace, type OpenOptions } from '../trace/open.ts';
import { Contents, hashOf } from './contents.ts';
import { exec, exit, fork, type Image } from './fork.ts';
import type { Kernel } from './kernel.ts';
import type { Mm } from './mm.ts';
import { Process } from './process.ts';
import type { TracedProcess, TracedTree } from './process-tree.ts';
import { callOf } from './recorded-call.ts';
import { serveCall } from './system-call.ts';
import { UserMode } from './user-mode.ts';

/** What became of a process. */
export interface ProcessEnd {
  readonly name: string;
  readonly pid: number;
  readonly accesses: number;
  /** Hash of all faults that its kernel was told of: which access, address, error code. */
  readonly faults: string;
  /** Hash of its memory at its end. */
  readonly memory: string;
  /** Accesses that were refused: there was nothing, or it was not permitted. */
  readonly refused: number;
}

/** Who is told of what a run does. */
export interface RunObserver {
  /** Something has just been finished. */
  finished(what: 'fork' | 'exec' | 'exit'): void;
  /** So many accesses were made, of all processes; called now and then. */
  progress(accesses: number): void;
}

export class TreeRun {
  /** In the order of their ends. */
  readonly ends: ProcessEnd[] = [];
  private readonly k: Kernel;
  private readonly columns: AccessColumns;
  private readonly user: UserMode;
  private readonly withContents: boolean;
  private readonly open: OpenOptions;
  private readonly observer: RunObserver;

  constructor(k: Kernel, contents: boolean, open: OpenOptions, observer: RunObserver) {
    this.k = k;
    this.columns = k.p.machine.columns(BATCH_CAPACITY);
    this.user = new UserMode(k);
    this.withContents = contents;
    this.open = open;
    this.observer = observer;
  }

  /** Run all processes to their ends. */
  async run(tree: TracedTree): Promise<void> {
    const { k } = this, { root } = tree;
    await this.process(new Process(root, exec(k, undefined, this.image(root), root.pid), this.contentsOf(root)));
    k.cache.dropAll();
  }

  private contentsOf({ pid }: TracedProcess): Contents | undefined {
    return this.withContents ? new Contents(pid) : undefined;
  }

  private image({ name, segments }: TracedProcess): Image {
    const base = segments[0]?.start ?? 0, file = this.k.cache.file(name);
    const areas = segments.map(({ start, end, prot, isStack }) => ({ start, end, prot, shared: false, file: isStack ? undefined : file, offset: isStack ? 0 : start - base }));
    return { areas, stackTop: (segments.find(segment => segment.isStack)?.end ?? 0) - 1 };
  }

  /** Run a process, and those that it forked, to their ends. */
  private async process(process: Process): Promise<void> {
    const reader = await openTrace(process.traced.file, this.open);
    try {
      for (let batch = await reader.next(); batch !== undefined; batch = await reader.next()) {
        await this.batch(process, batch);
        process.accesses += batch.count;
        this.observer.progress(this.k.figures.accesses);
      }
    } finally {
      await reader.close();
    }
    this.end(process);
    for (let child = process.awaited(undefined); child !== undefined; child = process.awaited(undefined)) await this.child(child);
  }

  private async batch(process: Process, batch: AccessBatch): Promise<void> {
    this.load(batch);
    let at = 0;
    for (const event of batch.events) {
      this.accesses(process, at, event.at);
      at = event.at;
      this.user.call();
      this.k.figures.countCall(event.name);
      const call = callOf(event);
      if (call.name === 'fork') this.fork(process, call.child);
      else if (call.name !== 'wait') serveCall(this.k, process.mm, call);
      else if (await this.wait(process, call.pid)) this.load(batch);
    }
    this.accesses(process, at, batch.count);
  }

  private load({ va, kind, size, count }: AccessBatch): void {
    const { columns } = this;
    columns.va.set(va.subarray(0, 2 * count));
    columns.kind.set(kind.subarray(0, count));
    columns.size.set(size.subarray(0, count));
  }

  private accesses(process: Process, from: number, to: number): void {
    this.user.run(process.mm, this.columns, from, to, process.contents, (at, address, code, reason) => process.fault(process.accesses + at, address, code, reason));
  }

  private fork(parent: Process, pid: number): void {
    const { k } = this, traced = parent.traced.children.find(child => child.pid === pid), mm = fork(k, parent.mm);
    this.observer.finished('fork');
    if (traced !== undefined) parent.waiting.push(new Process(traced, mm, this.contentsOf(traced)));
    else this.exit(mm); // of a trace alone, nothing is known of the child
  }

  /** @returns whether a child ran */
  private async wait(parent: Process, pid: number | undefined): Promise<boolean> {
    const child = parent.awaited(pid);
    if (child === undefined) return false;
    await this.child(child);
    this.k.switchTo(parent.mm);
    return true;
  }

  /** A child runs: first the copy of its parent, then the program that its trace begins with. */
  private async child(child: Process): Promise<void> {
    const { k } = this;
    k.switchTo(child.mm);
    child.mm = exec(k, child.mm, this.image(child.traced), child.traced.pid);
    this.observer.finished('exec');
    await this.process(child);
  }

  private end(process: Process): void {
    const { k } = this, { name, pid } = process.traced;
    if (this.user.stop()) k.figures.countCall('exit_group');
    this.ends.push({
      name, pid, accesses: process.accesses, faults: (process.faultHash >>> 0).toString(16), memory: hashOf(k, process.mm, process.contents),
      refused: process.faults.refused,
    });
    this.exit(process.mm);
  }

  private exit(mm: Mm): void {
    exit(this.k, mm);
    this.observer.finished('exit');
  }
}
