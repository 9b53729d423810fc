/** The native limit: compiled with the flags of its README, run as a process of its own. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { STREAMS, type Stream, type StreamCounts } from './limit-work.ts';

const FLAGS = ['-O3', '-march=native', '-fno-pie', '-no-pie', '-fno-strict-aliasing'];
const COMPILERS = ['gcc', 'cc', 'clang'];
const REPETITIONS = 3;

export class Native {
  readonly command: string;
  private readonly folder = mkdtempSync(join(tmpdir(), 'pagewalk-limit-'));

  /** @throws if no compiler of the usual names takes it */
  private constructor(source: string) {
    const compiler = COMPILERS.find(name => {
      try {
        execFileSync(name, [...FLAGS, join(source, 'limit.c'), '-o', join(this.folder, 'limit')], { stdio: 'pipe' });
        return true;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
        throw error;
      }
    });
    if (compiler === undefined) throw new Error('no C compiler');
    this.command = `${compiler} ${FLAGS.join(' ')} limit.c`;
  }

  /** Compile it; undefined without a source or a compiler, after saying so. @param source - its folder */
  static find(source: string): Native | undefined {
    if (existsSync(join(source, 'limit.c'))) {
      try {
        return new Native(source);
      } catch (error) {
        console.error(`without the native limit: ${(error as Error).message}`);
      }
    } else console.error(`without the native limit: no ${join(source, 'limit.c')}`);
    return undefined;
  }

  /** Nanoseconds an operation by limit.c's names (A0, B0, Call ...), one process. @param n - accesses a stream */
  run(n: number): Map<string, number> {
    return new Map([...this.output(n, [String(REPETITIONS)]).matchAll(/^(\w+) ([\d.]+)$/gm)].map(([, name, ns]) => [name!, Number(ns)]));
  }

  counts(): Record<Stream, StreamCounts> {
    const text = this.output(1000, ['1', 'counts']);
    const rows = [...text.matchAll(/^# s(\d) ck (\w+) l1 (\d+) l2 (\d+) walks (\d+) refs (\d+) faults (\d+) cyc (\d+)$/gm)];
    return Object.fromEntries(rows.map(([, s, checksum, ...numbers]) => {
      const [l1, l2, walks, references, faults, cycles] = numbers.map(Number);
      return [STREAMS[Number(s)], { checksum, l1, l2, walks, references, faults, cycles }];
    })) as unknown as Record<Stream, StreamCounts>;
  }

  private output(n: number, args: readonly string[]): string {
    return execFileSync(join(this.folder, 'limit'), args, { env: { ...process.env, NT: String(n) }, encoding: 'utf8' });
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }
}
