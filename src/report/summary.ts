/** A replay in words and in one table. */

import type { ReplayResult } from '../trace/replay-result.ts';
import { html } from './markup.ts';
import type { Markup } from './markup.ts';
import { bytes, count, figureText, fixed, NONE, percent, short } from './number-format.ts';
import { numberTable } from './plot.ts';
import {
  perAccess, referencesPerWalk, runLabel, sizesInUse, tlbLevel, tlbLevels, tlbMisses, translationCycles,
} from './run-figures.ts';

/** The result in one sentence: which run spends least on translation, and by how much. */
export function headline({ trace, runs }: ReplayResult): string {
  const ranked = runs.map((run) => ({ run, cost: perAccess(translationCycles(run), trace.accesses) }))
    .filter(({ cost }) => !Number.isNaN(cost)).sort((a, b) => a.cost - b.cost);
  const [best, worst] = [ranked[0], ranked.at(-1)];
  if (best === undefined || worst === undefined) return 'Nothing was replayed.';
  const least = `${runLabel(best.run)} spends ${figureText(best.cost)} cycles per access on translation`;
  if (ranked.length === 1) {
    const misses = percent(tlbMisses(best.run, 1), best.run.translations);
    return `${least}${misses === NONE ? '' : `; ${misses} % of its translations miss the first TLB level`}.`;
  }
  if (best.cost === worst.cost) {
    return `All ${ranked.length} runs spend ${figureText(best.cost)} cycles per access on translation.`;
  }
  const most = `${runLabel(worst.run)} spends ${figureText(worst.cost)}`;
  if (best.cost === 0) return `${runLabel(best.run)} spends no cycles on translation; ${most} per access.`;
  return `${least}, the fewest; ${most}, ${ratio(worst.cost / best.cost)} as many.`;
}

function ratio(times: number): string {
  if (times >= 1000) return 'over 1,000 times';
  return `${times.toFixed(times >= 100 ? 0 : times >= 10 ? 1 : 2)} times`;
}

/** What the trace is, in a few large numbers. */
export function traceFacts({ trace, runs }: ReplayResult): Markup {
  const last = trace.workingSet.at(-1);
  const facts: (readonly [string, string, string])[] = [
    ['Accesses', short(trace.accesses), `${count(trace.accesses)}: ${whole(trace.loads)} loads, `
      + `${whole(trace.stores)} stores, ${whole(trace.fetches)} fetches`],
    ['Memory touched', bytes(trace.pages4k * 4096), `${count(trace.pages4k)} pages of 4 KiB`],
    ['Working set', last === undefined ? NONE : `${whole(last.pages)} pages`,
      last === undefined ? 'not recorded' : `on average in ${count(last.window)} accesses`],
    ['Runs', count(runs.length), `processors: ${new Set(runs.map((run) => run.cpu)).size}, `
      + `page size policies: ${new Set(runs.map((run) => run.pages)).size}`],
  ];
  return html`<dl class="facts">${facts.map(([name, value, more]) => html`<div><dt>${name}</dt>\
<dd><strong>${value}</strong> <span>${more}</span></dd></div>`)}</dl>`;
}

/** A short number that no line break parts from its letter. */
function whole(n: number): string {
  return short(n).replace(' ', '\u00a0');
}

/** A row for each run: the numbers that matter. */
export function runTable({ trace, runs }: ReplayResult): Markup {
  const data = runs.some((run) => run.cycles.data > 0);
  return numberTable('Runs', [
    'Run', html`<span class="words">Processor</span>`, 'L1 miss %', 'L2 miss %', 'Walks', 'References per walk',
    'Cycles per access', 'ns per access', ...(data ? ['Cycles with data'] : []),
  ], runs.map((run) => {
    const cost = perAccess(translationCycles(run), trace.accesses);
    return [
      runLabel(run), html`<span class="words">${run.cpuTitle}, <span>${figureText(run.clockGHz)} GHz</span></span>`,
      percent(tlbMisses(run, 1), run.translations), percent(tlbMisses(run, 2), run.translations),
      count(run.walks), fixed(referencesPerWalk(run), 2), fixed(cost), fixed(cost / run.clockGHz),
      ...(data ? [fixed(perAccess(run.cycles.total, trace.accesses))] : []),
    ];
  }));
}

/** A row for each run: misses by the size of the page found, and what was mapped. Sizes no run used are left out. */
export function sizeTable({ runs }: ReplayResult): Markup {
  const levels = tlbLevels(runs);
  const sizes = sizesInUse(runs);
  return numberTable('Page sizes', [
    'Run', ...levels.flatMap((level) => sizes.map(([size]) => `L${level} misses, ${size}`)),
    ...sizes.map(([size]) => `Mapped, ${size}`), 'Paging structures',
  ], runs.map((run) => [
    runLabel(run),
    ...levels.flatMap((level) => sizes.map(([, s]) => count(tlbLevel(run, level)?.missesBySize[s] ?? NaN))),
    ...sizes.map(([, s]) => count(run.mapped[s])), bytes(run.tableBytes),
  ]));
}
