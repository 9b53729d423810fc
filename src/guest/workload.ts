/**
 * Synthetic processes: accesses of a pattern, and between them changes of page tables, as many an access as one likes.
 *
 * Patterns: `chase` loads a word of each page of the working set in a random order, again and again; `stream` stores 8 bytes after 8 bytes.
 * Changes: `protect` takes the right to store from some pages and gives it back, and they are stored to; `guard` takes all rights and gives them
 * back, as a garbage collector does, and nothing faults in between; `map` maps pages, stores to each and unmaps them, as a driver does with the
 * pages of its ring; `fork` makes a process that runs a program of a few pages and ends.
 */
import { ConfigError } from '../errors.ts';
import type { AccessColumns } from '../machine/columns.ts';
import { mulberry32, sattolo } from '../trace/chase.ts';
import { buildKernel, type BuildOptions, type BuiltKernel } from './built-kernel.ts';
import { cycleAccount, subtract, totalCycles, type CycleAccount } from './cycle-account.ts';
import { estimatedCycles } from './estimated-cycles.ts';
import { exec, exit, fork, type Image } from './fork.ts';
import { map, protect, unmap } from './mapping-calls.ts';
import type { Mm } from './mm.ts';
import { hiOf, loOf, PAGE_BYTES } from './platform.ts';
import { figuresOf, type KernelFigures } from './run-tree.ts';
import { UserMode } from './user-mode.ts';
import { PROT_READ, PROT_WRITE, type Vma } from './vma.ts';

export const PATTERNS = ['chase', 'stream'] as const;
export const CHANGES = ['protect', 'guard', 'map', 'fork'] as const;

export interface WorkloadOptions extends BuildOptions {
  readonly pattern?: (typeof PATTERNS)[number];
  readonly change?: (typeof CHANGES)[number];
  /** Accesses of the pattern. Default 1,000,000. */
  readonly accesses?: number;
  /** Pages that it goes over. Default 1024. */
  readonly workingSet?: number;
  /** Accesses between two changes; 0: no changes. Default 1000. */
  readonly interval?: number;
  /** Pages of a change by all but `fork`; by `protect` and `guard` all of `workingSet` at most. Default 16. */
  readonly batch?: number;
}

/** What a stretch of a workload came to. */
export interface WorkloadStretch {
  /** Level-1 entries changed for each access of the pattern, and cycles of all causes. */
  readonly updatesPerAccess: number;
  readonly cyclesPerAccess: number;
  readonly measured: CycleAccount;
  /** Of them those that are counts times estimated prices, of the kernel's work and the hypervisor's. */
  readonly estimated: CycleAccount;
}

/** What a workload came to, after its pages were touched once. */
export interface WorkloadFigures extends KernelFigures, WorkloadStretch {}

const HEAP = 0x40000, RING = 0x100000, STACK = 0x7fff00000; // pages
const RW = PROT_READ | PROT_WRITE;
const LOAD = 0, STORE = 1;
const CHUNK = 4096; // accesses of one batch
const WORD = 8;
const MOST_PAGES = 2 ** 18;
const MOST_ACCESSES = 2 ** 40;
const SEED = 1; // of the chase's order

const area = (start: number, pages: number): Vma => ({ start, end: start + pages, prot: RW, shared: false, file: undefined, offset: 0 });

/** A process and its pattern, for as many stretches as one likes. Its pages have been touched once. */
export class Workload {
  private made = 0; // accesses of the pattern
  private readonly built: BuiltKernel;
  private readonly o: Required<Pick<WorkloadOptions, 'pattern' | 'change' | 'workingSet' | 'batch'>>;
  private readonly columns: AccessColumns;
  private readonly user: UserMode;
  private readonly mm: Mm;
  /** The page that a chase loads from after each, and the one that is next: all pages are on one cycle. */
  private readonly following: Int32Array;
  private page = 0;
  private readonly small: Image = { areas: [area(HEAP, 8), area(STACK, 8)], stackTop: STACK + 7 };

  /** @throws ConfigError - an option, or there is too little memory */
  constructor(options: WorkloadOptions) {
    const { pattern = 'chase', change = 'protect' } = options;
    if (!PATTERNS.includes(pattern)) throw new ConfigError('pattern', PATTERNS.join(', '), pattern);
    if (!CHANGES.includes(change)) throw new ConfigError('change', CHANGES.join(', '), change);
    const workingSet = integer(options.workingSet ?? 1024, 'workingSet', 1, MOST_PAGES), batch = integer(options.batch ?? 16, 'batch', 1, MOST_PAGES);
    const built = buildKernel(options);
    this.built = built;
    this.o = { pattern, change, workingSet, batch };
    this.columns = built.kernel.p.machine.columns(CHUNK);
    this.user = new UserMode(built.kernel);
    this.following = sattolo(workingSet, mulberry32(SEED));
    this.mm = exec(built.kernel, undefined, { areas: [area(HEAP, workingSet), area(STACK, 8)], stackTop: STACK + 7 }, 1);
    this.store(this.mm, HEAP, workingSet);
  }

