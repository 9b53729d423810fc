/** A file that appears whole under its name or not at all. */
import { rmSync } from 'node:fs';
import { realpath, rename, rm, stat } from 'node:fs/promises';

/** Numbers temporary files, so that two writers of one target do not meet in them. */
let made = 0;

/** Temporary files that exist now, for `discardTargets()`. */
const pending = new Set<string>();

export interface TargetFile {
  /** Where to write: a new temporary file beside the target, or the target itself if that is a device or a pipe. */
  readonly path: string;
  /** How to open it: a temporary file must be new; standard output is open already. */
  readonly open: { readonly flags: 'wx' | 'w' } | { readonly fd: 1; readonly autoClose: false };
  /** Give what was written its name. */
  commit(): Promise<void>;
  /** Remove what was written. */
  discard(): Promise<void>;
}

/**
 * Prepare to write `name`, `-` for standard output. A link is followed: what it points at is replaced, not the link. A device or pipe is written through.
 *
 * @throws the system's error, for a folder or a path that cannot be looked at
 */
export async function targetFile(name: string): Promise<TargetFile> {
  const nothing = { commit: async () => {}, discard: async () => {} };
  if (name === '-') return { path: name, open: { fd: 1, autoClose: false }, ...nothing };
  const there = await stat(name).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (there?.isDirectory()) throw Object.assign(new Error('EISDIR: is a folder'), { code: 'EISDIR', syscall: 'open' }); // as open(2) would, which comes late
  if (there && !there.isFile()) return { path: name, open: { flags: 'w' }, ...nothing };
  const real = there ? await realpath(name) : name;
  const path = `${real}.${process.pid}-${++made}.tmp`;
  pending.add(path);
  const discard = async (): Promise<void> => {
    await rm(path, { force: true }).catch(() => undefined);
    pending.delete(path);
  };
  const commit = async (): Promise<void> => {
    await rename(path, real);
    pending.delete(path);
  };
  return { path, open: { flags: 'wx' }, commit, discard };
}

/** Remove every temporary file at once: for the end of a program that is interrupted. */
export function discardTargets(): void {
  for (const path of pending) rmSync(path, { force: true });
  pending.clear();
}
