/** Text into a file that a user named: whole or not at all. */
import { writeFile } from 'node:fs/promises';
import { ConfigError } from '../errors.ts';
import { targetFile } from '../trace/target-file.ts';

/** @param option - what named the file @throws ConfigError - the file cannot be written; it is then as it was */
export async function writeWhole(name: string, option: string, text: string): Promise<void> {
  if (name === '-') throw new ConfigError(option, 'the name of a file', name);
  try {
    const file = await targetFile(name);
    try {
      await writeFile(file.path, text);
      await file.commit();
    } catch (error) {
      await file.discard();
      throw error;
    }
  } catch (error) {
    throw new ConfigError(option, 'a file that can be written', `${name} (${(error as NodeJS.ErrnoException).code ?? String(error)})`);
  }
}
