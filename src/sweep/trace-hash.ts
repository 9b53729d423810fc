/** What identifies a trace wherever it lies and whenever it was copied there: its bytes as stored. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { InputError } from '../errors.ts';

const CHUNK = 1 << 20;

/**
 * @param onBytes - called with the number of each few bytes read
 * @returns SHA-256 in hexadecimal
 * @throws InputError - the file cannot be read
 */
export async function traceHash(path: string, onBytes: (bytes: number) => void): Promise<string> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: CHUNK }) as AsyncIterable<Buffer>) {
      hash.update(chunk);
      onBytes(chunk.length);
    }
  } catch (error) {
    throw new InputError(path, 'open', 'a file that can be read', (error as NodeJS.ErrnoException).code ?? String(error));
  }
  return hash.digest('hex');
}
