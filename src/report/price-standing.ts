/** How well the prices behind causes are known: a table for a page, and words. */

import { STANDINGS } from '../compare/standing.ts';
import type { GroupPrices, Standing } from '../compare/standing.ts';
import { html } from './markup.ts';
import type { Markup } from './markup.ts';
import { NONE } from './number-format.ts';
import { numberTable } from './plot.ts';

/** As a sentence has them. */
export const STANDING_NAMES: Readonly<Record<Standing, string>> = {
  vendor: 'vendor', measured: 'measured', partly: 'estimate in part', estimate: 'estimate', given: 'given',
};

const HEADINGS: Readonly<Record<Standing, string>> = {
  vendor: 'Vendor', measured: 'Measured', partly: 'Estimate in part', estimate: 'Estimate', given: 'Given by the caller',
};

/** A row for each group of causes: its prices by their standing. Standings that no price has are left out. */
export function priceTable(groups: readonly GroupPrices[]): Markup {
  const used = STANDINGS.filter((standing) => groups.some(({ prices }) => prices[standing].length > 0));
  const words = (text: string): Markup => html`<span class="words">${text}</span>`;
  const rows = groups.map(({ name, prices }) => [name, ...used.map((standing) => words(prices[standing].join(', ') || NONE))]);
  return html`<figure><figcaption><h3>How well the prices behind the causes are known</h3></figcaption>
${numberTable('Prices behind the causes, by their standing', ['Cause', ...used.map((standing) => words(HEADINGS[standing]))], rows)}</figure>`;
}
