/** Runs the built command the way a user does. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export const project = fileURLToPath(new URL('../../', import.meta.url));
export const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));

export interface Outcome {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

export function pagewalk(args: readonly string[], input: string | Uint8Array = ''): Outcome {
  const done = spawnSync(process.execPath, [`${project}dist/cli/main.js`, ...args], { input, maxBuffer: 1 << 28 });
  return { status: done.status, out: done.stdout.toString(), err: done.stderr.toString() };
}
