/**
 * An input of a target: a head, which says in what world it happens, and records, each of which is one operation. Their widths are the target's,
 * so that any operation can be cut out, moved or copied and what is left is an input still.
 *
 * As text, an input is a file that replays: its target, what was found, the head in hexadecimal, and an operation a line, `do` and its name and
 * fields where the target knows them by names, else `op` and its bytes.
 */
import { ConfigError, InputError } from '../src/errors.ts';

export interface Input {
  readonly head: Uint8Array;
  readonly records: readonly Uint8Array[];
}

/** An input in a file. */
export interface Recorded {
  readonly target: string;
  /** What was found with it, or what it is about. */
  readonly about: string;
  readonly input: Input;
}

const FIRST_LINE = 'pagewalk fuzz 1';

const hexOf = (data: Uint8Array): string => Buffer.from(data).toString('hex');

/** @param explain - an operation in words */
export function printInput({ target, about, input }: Recorded, explain?: (record: Uint8Array) => string): string {
  const lines = [FIRST_LINE, `target ${target}`, ...about.split('\n').map(line => `# ${line}`.trimEnd()), `head ${hexOf(input.head)}`];
  for (const record of input.records) lines.push(explain ? `do ${explain(record)}` : `op ${hexOf(record)}`);
  return `${lines.join('\n')}\n`;
}

/**
 * @param file - what errors call it @param recordOf - the record of an operation in words, for a target; it throws what is wrong with them
 * @throws InputError - the text is no input
 */
export function parseInput(text: string, file: string, recordOf: (target: string, words: string) => Uint8Array): Recorded {
  const lines = text.split(/\r?\n/), about: string[] = [], records: Uint8Array[] = [];
  let target: string | undefined, head: Uint8Array | undefined;
  if (lines[0] !== FIRST_LINE) throw new InputError(file, 'line 1', `"${FIRST_LINE}"`, JSON.stringify(lines[0]!.slice(0, 40)));
  lines.forEach((line, k) => {
    const where = `line ${k + 1}`, said = line.replace(/\s*#.*/, ''), [word, value = ''] = said.split(' ');
    if (k === 0 || line === '') return;
    if (line.startsWith('#')) about.push(line.slice(1).trim());
    else if (word === 'target') target = value;
    else if (word === 'head') head = bytesOf(value, file, where);
    else if (word === 'op') records.push(bytesOf(value, file, where));
    else if (word === 'do') records.push(named(() => recordOf(target ?? '', said.slice(3)), file, where, said));
    else throw new InputError(file, where, 'target, head, op, do or a comment', JSON.stringify(line.slice(0, 40)));
  });
  if (target === undefined) throw new InputError(file, 'line 2', 'target and its name');
  if (!text.endsWith('\n')) throw new InputError(file, `line ${lines.length}`, 'the end of the line', 'the end of the file');
  return { target, about: about.join('\n'), input: { head: head ?? new Uint8Array(), records } };
}

function named(make: () => Uint8Array, file: string, where: string, said: string): Uint8Array {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new InputError(file, where, `an operation of the target (${error.message})`, JSON.stringify(said.slice(0, 80)));
  }
}

function bytesOf(hex: string, file: string, where: string): Uint8Array {
  if (!/^([0-9a-f]{2})*$/.test(hex)) throw new InputError(file, where, 'bytes in hexadecimal', JSON.stringify(hex.slice(0, 40)));
  return Uint8Array.from(Buffer.from(hex, 'hex'));
}

/** The same input with head and records of a target's widths: cut, or filled with zeros. */
export function fitted({ head, records }: Input, headBytes: number, recordBytes: number): Input {
  const fit = (data: Uint8Array, bytes: number): Uint8Array => {
    if (data.length === bytes) return data;
    const out = new Uint8Array(bytes);
    out.set(data.subarray(0, bytes));
    return out;
  };
  return { head: fit(head, headBytes), records: records.map(record => fit(record, recordBytes)) };
}

/** How much there is to an input: first its operations, then bytes that are not zero. */
export function sizeOf({ head, records }: Input): number {
  let bytes = 0;
  for (const part of [head, ...records]) for (const byte of part) if (byte !== 0) bytes++;
  return records.length * 2 ** 20 + bytes;
}

/** A number that differs for inputs that differ: FNV-1a over all bytes. */
export function hashOf({ head, records }: Input): string {
  let a = 0x811c9dc5, b = 0x1b873593;
  for (const part of [head, ...records]) {
    for (const byte of part) {
      a = Math.imul(a ^ byte, 0x01000193);
      b = Math.imul(b ^ byte, 0x85ebca6b) + 1;
    }
    b ^= part.length;
  }
  return [a, b].map(word => (word >>> 0).toString(16).padStart(8, '0')).join('');
}
