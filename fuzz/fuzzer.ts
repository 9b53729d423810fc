/** Inputs for one target, one after the other, in one thread: those that do something new are kept, and others made of them. */
import { Coverage } from './coverage.ts';
import { foundBy, type Found } from './finding.ts';
import { hashOf, type Input } from './input.ts';
import { Mutator } from './mutator.ts';
import { shrink } from './shrink.ts';
import { Notes, type Target } from './target.ts';

const COVERAGE_MS = 20; // of inputs between two looks at it, at least
const COVERAGE_SHARE = 32; // ... and so many times what a look takes
const MOST_CREDITED = 8; // inputs that are kept for what one of them did

export interface FuzzerOptions {
  readonly seed: number;
  /** What it begins with. */
  readonly corpus: readonly Input[];
  /** By blocks of code too, not by what targets note alone. Default true. */
  readonly coverage?: boolean;
  /** Milliseconds for making a finding smaller. */
  readonly shrinkMs?: number;
  /** Told of every input before it is run. */
  readonly onInput?: (input: Input) => void;
  readonly onKept?: (input: Input) => void;
  readonly onFound?: (found: Found) => void;
}

export interface Progress {
  operations: number;
  inputs: number;
  /** Blocks of code and notes that the inputs it began with had not reached. */
  fresh: number;
  /** Milliseconds, without those for making findings smaller. */
  ms: number;
}

export class Fuzzer {
  readonly progress: Progress = { operations: 0, inputs: 0, fresh: 0, ms: 0 };
  readonly findings: Found[] = [];
  private readonly target: Target;
  private readonly options: FuzzerOptions;
  private readonly mutator: Mutator;
  private readonly corpus: Input[] = [];
  private readonly known = new Set<string>();
  private readonly noted = new Set<number>();
  private readonly notes = new Notes();
  private readonly coverage: Coverage | undefined;
  private sinceLook: Input[] = [];
  private nextLook = 0;

  constructor(target: Target, options: FuzzerOptions) {
    this.target = target;
    this.options = options;
    this.mutator = new Mutator(target, options.seed);
    this.coverage = options.coverage === false ? undefined : new Coverage();
  }

  /** Run what it begins with, then new inputs until told to stop. */
  async run(isDone: (progress: Progress) => boolean): Promise<void> {
    this.coverage?.take();
    for (const input of this.options.corpus) {
      if (isDone(this.progress)) break;
      await this.try(input);
      this.keep(input);
    }
    this.look();
    this.progress.fresh = 0;
    while (!isDone(this.progress)) await this.try(this.mutator.next(this.corpus));
    this.look();
    this.coverage?.stop();
  }

  /** An input that another thread has found to be of use. */
  take(input: Input): void {
    if (this.known.has(hashOf(input))) return;
    this.known.add(hashOf(input));
    this.corpus.push(input);
  }

  private async try(input: Input): Promise<void> {
    const { progress, options, target } = this, start = performance.now();
    options.onInput?.(input);
    let found: Found | undefined;
    try {
      const made = target.run(input, this.notes, false);
      progress.operations += typeof made === 'number' ? made : await made;
    } catch (error) {
      found = foundBy(error, input);
    }
    progress.inputs++;
    this.judge(input);
    const now = performance.now();
    progress.ms += now - start;
    if (now > this.nextLook) this.look();
    if (found) await this.report(found);
  }

  private judge(input: Input): void {
    let fresh = 0;
    for (const note of this.notes.take()) {
      if (this.noted.has(note)) continue;
      this.noted.add(note);
      fresh++;
    }
    this.progress.fresh += fresh;
    if (fresh > 0) this.keep(input);
    else if (this.sinceLook.length < MOST_CREDITED) this.sinceLook.push(input);
  }

  /** Which of the last inputs made a new block run is not known: all are kept, which are few. */
  private look(): void {
    const start = performance.now(), fresh = this.coverage?.take() ?? 0;
    this.progress.fresh += fresh;
    if (fresh > 0) for (const input of this.sinceLook) this.keep(input);
    this.sinceLook = [];
    const end = performance.now();
    this.nextLook = end + Math.max(COVERAGE_MS, COVERAGE_SHARE * (end - start));
  }

  private keep(input: Input): void {
    if (this.known.has(hashOf(input))) return;
    this.take(input);
    this.options.onKept?.(input);
  }

  private async report(found: Found): Promise<void> {
    if (this.findings.some(({ key }) => key === found.key)) return;
    this.findings.push(found);
    this.options.onFound?.(found);
    const { target, options } = this;
    const watched: Target = Object.create(target, { run: { value: (input: Input, notes: Notes, careful: boolean) => {
      options.onInput?.(input);
      return target.run(input, notes, careful);
    } } });
    const small = await shrink(watched, found, options.shrinkMs);
    this.notes.take();
    if (small === found) return;
    this.findings[this.findings.indexOf(found)] = { ...small, key: found.key };
    this.options.onFound?.({ ...small, key: found.key });
  }
}
