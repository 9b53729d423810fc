/** A comparison, and sweeps alone, as one HTML page. */

import { CAUSE_GROUPS, groupCycles } from '../compare/cause.ts';
import type { CellResult } from '../compare/cell.ts';
import type { Comparison, Group } from '../compare/comparison.ts';
import type { Outcome } from '../compare/outcome.ts';
import { crossingOf } from '../compare/sweep.ts';
import type { Sweep } from '../compare/sweep.ts';
import { WAYS, wayOf } from '../compare/way.ts';
import { crossoverPlots } from './chart-crossover.ts';
import { faultsPlot, hypervisorPlots } from './chart-hypervisor.ts';
import { causesPlot, referencesPlot } from './chart-ways.ts';
import { crossoverFinding, workloadText } from './crossover-finding.ts';
import { baseOf, findingsOf, referencesPerMiss } from './findings.ts';
import { html } from './markup.ts';
import type { Markup } from './markup.ts';
import { count, fixed, short } from './number-format.ts';
import { pageHtml } from './page.ts';
import type { PageSection } from './page.ts';
import { numberTable, plotHtml } from './plot.ts';
import { priceTable } from './price-standing.ts';
import { capital } from './prose.ts';

/** The page of a comparison. The same comparison gives the same text, always. */
export function compareHtml(comparison: Comparison): string {
  const { name, groups, outcome } = comparison;
  return pageHtml({
    name, kicker: 'pagewalk compare', headline: findingsOf(groups[0]!)[0]!.points[0]!,
    sections: [
      { id: 'summary', title: 'Summary', body: html`${facts(comparison)}${outcomeHtml(outcome)}` },
      ...groups.flatMap((group, k) => groupSections(group, `${k}`, groups.length > 1)),
    ],
    footer: footer(),
  });
}

/** The page of sweeps alone. */
export function crossoverHtml(sweeps: readonly Sweep[]): string {
  return pageHtml({
    name: 'Where the ways cross', kicker: 'pagewalk crossover', headline: crossoverFinding([sweeps[0]!])[0]!,
    sections: sweeps.map((sweep, k) => ({
      id: `sweep-${k}`, title: `${capital(sweep.workload.change)} on ${sweep.cpu}, ${sweep.pages} pages`, body: html`${sweepHtml(sweep, `${k}`)}${crossoverFinding([sweep]).map((point) => html`<p>${point}</p>`)}${priceTable(sweep.prices)}`,
    })),
    footer: footer(),
  });
}

function facts({ accesses, processes, groups, outcome }: Comparison): Markup {
  const list: readonly (readonly [string, string, string])[] = [
    ['Accesses', short(accesses), count(accesses)], ['Processes', count(processes.length), processes.join(', ')],
    ['Ways', count(groups[0]!.cells.length), groups[0]!.cells.map(({ way }) => way).join(', ')],
    ['Cells', count(outcome.cells), `processors: ${new Set(groups.map(({ cpu }) => cpu)).size}, page sizes: ${new Set(groups.map(({ pages }) => pages)).size}`],
  ];
  return html`<dl class="facts">${list.map(([name, value, more]) => html`<div><dt>${name}</dt><dd><strong>${value}</strong> <span>${more}</span></dd></div>`)}</dl>`;
}

function outcomeHtml({ differences, cells, processes }: Outcome): Markup {
  if (differences.length > 0) return html`<p><strong>What processes saw differs.</strong></p><ul>${differences.map((line) => html`<li>${line}</li>`)}</ul>`;
  return html`<p>${cells > 1 ? `In all ${cells} cells the same happened to ${count(processes)} processes: accesses, faults, memory at their ends.` : 'There is one cell, and none to compare what processes saw with.'}</p>`;
}

