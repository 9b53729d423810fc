/**
 * A replay as one HTML page: no other files, no network, readable without its script. Drawn for screens light and dark,
 * narrow and wide, and for paper.
 */

import type { ReplayResult } from '../trace/replay-result.ts';
import { cyclesPlots } from './chart-cycles.ts';
import { mapPlot } from './chart-map.ts';
import { missesPlots } from './chart-misses.ts';
import { walkPlots } from './chart-walks.ts';
import { workingSetPlot } from './chart-working-set.ts';
import { html, rawHtml } from './markup.ts';
import type { Markup } from './markup.ts';
import { count, figureText, short } from './number-format.ts';
import { PAGE_SCRIPT, PAGE_SCRIPT_SHA256 } from './page-script.ts';
import { PAGE_STYLE } from './page-style.ts';
import { plotHtml } from './plot.ts';
import { headline, runTable, sizeTable, traceFacts } from './summary.ts';

/** The page. The same result gives the same text, always. */
export function reportHtml(result: ReplayResult): string {
  const { trace } = result;
  const page = html`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; \
script-src 'sha256-${rawHtml(PAGE_SCRIPT_SHA256)}'">
<title>${trace.name} – pagewalk report</title>
<style>${rawHtml(PAGE_STYLE)}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the results</a>
${hatches()}
<header>
<p class="kicker">pagewalk replay</p>
<h1><bdi>${trace.name}</bdi></h1>
<p class="headline">${headline(result)}</p>
<nav aria-label="Sections">
<ul>${SECTIONS.map(({ id, title }) => html`<li><a href="#${id}">${title}</a></li>`)}</ul>
</nav>
</header>
<main id="main" tabindex="-1">
${SECTIONS.map((section) => html`<section id="${section.id}" aria-labelledby="${section.id}-h">
<h2 id="${section.id}-h">${section.title}</h2>
${section.body(result)}
</section>\n`)}</main>
${footer(result)}
<script>${rawHtml(PAGE_SCRIPT)}</script>
</body>
</html>
`;
  return page.text;
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

/** Patterns that tell parts apart without colour; the whole page uses these. */
function hatches(): Markup {
  const pattern = (i: number, size: number, body: Markup) => html`<pattern id="hatch-${i}" class="hatches" \
width="${size}" height="${size}" patternUnits="userSpaceOnUse">${body}</pattern>`;
  return html`<svg class="defs" aria-hidden="true" focusable="false"><defs>\
${pattern(0, 7, html`<path d="M-1 8L8 -1M-1 1L1 -1M6 8L8 6"/>`)}\
${pattern(1, 6, html`<circle cx="3" cy="3" r="0.8"/>`)}\
${pattern(2, 6, html`<path d="M3 0V6"/>`)}</defs></svg>`;
}

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
