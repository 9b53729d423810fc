/** `pagewalk chase`: a pointer chase on a preset, beside the measured one where there is one. */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { ConfigError } from '../errors.ts';
import type { CpuModel } from '../cost/cpu-model.ts';
import type { HostModel } from '../cost/host-model.ts';
import { zen3Chase, type RecordedChase } from '../cost/measured/zen3-chase.ts';
import { findPreset } from '../cost/presets/all.ts';
import { CHASE_KINDS, CHASE_MAX_PAGES, type ChaseKind } from '../trace/chase.ts';
import {
  compareChase, findKnees, fittedFigures, medianAbsoluteError, type ComparedSize, type FittedFigure,
} from '../trace/chase-compare.ts';
import { parseChaseCsv, type ChaseRow } from '../trace/chase-csv.ts';
import { listOf } from './options.ts';

export const CHASE_HELP = `pagewalk chase [options]              one 8-byte load a page in a random cycle: cycles an access, misses, knees

  --cpu NAME       a processor (see pagewalk presets)                                 [zen3]
  --csv FILE       compare with this recording: page_size,pages,ns_median,ns_min,cycles_est
  --bare           without the host that the recorded machine ran under
  --kinds LIST     ${CHASE_KINDS.join(', ')}   [all measured]
  --pages LIST     numbers of pages, 1 to ${CHASE_MAX_PAGES}                                      [as measured]
  --json           print JSON`;

const RECORDED: readonly RecordedChase[] = [zen3Chase];

/** Sizes where nothing is measured; those of 2M pages end at MOST_2M. */
const SIZES = [8, 12, 18, 27, 41, 61, 91, 137, 205, 308, 461, 692, 1038, 1557, 2335, 3503, 5255, 7882, 11823, 17735, 26602, 39903, 59855,
  89782, 134673, 202009, 262144];
const MOST_2M = 4096;

/** What was asked for, decided. */
interface Request {
  readonly cpu: CpuModel;
  readonly host: HostModel | undefined;
  /** Where the measured rows are from, undefined if there are none. */
  readonly source: string | undefined;
  readonly sizes: readonly { readonly kind: ChaseKind; readonly pages: number; readonly cycles?: number | undefined }[];
  readonly kinds: readonly ChaseKind[];
  readonly json: boolean;
}

interface KindSummary {
  readonly kind: ChaseKind;
  readonly sizes: number;
  readonly medianAbsoluteErrorPercent: number | undefined;
  /** Smallest number of pages at which each TLB level misses in every lap. */
  readonly firstMiss: readonly (number | undefined)[];
}

/**
 * `pagewalk chase [--cpu NAME] [--csv FILE] [--bare] [--kinds A,B] [--pages N,N] [--json]`
 *
 * Default: zen3. A recorded machine is compared with its recording, under the host it ran under; others are modelled bare and without
 * measured columns. `--csv` compares with another recording, `--bare` leaves out the host.
 *
 * @returns exit status 0
 * @throws ConfigError - an option. InputError - the CSV file
 */
export function chase(argv: readonly string[], print: (line: string) => void): number {
  const request = parse(argv);
  const { cpu, host } = request;
  const compared = compareChase(cpu, request.sizes, { host });
  const kinds = request.kinds.map((kind): KindSummary => {
    const own = compared.filter(c => c.kind === kind);
    return { kind, sizes: own.length, medianAbsoluteErrorPercent: medianAbsoluteError(own), firstMiss: findKnees(cpu, kind, { host }) };
  });
  const fitted = [...fittedFigures(cpu, cpu.name), ...(host ? fittedFigures(host, 'host') : [])];
  if (request.json) print(JSON.stringify({ cpu: cpu.name, host: host?.title, source: request.source, sizes: compared, kinds, fitted }));
  else for (const line of report(request, compared, kinds, fitted)) print(line);
  return 0;
}

