/** JSON that a user wrote, in a file. */
import { readFileSync } from 'node:fs';
import { InputError } from '../errors.ts';

/**
 * @param what - that should be in it, for messages
 * @throws InputError - the file cannot be read; or is not JSON: with the line
 */
export function readJson(path: string, what: string): unknown {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new InputError(path, 'file', `a readable JSON file with ${what}`, (error as NodeJS.ErrnoException).code ?? String(error));
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new InputError(path, lineOf(text), 'JSON', (error as Error).message.replace(/\s+/g, ' '));
  }
}

/** Line of a JSON syntax error: the first at which the text so far is wrong and not merely unfinished. */
function lineOf(text: string): string {
  const lines = text.split('\n');
  for (let n = 1; n < lines.length; n++) {
    const start = lines.slice(0, n).join('\n');
    try {
      JSON.parse(start);
    } catch (error) {
      const { message } = error as Error, position = /position (\d+)/.exec(message);
      const unfinished = /Unexpected end|Unterminated string/.test(message) || (position !== null && Number(position[1]) >= start.length);
      if (!unfinished) return `line ${n}`;
    }
  }
  return `line ${lines.length}`;
}
