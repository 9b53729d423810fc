/** Text into a file that a user named: whole or not at all. */
import { constants } from 'node:fs';
import { access, writeFile } from 'node:fs/promises';
import { ConfigError } from '../errors.ts';
import { targetFile, type TargetFile } from '../trace/target-file.ts';

/**
 * Find out whether a file can be written, before there is anything to write: its folder takes a file beside it, which is removed again.
 *
 * @param name - undefined: there is no such file to write @param option - what named the file @throws ConfigError - it cannot be written
 */
export async function checkWritable(name: string | undefined, option: string): Promise<void> {
  if (name === undefined) return;
  await attempt(name, option, async (file) => {
    if (file.path === name) await access(name, constants.W_OK); // a device or a pipe
    else await writeFile(file.path, '', { flag: 'wx' });
    await file.discard();
  });
}

/** @param option - what named the file @throws ConfigError - the file cannot be written; it is then as it was */
export async function writeWhole(name: string, option: string, text: string): Promise<void> {
  await attempt(name, option, async (file) => {
    await writeFile(file.path, text);
    await file.commit();
  });
}

/** Write the page of `--html`, after the results were printed: they are not lost if it cannot be. @param say - told where it is @throws ConfigError */
export async function writeReport(name: string | undefined, page: () => string, say: ((text: string) => void) | undefined): Promise<void> {
  if (name === undefined) return;
  await writeWhole(name, '--html', page());
  say?.(`Report: ${name}`);
}

/** @throws ConfigError - of whatever was thrown on the way */
async function attempt(name: string, option: string, work: (file: TargetFile) => Promise<void>): Promise<void> {
  if (name === '-') throw new ConfigError(option, 'the name of a file', name);
  try {
    const file = await targetFile(name);
    try {
      await work(file);
    } catch (error) {
      await file.discard();
      throw error;
    }
  } catch (error) {
    throw new ConfigError(option, 'a file that can be written', `${name} (${(error as NodeJS.ErrnoException).code ?? String(error)})`);
  }
}
