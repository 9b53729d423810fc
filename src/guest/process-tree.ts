/**
 * A folder of traces as a tree of processes: a file for each, whose forks name their children. Or one trace as a process alone.
 *
 * Everything is read once before anything is run: a tree that lacks a child is refused whole.
 */
import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';

import { ConfigError, InputError } from '../errors.ts';
import type { EngineChoice } from '../machine/options.ts';
import { openTrace } from '../trace/open.ts';
import { forkLine } from './fork-line.ts';
import { ImageCensus, type Segment } from './program-image.ts';

const TRACE = /^(.+?)\.(?:lackey|pwt)(?:\.gz)?$/;
const ENDING = /(?<=.)(?:\.[a-z0-9]+)?(?:\.gz)?$/i;

/** One process: its trace, and what is known of it beforehand. */
export interface TracedProcess {
  readonly name: string;
  readonly file: string;
  readonly pid: number;
  readonly accesses: number;
  /** What its program occupies when it starts. */
  readonly segments: readonly Segment[];
  /** In the order of their forks. */
  readonly children: readonly TracedProcess[];
}

/** What a run has to know of a tree: plain data. */
export interface TracedTree {
  readonly root: TracedProcess;
  /** Accesses of all processes. */
  readonly accesses: number;
}

/** Where a fork is in its trace. */
interface Fork {
  readonly child: number;
  readonly access: number;
}

interface Found {
  readonly name: string;
  readonly file: string;
  readonly pid: number;
  readonly accesses: number;
  readonly segments: readonly Segment[];
  readonly forks: readonly Fork[];
}

const ALONE = 1; // the process of a trace that names none

export class ProcessTree implements TracedTree {
  readonly root: TracedProcess;
  readonly accesses: number;

  private constructor(root: TracedProcess, accesses: number) {
    this.root = root;
    this.accesses = accesses;
  }

  /**
   * Read the traces of a folder: all files called NAME.lackey or NAME.pwt, gzipped or not.
   *
   * @throws InputError - a trace cannot be read; lacks a child, with the file and line of its fork; or there is more than one tree
   * @throws ConfigError - the folder has no traces
   */
  static async load(dir: string, engine?: EngineChoice): Promise<ProcessTree> {
    const files = await readdir(dir).catch(() => { throw new ConfigError('dir', 'a folder that can be read', dir); });
    const traces = files.filter(file => TRACE.test(file)).sort();
    if (traces.length === 0) throw new ConfigError('dir', 'a folder with traces (NAME.lackey, NAME.pwt, gzipped or not)', dir);
    const found = new Map<number, Found>();
    for (const file of traces) {
      const process = identified(await survey(join(dir, file), TRACE.exec(file)![1], engine)), other = found.get(process.pid);
      if (other !== undefined) throw new InputError(process.file, 'start', `a process that no other trace has (${other.file})`, `process ${process.pid}`);
      found.set(process.pid, process);
    }
    return new ProcessTree(await grow(found), [...found.values()].reduce((sum, { accesses }) => sum + accesses, 0));
  }

  /**
   * Read one trace, of any format: a process alone, whose children end when they are forked.
   *
   * @throws InputError - the trace cannot be read
   */
  static async alone(file: string, engine?: EngineChoice): Promise<ProcessTree> {
    const { forks: _, pid = ALONE, ...process } = await survey(file, basename(file).replace(ENDING, ''), engine);
    return new ProcessTree({ ...process, pid, children: [] }, process.accesses);
  }

  /** Read a folder of traces, or one. @throws InputError, ConfigError */
  static async open(path: string, engine?: EngineChoice): Promise<ProcessTree> {
    const info = await stat(path).catch(() => undefined);
    return info?.isDirectory() === true ? ProcessTree.load(path, engine) : ProcessTree.alone(path, engine);
  }
}

/** What was found in a trace, which may not tell whose it is. */
type Surveyed = Omit<Found, 'pid'> & { readonly pid: number | undefined };

/** Read a trace to its end. */
async function survey(file: string, name: string, engine: EngineChoice | undefined): Promise<Surveyed> {
  const reader = await openTrace(file, { engine }), census = new ImageCensus(), forks: Fork[] = [];
  let pid: number | undefined, accesses = 0;
  for (let batch = await reader.next(); batch !== undefined; batch = await reader.next()) {
    census.add(batch);
    for (const event of batch.events) {
      pid ??= event.pid;
      if (event.child !== undefined) forks.push({ child: event.child, access: accesses + event.at });
    }
    accesses += batch.count;
  }
  return { name, file, pid, accesses, segments: census.segments(), forks };
}

function identified(found: Surveyed): Found {
  const { file, pid } = found;
  if (pid === undefined) throw new InputError(file, 'end', 'a system call, which tells whose trace it is', 'none');
  return { ...found, pid };
}

/** Put the processes together. */
async function grow(found: ReadonlyMap<number, Found>): Promise<TracedProcess> {
  const children = new Set<number>();
  for (const { file, pid, forks } of found.values()) for (const [at, fork] of forks.entries()) {
    const { child } = fork, isThere = found.has(child);
    if (isThere && !children.has(child) && child !== pid) {
      children.add(child);
      continue;
    }
    const line = await forkLine(file, fork, forks.slice(0, at + 1).filter(other => other.child === child).length);
    if (!isThere) throw new InputError(file, line, `a trace of process ${child}, which is forked here`, 'none in its folder');
    throw new InputError(file, line, 'a process that is forked once', `process ${child}`);
  }
  const roots = [...found.values()].filter(({ pid }) => !children.has(pid));
  if (roots.length !== 1) throw new InputError([...found.values()][0].file, 'start', 'one process that no other forked', roots.length === 0 ? 'none' : roots.map(({ file }) => file).join(', '));
  const tree = branch(found, roots[0]), lost = [...found.values()].find(({ pid }) => !reaches(tree, pid));
  if (lost !== undefined) throw new InputError(lost.file, 'start', `a descendant of process ${tree.pid}`, `process ${lost.pid}, its own ancestor`);
  return tree;
}

const reaches = (tree: TracedProcess, pid: number): boolean => tree.pid === pid || tree.children.some(child => reaches(child, pid));

function branch(found: ReadonlyMap<number, Found>, { forks, ...process }: Found): TracedProcess {
  return { ...process, children: forks.map(({ child }) => branch(found, found.get(child)!)) };
}
