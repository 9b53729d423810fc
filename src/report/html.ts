/** A replay as one HTML page. */

import type { ReplayResult } from '../trace/replay-result.ts';
import { cyclesPlots } from './chart-cycles.ts';
import { mapPlot } from './chart-map.ts';
import { missesPlots } from './chart-misses.ts';
import { walkPlots } from './chart-walks.ts';
import { workingSetPlot } from './chart-working-set.ts';
import { html } from './markup.ts';
import type { Markup } from './markup.ts';
import { count, figureText, short } from './number-format.ts';
import { pageHtml } from './page.ts';
import { plotHtml } from './plot.ts';
import { headline, runTable, sizeTable, traceFacts } from './summary.ts';

/** The page. The same result gives the same text, always. */
export function reportHtml(result: ReplayResult): string {
  return pageHtml({
    name: result.trace.name, kicker: 'pagewalk replay', headline: headline(result),
    sections: SECTIONS.map(({ body, ...section }) => ({ ...section, body: body(result) })), footer: footer(result),
  });
}

interface Section {
  readonly id: string;
  readonly title: string;
  readonly body: (result: ReplayResult) => Markup;
}

const SECTIONS: readonly Section[] = [
  {
    id: 'summary', title: 'Summary',
    body: (result) => html`${traceFacts(result)}
<figure><figcaption><h3>Runs</h3></figcaption>${runTable(result)}</figure>
<figure><figcaption><h3>Misses and mappings by page size</h3></figcaption>${sizeTable(result)}</figure>`,
  },
  {
    id: 'cost', title: 'Where the cycles go',
    body: (result) => html`<p>What an average access spends on translation. Hits in the first TLB level are free; later
levels, the start of a walk and the walk's own loads are not.</p>
${cyclesPlots(result).map(plotHtml)}`,
  },
  {
    id: 'misses', title: 'Misses over time',
    body: (result) => html`<p>How often the first TLB level missed, and how often no level knew the page, so that the
processor had to walk the page tables.</p>
${missesPlots(result).map(plotHtml)}`,
  },
  {
    id: 'walks', title: 'What the walks did',
    body: (result) => html`<p>Paging-structure caches shorten walks: a walk of one reference reads only the last level.
What a reference costs depends on where it hits.</p>
${walkPlots(result).map(plotHtml)}`,
  },
  {
    id: 'memory', title: 'What the program touched',
    body: (result) => html`<p>Properties of the trace, the same for all runs: how many pages are in use at a time, and
where they lie.</p>
${plotHtml(workingSetPlot(result))}
${plotHtml(mapPlot(result))}
<p>Heights and bars are logarithmic: compare them for order, read the numbers for size. Gaps are not to scale.</p>`,
  },
];

function footer({ trace, runs, seconds, rate }: ReplayResult): Markup {
  const skipped = trace.skipped > 0 && ` ${count(trace.skipped)} records were skipped.`;
  return html`<footer>
<h2>What the numbers mean</h2>
<dl class="terms">
<dt>Counts</dt><dd>Misses, walks and references are counted exactly, for the processor as it is modelled. The model's
sizes and rules come from vendors and measurements where they exist; others are estimates.</dd>
<dt>Cycles</dt><dd>Cycles are approximate. Accesses are priced one after another, while a real processor overlaps them,
so the cost shown is nearer to an upper bound than to a clock. Compare runs with each other, not with a stopwatch.
Cycles of processors with different clocks differ in length; nanoseconds do not.</dd>
<dt>Translations</dt><dd>An access that crosses a page makes one translation for each part, and a modify makes a load
and a store. Shares of misses are shares of translations; cycles are per access.</dd>
<dt>Signs</dt><dd>A dash stands for what does not exist, such as a TLB level a processor lacks. Nothing that happened is
rounded to zero: it reads &lt;0.01 instead. k, M, G are powers of 1,000; KiB, MiB, GiB powers of 1,024.</dd>
</dl>
<p>Trace format ${trace.format}; ${count(trace.systemCalls)} system calls, ${count(trace.modifies)} modifies.${skipped}
Replayed ${count(runs.length)} ${runs.length === 1 ? 'run' : 'runs'} in ${figureText(seconds)} s,
${short(rate)} accesses a second.</p>
</footer>`;
}