function groupSections(group: Group, id: string, many: boolean): readonly PageSection[] {
  const of = many ? ` (${group.cpu}, ${group.pages})` : '';
  const findings = html`<ul class="findings">${findingsOf(group).map(({ title, points }) => html`<li><h3>${title}</h3>${points.map((point) => html`<p>${point}</p>`)}</li>`)}</ul>`;
  const sweeps = group.sweeps.map((sweep, k) => html`${k > 0 && html`<h3>Another way to change them</h3>`}${sweepHtml(sweep, `${id}-${k}`)}`);
  return [
    { id: `findings-${id}`, title: `Findings${of}`, body: html`<p>${group.cpuTitle}, ${group.pages} pages.</p>${findings}` },
    { id: `cost-${id}`, title: `Where the cycles go${of}`, body: html`${causeTable(group)}${priceTable(group.prices)}${plotHtml(causesPlot(group, `causes-${id}`))}${plotHtml(referencesPlot(group, `references-${id}`))}` },
    { id: `exits-of-${id}`, title: `Faults and hypercalls${of}`, body: html`${plotHtml(faultsPlot(group, `faults-${id}`))}${hypervisorPlots(group, id).map(plotHtml)}` },
    ...sweeps.length > 0 ? [{ id: `crossover-${id}`, title: `Where the ways cross${of}`, body: html`${sweeps}` }] : [],
  ];
}

function causeTable({ cells }: Group): Markup {
  const grouped = cells.map((cell) => groupCycles(cell.cycles)), base = baseOf(cells);
  const used = CAUSE_GROUPS.map((_, k) => k).filter((k) => grouped.some((cycles) => cycles[k]! > 0));
  const each = (name: string, value: (cell: CellResult) => string): string[] => [name, ...cells.map(value)];
  const rows = [
    ...used.map((k) => [CAUSE_GROUPS[k]!.name, ...grouped.map((cycles) => count(cycles[k]!))]), each('all cycles', ({ total }) => count(total)),
    each(`times ${base.way}`, ({ total }) => fixed(total / base.total, 2)), each('cycles per access', (cell) => fixed(cell.total / cell.accesses)),
    each('TLB misses', ({ misses }) => count(misses)), each('references per TLB miss', (cell) => fixed(referencesPerMiss(cell), 2)),
    ...cells.some(({ pages }) => pages === '2m') ? [each('regions made large', ({ promotions }) => count(promotions))] : [],
  ];
  return html`<figure><figcaption><h3>Cycles by cause</h3></figcaption>${numberTable('Cycles by cause', ['Cause', ...cells.map(({ way }) => way)], rows)}</figure>`;
}

function sweepHtml(sweep: Sweep, id: string): Markup {
  return html`<p>A process ${workloadText(sweep)}; from left to right it does so more often.</p>
${crossoverPlots(sweep, id).map(plotHtml)}${crossingTable(sweep)}`;
}

/** Where each line of direct paging crosses those of the other ways. */
function crossingTable({ lines }: Sweep): Markup {
  const rivals = lines.filter(({ way }) => way === 'nested' || way === 'shadow'), direct = lines.filter(({ way }) => way === 'direct');
  if (rivals.length === 0 || direct.length === 0) return html``;
  const cell = (at: number | undefined): string => (at === undefined ? 'none' : at.toPrecision(3));
  const rows = direct.map((line) => [line.batching ?? 'multicall', ...rivals.map((rival) => cell(crossingOf(line, rival).at))]);
  return html`<figure><figcaption><h3>Updates per access at which direct paging crosses the others, by how it batches</h3></figcaption>
${numberTable('Crossings', ['Batching', ...rivals.map(({ name }) => `Crosses ${name} at`)], rows)}</figure>`;
}

function footer(): Markup {
  return html`<footer>
<h2>What the numbers mean</h2>
<dl class="terms">
<dt>Ways</dt><dd>${WAYS.map((way) => `${capital(wayOf(way).title)}: ${wayOf(way).what}.`).join(' ')}
The same small kernel runs the same processes in each.</dd>
<dt>Cycles</dt><dd>All have a cause, and each one cause. What a processor does is counted for its model; what an exception, a world switch or
a validated entry costs comes from sources or is an estimate, the same for all ways on a processor. Compare ways with each other, not with a stopwatch.</dd>
<dt>Updates</dt><dd>Level-1 entries of page tables that the kernel changed, by system calls and faults.</dd>
<dt>References</dt><dd>Entries of page tables that a walk read, of the guest's tables and of those of the second stage.</dd>
</dl>
</footer>`;
}
