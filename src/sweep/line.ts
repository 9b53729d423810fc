/** A line of results: one finished cell as JSON. Everything in it is decided by the plan and the traces: no times, no machines. */
import { InputError } from '../errors.ts';
import { crc32 } from '../trace/crc32.ts';
import type { ReplayRun, TraceSummary } from '../trace/replay-result.ts';
import type { Cell } from './cell.ts';

/** What identifies the sweep that a cell belongs to. */
export interface SweepIdentity {
  /** Version of the program. */
  readonly pagewalk: string;
  readonly plan: string;
  /** Cells of the plan. */
  readonly of: number;
}

export interface SweepLine extends SweepIdentity {
  /** Place in the plan, from 1. */
  readonly cell: number;
  readonly key: string;
  /** Without the map of its address space. */
  readonly trace: Omit<TraceSummary, 'map'> & { readonly sha256: string };
  readonly options: { readonly data: boolean; readonly nodes: number; readonly numa: string };
  /** Without its time series. */
  readonly run: Omit<ReplayRun, 'series'>;
}

/** How every line starts, and only ours do. */
const START = '{"pagewalk":"';
const WHOLE = /^(\{"pagewalk":"[^]*),"crc32":"([0-9a-f]{8})"\}$/;

export function lineOf(identity: SweepIdentity, cell: Cell, key: string, sha256: string, { trace, run }: { trace: TraceSummary; run: ReplayRun }): SweepLine {
  const { map: _map, ...summary } = trace, { series: _series, ...counts } = run;
  const { data, nodes, numa } = cell, { pagewalk, plan, of } = identity;
  return { pagewalk, plan, cell: cell.place + 1, of, key, trace: { ...summary, sha256 }, options: { data, nodes, numa }, run: counts };
}

/** The line as it is stored: with a checksum as its last field, and its end. */
export function lineText(line: SweepLine): string {
  const body = JSON.stringify(line).slice(0, -1);
  return `${body},"crc32":"${checksum(body)}"}\n`;
}

const checksum = (body: string): string => crc32(new TextEncoder().encode(body)).toString(16).padStart(8, '0');

/** A line, and where it is. */
export interface FoundLine {
  readonly file: string;
  /** From 1. */
  readonly number: number;
  /** With its end. */
  readonly text: string;
  readonly line: SweepLine;
}

/**
 * The lines of a file of results. What follows the last end of a line is a line that was not finished, and passed over.
 *
 * @param pagewalk - the program's version
 * @throws InputError - a line is not one of ours, not whole, or of another version
 */
export function parseLines(text: string, file: string, pagewalk: string): { readonly lines: FoundLine[]; readonly torn: boolean } {
  const parts = text.split('\n'), rest = parts.pop() ?? '';
  const lines = parts.map((part, k): FoundLine => ({ file, number: k + 1, text: `${part}\n`, line: parseLine(part, file, k + 1, pagewalk) }));
  if (!rest.startsWith(START.slice(0, rest.length))) throw new InputError(file, `line ${parts.length + 1}`, 'a line of a sweep', shown(rest));
  return { lines, torn: rest !== '' };
}

function parseLine(text: string, file: string, number: number, pagewalk: string): SweepLine {
  const [, body, crc] = WHOLE.exec(text) ?? [];
  if (body === undefined || checksum(body) !== crc) throw new InputError(file, `line ${number}`, 'a whole line of a sweep', shown(text));
  const line = JSON.parse(`${body}}`) as SweepLine;
  if (line.pagewalk !== pagewalk) throw new InputError(file, `line ${number}`, `a result of pagewalk ${pagewalk}`, `one of ${line.pagewalk}`);
  return line;
}

const shown = (text: string): string => JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}...` : text);
