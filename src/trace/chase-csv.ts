/** Recorded pointer chases: the CSV files of `../shared/hardware`, columns `page_size,pages,ns_median,ns_min,cycles_est` in any order. */
import { InputError } from '../errors.ts';
import { CHASE_KINDS, CHASE_MAX_PAGES, type ChaseKind } from './chase.ts';

/** One measured size. */
export interface ChaseRow {
  readonly kind: ChaseKind;
  readonly pages: number;
  /** Median and least of the repetitions, nanoseconds an access. */
  readonly nsMedian: number;
  readonly nsMin: number;
  /** The median in cycles. */
  readonly cycles: number;
}

const COLUMNS = ['page_size', 'pages', 'ns_median', 'ns_min', 'cycles_est'] as const;
type Column = (typeof COLUMNS)[number];

/**
 * @param file - name for messages
 * @returns the rows in the order of the file
 * @throws InputError - a column is missing or strange, or a value is out of range; the message names file and line
 */
export function parseChaseCsv(text: string, file: string): ChaseRow[] {
  const lines = text.replace(/^\ufeff/, '').split(/\r?\n/);
  const header = (lines[0] ?? '').split(',').map(name => name.trim());
  if (header.length !== COLUMNS.length || COLUMNS.some(name => !header.includes(name))) {
    throw new InputError(file, 'line 1', `the columns ${COLUMNS.join(',')}`, quote(lines[0] ?? ''));
  }
  const rows: ChaseRow[] = [];
  lines.slice(1).forEach((line, k) => {
    if (line.trim() !== '') rows.push(parseRow(line, header, file, `line ${k + 2}`));
  });
  if (rows.length === 0) throw new InputError(file, 'line 2', 'at least one row', 'none');
  return rows;
}

function parseRow(line: string, header: readonly string[], file: string, where: string): ChaseRow {
  const cells = line.split(',').map(cell => cell.trim());
  if (cells.length !== header.length) throw new InputError(file, where, `${header.length} values`, quote(line));
  const cell = (column: Column): string => cells[header.indexOf(column)]!;
  const kind = CHASE_KINDS.find(name => name === cell('page_size'));
  if (!kind) throw new InputError(file, where, `a page_size of ${CHASE_KINDS.join(', ')}`, quote(cell('page_size')));
  const positive = (column: Column): number => {
    const value = /^\d+(\.\d+)?$/.test(cell(column)) ? Number(cell(column)) : 0;
    if (!(value > 0 && value < 1e9)) throw new InputError(file, where, `${column} as a decimal number above 0`, quote(cell(column)));
    return value;
  };
  const pages = positive('pages');
  if (!Number.isInteger(pages) || pages > CHASE_MAX_PAGES) {
    throw new InputError(file, where, `pages as an integer from 1 to ${CHASE_MAX_PAGES}`, quote(cell('pages')));
  }
  return { kind, pages, nsMedian: positive('ns_median'), nsMin: positive('ns_min'), cycles: positive('cycles_est') };
}

const quote = (text: string): string => JSON.stringify(text.length > 60 ? `${text.slice(0, 57)}...` : text);
