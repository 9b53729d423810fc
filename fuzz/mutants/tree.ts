/** A copy of the project in a temporary folder, in which one mutant at a time is put, built and tried. */
import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { InputError } from '../../src/errors.ts';
import type { Mutant } from './mutant.ts';

const PARTS = ['src', 'wasm', 'test', 'fuzz', 'bench', 'scripts', 'package.json', 'tsconfig.json', 'vitest.config.ts', 'README.md', 'CHANGELOG.md', 'LICENSE'];
const MOST_OUTPUT = 64 * 2 ** 20;

/** How a command ended. */
export interface Ended {
  readonly status: 'passed' | 'failed' | 'hung';
  readonly code: number | null;
  readonly output: string;
}

/** The text of a file with the mutant in it. @throws InputError - what it looks for is not there exactly once */
export function mutated(text: string, { file, rule, find, replace }: Mutant): string {
  const times = text.split(find).length - 1;
  if (times !== 1) throw new InputError(file, `mutant "${rule}"`, `its text once`, `${times} times`);
  return text.replace(find, () => replace);
}

export class Tree {
  readonly path: string;
  private readonly folder: string;

  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), 'pagewalk-mutant-'));
    this.path = join(this.folder, 'tree');
    mkdirSync(this.path);
    for (const part of PARTS) cpSync(part, join(this.path, part), { recursive: true });
    symlinkSync(realpathSync('node_modules'), join(this.path, 'node_modules'));
    if (existsSync('../shared')) symlinkSync(resolve('../shared'), join(this.folder, 'shared'));
    const config = join(this.path, 'tsconfig.json'); // what a mutant leaves unused is no reason to notice it
    writeFileSync(config, readFileSync(config, 'utf8').replaceAll(/"noUnused(Locals|Parameters)": true/g, '"noUnused$1": false'));
  }

  put(mutant: Mutant): void {
    writeFileSync(join(this.path, mutant.file), mutated(readFileSync(mutant.file, 'utf8'), mutant));
  }

  restore({ file }: Mutant): void {
    cpSync(file, join(this.path, file));
    cpSync('wasm/pagewalk.wasm', join(this.path, 'wasm/pagewalk.wasm'));
  }

  /** What compiled fuzzing needs besides its modules. */
  finishBuild(): void {
    for (const file of ['wasm/pagewalk.wasm', 'package.json']) cpSync(join(this.path, file), join(this.path, 'build/fuzz', file));
  }

  /** Run a command in the copy. */
  run(command: string, args: readonly string[], seconds: number): Promise<Ended> {
    return new Promise(done => {
      const child = execFile(command, args, { cwd: this.path, maxBuffer: MOST_OUTPUT, env: { ...process.env, CI: 'true' }, timeout: seconds * 1000, killSignal: 'SIGKILL' }, (error, out, err) => {
        done({ status: error === null ? 'passed' : child.signalCode === 'SIGKILL' ? 'hung' : 'failed', code: child.exitCode, output: out + err });
      });
    });
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
