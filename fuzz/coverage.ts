/**
 * Which parts of the code under test have run, by V8's own precise coverage of blocks. In its binary form a function is told of again only when more of it
 * has run, so that asking costs little: half a millisecond.
 */
import { Session, type Profiler } from 'node:inspector';

/** Modules under test: of the sources, wherever they were compiled to. */
const UNDER_TEST = /\/src\/(?!.*node_modules)/;

export class Coverage {
  private readonly session = new Session();
  private readonly blocks = new Set<string>();

  constructor() {
    this.session.connect();
    this.session.post('Profiler.enable');
    this.session.post('Profiler.startPreciseCoverage', { callCount: false, detailed: true });
  }

  /** Blocks that have run since it was asked first. */
  get size(): number {
    return this.blocks.size;
  }

  /** @returns how many blocks have run for the first time since it was asked last */
  take(): number {
    const before = this.blocks.size;
    this.session.post('Profiler.takePreciseCoverage', (error: Error | null, { result }: Profiler.TakePreciseCoverageReturnType) => {
      if (error) throw error;
      for (const { url, functions } of result) if (UNDER_TEST.test(url)) this.add(url, functions);
    });
    return this.blocks.size - before;
  }

  private add(url: string, functions: readonly Profiler.FunctionCoverage[]): void {
    for (const { ranges } of functions) {
      for (const { startOffset, endOffset, count } of ranges) if (count > 0) this.blocks.add(`${url}:${startOffset}:${endOffset}`);
    }
  }

  stop(): void {
    this.session.post('Profiler.stopPreciseCoverage');
    this.session.disconnect();
  }
}
