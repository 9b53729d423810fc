/** The file that a sweep appends to, a line for each finished cell, and finds again when it is run again. */
import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import { open, readFile, stat } from 'node:fs/promises';
import { ConfigError, InputError } from '../errors.ts';
import { targetFile } from '../trace/target-file.ts';
import { lineText, parseLines, type FoundLine, type SweepIdentity } from './line.ts';

/** Finds the place in the plan, from 0, of the result with a key; undefined: in no place. */
export type PlaceOf = (key: string) => Promise<number | undefined>;

/** One process at a time may have a file open. */
export class Results {
  private readonly file: string;
  private readonly lines: Map<number, string>;
  private readonly handle: number;

  private constructor(file: string, lines: Map<number, string>) {
    this.file = file;
    this.lines = lines;
    this.handle = openFile(file);
  }

  /**
   * Open a file of results, new or begun. What is not as it should be is mended first, the file replaced as a whole: an unfinished last
   * line is dropped, lines that a shorter plan left get their places in this one.
   *
   * @throws InputError - it has lines of another version, of no cell of this plan, or that contradict each other
   * @throws ConfigError - it cannot be read or written, or is no plain file
   */
  static async open(file: string, identity: SweepIdentity, placeOf: PlaceOf): Promise<Results> {
    const text = await readText(file);
    closeSync(openFile(file)); // what cannot be written is told before anything is looked at for long
    const { lines: found } = parseLines(text, file, identity.pagewalk);
    const lines = new Map<number, FoundLine>();
    for (const line of found) {
      const place = await placeOf(line.line.key);
      if (place === undefined) {
        const { trace, run } = line.line;
        throw new InputError(file, `line ${line.number}`, 'a cell of this plan', `${run.cpu}, ${run.pages} on ${trace.name} of another plan, or of what has changed since`);
      }
      const kept = { ...line, text: lineText({ ...line.line, ...identity, cell: place + 1 }) }, before = lines.get(place);
      if (before && before.text !== kept.text) throw new InputError(file, `line ${line.number}`, `what line ${before.number} has for cell ${place + 1}`, 'another result');
      if (!before) lines.set(place, kept);
    }
    const kept = new Map([...lines].map(([place, line]) => [place, line.text]));
    const mended = [...kept.values()].join('');
    if (mended !== text) await replace(file, mended);
    return new Results(file, kept);
  }

  has(place: number): boolean {
    return this.lines.has(place);
  }

  /** Append the line of a cell: it is in the file, whole and safe, when this returns. @throws ConfigError - it cannot be written */
  add(place: number, line: string): void {
    const bytes = new TextEncoder().encode(line);
    io(this.file, () => {
      for (let at = 0; at < bytes.length;) at += writeSync(this.handle, bytes, at);
      fdatasyncSync(this.handle);
    });
    this.lines.set(place, line);
  }

  /** Bring the lines into the order of the plan, in which they are not if cells finished in another. */
  async settle(): Promise<void> {
    const places = [...this.lines.keys()], sorted = places.toSorted((a, b) => a - b);
    if (places.some((place, k) => place !== sorted[k])) await replace(this.file, sorted.map(place => this.lines.get(place)).join(''));
  }

  close(): void {
    closeSync(this.handle);
  }
}

async function readText(file: string): Promise<string> {
  try {
    const info = await stat(file);
    if (info.isFile()) return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw unusable(file, error);
  }
  throw new ConfigError('out', 'a plain file, which can be read again', file);
}

/** @throws ConfigError - the file cannot be written; it is then as it was */
async function replace(file: string, text: string): Promise<void> {
  try {
    const target = await targetFile(file);
    try {
      const handle = await open(target.path, 'wx');
      try {
        await handle.writeFile(text);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await target.commit();
    } catch (error) {
      await target.discard();
      throw error;
    }
  } catch (error) {
    throw unusable(file, error);
  }
}

const openFile = (file: string): number => io(file, () => openSync(file, 'a'));

function io<T>(file: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw unusable(file, error);
  }
}

function unusable(file: string, error: unknown): ConfigError {
  return new ConfigError('out', 'a file that can be read and written', `${file} (${(error as NodeJS.ErrnoException).code ?? String(error)})`);
}
