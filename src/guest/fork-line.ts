/** Finds the line of a fork in a trace, for a message. */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { createGunzip } from 'node:zlib';

const GZIP = /\.gz$/;
const LACKEY = /\.lackey(?:\.gz)?$/;

/** @param nth - of the forks of this child, from 1 @returns `line N` of a text; of a trace without lines, before which access the fork is */
export async function forkLine(file: string, fork: { readonly child: number; readonly access: number }, nth: number): Promise<string> {
  const before = `access ${fork.access}`;
  if (!LACKEY.test(file)) return before;
  const raw = createReadStream(file), input = GZIP.test(file) ? raw.pipe(createGunzip()) : raw;
  const wanted = new RegExp(` created child ${fork.child} *$`);
  let line = 0, found = 0;
  try {
    for await (const text of createInterface({ input, crlfDelay: Infinity })) {
      line++;
      if (wanted.test(text) && ++found === nth) return `line ${line}`;
    }
    return before;
  } finally {
    raw.destroy();
  }
}
