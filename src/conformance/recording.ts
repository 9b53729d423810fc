/**
 * Files of recorded behaviour: JSON lines, usually gzipped; the first line is a header whose `format` tells what the others are.
 */
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { ConfigError, InputError } from '../errors.ts';

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };
export type Row = { readonly [key: string]: Json };

export interface Recording {
  /** File name without folders and extensions. */
  readonly name: string;
  readonly file: string;
  readonly format: string;
  readonly header: Row;
  /** Cases with the number of their line in the file. */
  readonly rows: readonly { readonly line: number; readonly row: Row }[];
}

const SUFFIX = /\.jsonl(\.gz)?$/;

/** Recordings in a folder (not below it) or the one file given, sorted by name. @throws ConfigError - there is none */
export function findRecordings(path: string): string[] {
  let isFolder: boolean;
  try {
    isFolder = statSync(path).isDirectory();
  } catch {
    throw new ConfigError('path', 'a folder or file of recordings (.jsonl, .jsonl.gz)', path);
  }
  if (!isFolder) return [path];
  const found = readdirSync(path).filter(name => SUFFIX.test(name)).sort();
  if (found.length === 0) throw new ConfigError('path', 'a folder with recordings (.jsonl, .jsonl.gz)', path);
  return found.map(name => join(path, name));
}

/** Read one recording. @throws InputError - not gzip, cut short, not JSON, no header, or fewer cases than the header says */
export function readRecording(file: string): Recording {
  const lines = text(file).split('\n');
  if (lines.at(-1) === '') lines.pop();
  const parsed = lines.map((line, k) => ({ line: k + 1, row: parse(file, line, k + 1) }));
  const header = parsed.shift()?.row;
  if (!header || typeof header['format'] !== 'string') throw new InputError(file, 'line 1', 'a header with a format');
  if (parsed.length === 0) throw new InputError(file, 'line 2', 'at least one case');
  if (typeof header['cases'] === 'number' && header['cases'] !== parsed.length) {
    throw new InputError(file, `line ${parsed.length + 1}`, `${header['cases']} cases as the header says`, `${parsed.length}`);
  }
  return { name: basename(file).replace(SUFFIX, ''), file, format: header['format'], header, rows: parsed };
}

function text(file: string): string {
  const bytes = readFileSync(file);
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes.toString('utf8');
  try {
    return gunzipSync(bytes).toString('utf8');
  } catch (error) {
    throw new InputError(file, `byte ${bytes.length}`, 'a whole gzip file', (error as Error).message);
  }
}

function parse(file: string, line: string, number: number): Row {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new InputError(file, `line ${number}`, 'a JSON object', line.slice(0, 60));
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new InputError(file, `line ${number}`, 'a JSON object', line.slice(0, 60));
  return value as Row;
}