  /** Make accesses, with a change after every `interval` but the last. @throws ConfigError - numbers that cannot be */
  stretch(accesses: number, interval: number): WorkloadStretch {
    integer(accesses, 'accesses', 1, MOST_ACCESSES);
    integer(interval, 'interval', 0, MOST_ACCESSES);
    const { figures } = this.built.kernel, before = cycleAccount(this.built), guessed = estimatedCycles(this.built, before), { entries } = figures;
    this.run(this.made + accesses, interval);
    const after = cycleAccount(this.built), measured = subtract(after, before), estimated = subtract(estimatedCycles(this.built, after), guessed);
    return { measured, estimated, updatesPerAccess: (figures.entries - entries) / accesses, cyclesPerAccess: totalCycles(measured) / accesses };
  }

  /** Go over all pages once, as the pattern does: what the changes so far leave to do when a page is used again is done then. */
  lap(): void {
    const { pattern, workingSet } = this.o;
    if (pattern === 'stream') this.store(this.mm, HEAP, workingSet);
    else this.run(this.made + workingSet, 0);
  }

  /** The process ends. @returns all that its kernel did */
  end(): KernelFigures {
    this.user.call();
    this.built.kernel.figures.countCall('exit_group');
    exit(this.built.kernel, this.mm);
    return figuresOf(this.built);
  }

  private run(accesses: number, interval: number): void {
    while (this.made < accesses) {
      const next = interval === 0 ? accesses : Math.min(accesses, this.made + interval);
      while (this.made < next) this.pattern(Math.min(CHUNK, next - this.made));
      if (interval !== 0 && this.made < accesses) this.change();
    }
  }

  private put(i: number, address: number, kind: number): void {
    const { va, kind: kinds, size } = this.columns;
    va[2 * i] = loOf(address);
    va[2 * i + 1] = hiOf(address);
    kinds[i] = kind;
    size[i] = WORD;
  }

  private pattern(many: number): void {
    const { pattern, workingSet } = this.o, bytes = workingSet * PAGE_BYTES;
    for (let i = 0; i < many; i++, this.made++) {
      if (pattern === 'stream') this.put(i, HEAP * PAGE_BYTES + (this.made * WORD) % bytes, STORE);
      else {
        this.put(i, (HEAP + this.page) * PAGE_BYTES + (this.made % 64) * WORD, LOAD);
        this.page = this.following[this.page];
      }
    }
    this.user.run(this.mm, this.columns, 0, many, undefined, ignore);
  }

  /** Store to each of some pages. */
  private store(mm: Mm, first: number, pages: number): void {
    for (let done = 0; done < pages;) {
      const many = Math.min(CHUNK, pages - done);
      for (let i = 0; i < many; i++) this.put(i, (first + done + i) * PAGE_BYTES, STORE);
      this.user.run(mm, this.columns, 0, many, undefined, ignore);
      done += many;
    }
  }

  private change(): void {
    const { mm, built: { kernel: k } } = this, { change, batch, workingSet } = this.o, { figures } = k;
    this.user.call();
    if (change === 'fork') return this.program();
    const pages = change === 'map' ? batch : Math.min(batch, workingSet), start = change === 'map' ? RING : HEAP;
    figures.countCall(change === 'map' ? 'mmap' : 'mprotect');
    if (change === 'map') {
      map(k, mm, area(start, pages));
    } else {
      protect(k, mm, start, start + pages, change === 'guard' ? 0 : PROT_READ);
      this.user.call();
      figures.countCall('mprotect');
      protect(k, mm, start, start + pages, RW);
    }
    if (change === 'guard') return;
    this.store(mm, start, pages);
    if (change !== 'map') return;
    this.user.call();
    figures.countCall('munmap');
    unmap(k, mm, start, start + pages);
  }

  /** A child that runs a program, and is waited for. */
  private program(): void {
    const { mm, built: { kernel: k } } = this;
    for (const name of ['fork', 'wait4', 'execve', 'exit_group']) k.figures.countCall(name);
    const child = fork(k, mm);
    this.user.call(); // wait4
    k.switchTo(child);
    this.user.call(); // execve
    const program = exec(k, child, this.small, 2);
    this.store(program, HEAP, 8);
    this.user.call();
    exit(k, program);
    k.switchTo(mm);
  }
}

const ignore = (): void => {
  // The kernel counts faults; none is refused.
};

function integer(value: number, field: string, least: number, most: number): number {
  if (!Number.isInteger(value) || value < least || value > most) throw new ConfigError(field, `an integer from ${least} to ${most}`, value);
  return value;
}

/** Run a workload. @throws ConfigError - an option, or there is too little memory */
export function runWorkload(options: WorkloadOptions): WorkloadFigures {
  const workload = new Workload(options), stretch = workload.stretch(options.accesses ?? 1_000_000, options.interval ?? 1000);
  return { ...workload.end(), ...stretch };
}
