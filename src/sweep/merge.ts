/** Joins the results of parts of a sweep. */
import { InputError } from '../errors.ts';
import { parseLines, type FoundLine } from './line.ts';

export interface Merged {
  /** In the order of the plan. */
  readonly lines: readonly FoundLine[];
  /** Cells of the plan. */
  readonly of: number;
  /** Cells, from 1, that no file has. */
  readonly missing: readonly number[];
}

/**
 * @param files - names and contents
 * @param pagewalk - the program's version
 * @throws InputError - a line is damaged, of another version or plan, or contradicts one before; or there is none at all
 */
export function mergeResults(files: readonly { readonly name: string; readonly text: string }[], pagewalk: string): Merged {
  const byCell = new Map<number, FoundLine>(), byTrace = new Map<string, FoundLine>();
  let first: FoundLine | undefined;
  for (const { name, text } of files) {
    for (const found of parseLines(text, name, pagewalk).lines) {
      first ??= found;
      const { line } = found;
      if (line.plan !== first.line.plan) throw contradiction(found, `a cell of the plan of ${place(first)}`, 'one of another plan');
      const trace = byTrace.get(line.trace.name) ?? found, cell = byCell.get(line.cell) ?? found;
      if (trace.line.trace.sha256 !== line.trace.sha256) throw contradiction(found, `${line.trace.name} as in ${place(trace)}`, 'other content');
      if (cell.text !== found.text) throw contradiction(found, `what ${place(cell)} has for cell ${line.cell}`, 'another result');
      byTrace.set(line.trace.name, trace);
      byCell.set(line.cell, cell);
    }
  }
  if (!first) throw new InputError(files.map(f => f.name).join(', '), 'end', 'at least one finished cell', 'none');
  const { of } = first.line;
  const cells = Array.from({ length: of }, (_, k) => k + 1);
  return { lines: cells.flatMap(cell => byCell.get(cell) ?? []), of, missing: cells.filter(cell => !byCell.has(cell)) };
}

const place = ({ file, number }: FoundLine): string => `${file} line ${number}`;

const contradiction = ({ file, number }: FoundLine, expected: string, got: string): InputError => new InputError(file, `line ${number}`, expected, got);
