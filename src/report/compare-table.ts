/** Tables of a comparison for the terminal. */

import { CAUSE_GROUPS, groupCycles } from '../compare/cause.ts';
import type { CellResult } from '../compare/cell.ts';
import type { Comparison, Group } from '../compare/comparison.ts';
import type { Outcome } from '../compare/outcome.ts';
import { crossingOf } from '../compare/sweep.ts';
import { standingsOf } from '../compare/standing.ts';
import type { GroupPrices } from '../compare/standing.ts';
import type { Sweep } from '../compare/sweep.ts';
import { crossoverFinding } from './crossover-finding.ts';
import { baseOf, findingsOf, referencesPerMiss } from './findings.ts';
import type { Finding } from './findings.ts';
import { count, fixed, printable } from './number-format.ts';
import { STANDING_NAMES } from './price-standing.ts';
import { textTable } from './table.ts';
import type { TextColumn } from './table.ts';

const WIDTH = 110;

/** Everything `pagewalk compare` prints. */
export function compareTables({ name, accesses, processes, groups, outcome }: Comparison): string {
  const header = `Program   ${printable(name)}: ${count(accesses)} accesses of ${processes.map(printable).join(', ')}\n`;
  return [header, ...groups.flatMap(groupTables), outcomeText(outcome)].join('\n');
}

/** Everything `pagewalk crossover` prints. */
export function crossoverTables(sweeps: readonly Sweep[]): string {
  return sweeps.map((sweep) => `${sweepTable(sweep)}${pricesText(sweep.prices)}\n${crossoverFinding([sweep]).map(paragraph).join('')}`).join('\n\n');
}

/** Whether processes saw the same in all cells, and what not. */
export function outcomeText({ cells, processes, differences }: Outcome): string {
  if (differences.length > 0) return ['What processes saw differs:', ...differences].map((line) => `${printable(line)}\n`).join('');
  const many = `${count(processes)} ${processes === 1 ? 'process' : 'processes'}`;
  return cells === 1 ? `Outcome   of ${many}; there is no other cell to compare it with\n`
    : `Outcome   the same in all ${cells} cells: accesses, faults and memory of ${many}\n`;
}

function groupTables(group: Group): string[] {
  return [`${causeTable(group)}${pricesText(group.prices)}`, ...hypercallTables(group), ...group.sweeps.map(sweepTable), findingsText(findingsOf(group))];
}

const right = (heading: string): TextColumn => ({ heading, align: 'right' });
const left = (heading: string): TextColumn => ({ heading, align: 'left' });

function causeTable({ cells, cpu, pages }: Group): string {
  const grouped = cells.map((cell) => groupCycles(cell.cycles)), base = baseOf(cells);
  const causes = CAUSE_GROUPS.flatMap(({ name }, k) => (grouped.some((cycles) => cycles[k]! > 0) ? [[name, ...grouped.map((cycles) => count(cycles[k]!))]] : []));
  const each = (name: string, value: (cell: CellResult) => string): string[] => [name, ...cells.map(value)];
  const rows = [
    ...causes, each('all cycles', ({ total }) => count(total)), each(`times ${base.way}`, ({ total }) => fixed(total / base.total, 3)),
    each('cycles per access', (cell) => fixed(cell.total / cell.accesses)), each('TLB misses', ({ misses }) => count(misses)),
    each('references per miss', (cell) => fixed(referencesPerMiss(cell), 2)), each('faults of the guest', ({ faults }) => count(total(Object.values(faults)))),
    ...cells.some(({ pages }) => pages === '2m') ? [each('regions made large', ({ promotions }) => count(promotions))] : [],
    each('exits to the hypervisor', ({ hypervisor }) => count(total((hypervisor?.exits ?? []).map((exit) => exit.count)))),
  ];
  return textTable([left(`${cpu}, ${pages} pages: cycles`), ...cells.map(({ way }) => right(way))], rows);
}

/** The standings of the prices behind each group of causes, shortly. */
function pricesText(prices: readonly GroupPrices[]): string {
  return wrapped(`Prices: ${prices.map((group) => `${group.name}: ${standingsOf(group).map((standing) => STANDING_NAMES[standing]).join(', ')}`).join('; ')}.`, '', '');
}

function hypercallTables({ cells }: Group): string[] {
  return cells.flatMap(({ way, hypervisor }) => {
    if (hypervisor === undefined || hypervisor.hypercalls.length === 0) return [];
    const rows = hypervisor.hypercalls.map(({ name, calls, cycles }) => [name, count(calls), count(cycles)]);
    const sizes = hypervisor.batches.map(({ size, hypercalls }) => `${count(hypercalls)} of ${size}`);
    return [`${textTable([left(`${way}: hypercalls`), right('calls'), right('cycles')], rows)}${wrapped(`By the number of calls in them: ${sizes.join(', ')}.`, '', '')}`];
  });
}

function sweepTable(sweep: Sweep): string {
  const { lines, cpu, pages, workload: { change } } = sweep, [first] = lines;
  const rows = first!.points.map((point, k) => [point.updatesPerAccess.toPrecision(2), ...lines.map(({ points }) => fixed(points[k]!.cyclesPerAccess, 1))]);
  const rivals = lines.filter(({ way }) => way === 'nested' || way === 'shadow'), direct = lines.filter(({ way }) => way === 'direct');
  const crossings = rivals.map((rival) => [`crosses ${rival.name} at`, ...lines.map((line) => (direct.includes(line) ? rate(crossingOf(line, rival).at) : ''))]);
  const heading = `${cpu}, ${pages}, ${change}:\nupdates per access`;
  return `${textTable([left(heading), ...lines.map(({ name }) => right(name.replace(' ', '\n')))], [...rows, ...direct.length > 0 ? crossings : []])}Cycles per access.\n`;
}

const rate = (at: number | undefined): string => (at === undefined ? 'none' : at.toPrecision(3));
const total = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

function findingsText(findings: readonly Finding[]): string {
  return findings.map(({ title, points }) => `${title}\n${points.map(paragraph).join('')}`).join('\n');
}

/** An item of a list. */
const paragraph = (text: string): string => wrapped(text, '- ', '  ');

/** A text in lines of at most `WIDTH` columns. @param first, later - what its first line and the others begin with */
function wrapped(text: string, first: string, later: string): string {
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = lines.at(-1)!;
    if (line.length > 0 && line.length + 1 + word.length > WIDTH - later.length) lines.push(word);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  return lines.map((line, k) => `${k === 0 ? first : later}${line}\n`).join('');
}