function parse(argv: readonly string[]): Request {
  const text = { type: 'string' } as const, flag = { type: 'boolean' } as const;
  const { values } = parseArgs({ args: [...argv], options: { cpu: text, csv: text, bare: flag, kinds: text, pages: text, json: flag } });
  const cpu = findPreset(values.cpu ?? 'zen3');
  const recorded = RECORDED.find(r => r.cpu === cpu.name);
  const host = values.bare ? undefined : recorded?.host;
  const rows = values.csv !== undefined ? parseChaseCsv(readCsv(values.csv), values.csv)
    : host && recorded ? parseChaseCsv(recorded.csv, recorded.file) : [];
  const source = values.csv ?? (rows.length > 0 ? recorded?.title : undefined);
  const present = CHASE_KINDS.filter(kind => rows.length === 0 || rows.some(r => r.kind === kind));
  const kinds = values.kinds === undefined ? present : listOf(values.kinds, '--kinds', CHASE_KINDS);
  const pages = values.pages === undefined ? undefined : pageList(values.pages);
  return { cpu, host, source, kinds, sizes: kinds.flatMap(kind => sizesOf(kind, rows, pages)), json: values.json === true };
}

/** The sizes asked for, else those measured, else the usual ones. */
function sizesOf(kind: ChaseKind, rows: readonly ChaseRow[], pages: readonly number[] | undefined): Request['sizes'] {
  const own = rows.filter(r => r.kind === kind);
  if (pages === undefined && own.length > 0) return own;
  const usual = SIZES.filter(n => !kind.startsWith('2M') || n <= MOST_2M);
  return (pages ?? usual).map(n => ({ kind, pages: n, cycles: own.find(r => r.pages === n)?.cycles }));
}

function readCsv(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (e) {
    throw new ConfigError('--csv', 'a file that can be read', `${file} (${(e as NodeJS.ErrnoException).code ?? String(e)})`);
  }
}

function pageList(text: string): number[] {
  return [...new Set(text.split(',').map(item => {
    const n = /^\s*\d+\s*$/.test(item) ? Number(item) : 0;
    if (n < 1 || n > CHASE_MAX_PAGES) throw new ConfigError('--pages', `integers from 1 to ${CHASE_MAX_PAGES}, with commas`, item);
    return n;
  }))];
}

function report(request: Request, compared: readonly ComparedSize[], kinds: readonly KindSummary[], fitted: readonly FittedFigure[]): string[] {
  const { cpu, host, source } = request;
  const lines = [`pointer chase on ${cpu.title}: one load a page, random cycle`, host ? `under a ${host.title}` : 'without a hypervisor'];
  if (source !== undefined) lines.push(`measured: ${source}`);
  if (request.kinds.includes('64B-dense')) lines.push('64B-dense is modelled with paging off: the data caches alone');
  const measured = source !== undefined;
  const levels = cpu.tlb.map((_, l) => `tlb${l + 1} misses`);
  lines.push('', row(['kind', 'pages', ...(measured ? ['measured', 'modelled', 'error'] : ['cycles']), ...levels]));
  for (const c of compared) {
    const modelled = c.modelled.cyclesPerAccess.toFixed(1);
    lines.push(row([
      c.kind, String(c.pages), ...(measured ? [c.measured?.toFixed(1) ?? '-', modelled, percent(c.errorPercent, true)] : [modelled]),
      ...c.modelled.tlbMisses.map(m => m.toFixed(3)),
    ]));
  }
  lines.push('', row(['kind', 'sizes', ...(measured ? ['median |error|'] : []), ...cpu.tlb.map((_, l) => `tlb${l + 1} misses from`)]));
  for (const k of kinds) {
    const error = measured ? [percent(k.medianAbsoluteErrorPercent, false)] : [];
    lines.push(row([k.kind, String(k.sizes), ...error, ...k.firstMiss.map(n => (n === undefined ? 'none' : `${n} pages`))]));
  }
  lines.push('', fitted.length === 0 ? 'fitted numbers: none' : 'fitted numbers (all estimates):');
  for (const f of fitted) lines.push(`  ${f.field} = ${f.value}: ${f.source}`);
  return lines;
}

const percent = (n: number | undefined, signed: boolean): string =>
  n === undefined ? '-' : `${signed && n >= 0 ? '+' : ''}${n.toFixed(1)} %`;

/** First cell left, the others right, in columns wide enough for any of them. */
const row = (cells: readonly string[]): string =>
  cells.map((cell, k) => (k === 0 ? cell.padEnd(16) : cell.padStart(k === 1 ? 7 : 17))).join('').trimEnd();
