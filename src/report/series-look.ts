/**
 * How a run looks in line charts. Colour never stands alone: each colour comes with a marker of its own shape, and the
 * page size policy with a dash pattern.
 */

import type { ReplayRun } from '../trace/replay-result.ts';
import { html, px } from './markup.ts';
import type { Markup } from './markup.ts';
import { runLabel } from './run-figures.ts';

/** Colours in the style sheet (`--s0` …), and as many markers. */
export const COLOURS = 8;

const DASHES = ['', '7 4', '2 3', '10 3 2 3', '14 4', '5 2 1 2 1 2'] as const;

/** Colour and marker, and dash pattern, by number. */
export interface SeriesLook {
  readonly colour: number;
  readonly dash: string;
}

/** Looks that differ from each other, for up to 48 runs. */
export function seriesLooks(runs: readonly ReplayRun[]): readonly SeriesLook[] {
  const cpus = [...new Set(runs.map((run) => run.cpu))];
  const policies = [...new Set(runs.map((run) => run.pages))];
  return runs.map((run, i) => {
    const cpu = cpus.indexOf(run.cpu);
    const policy = policies.indexOf(run.pages);
    const few = runs.length <= COLOURS;
    const dash = few ? policy : policy + policies.length * Math.floor(cpu / COLOURS);
    return { colour: (few ? i : cpu) % COLOURS, dash: DASHES[dash % DASHES.length] ?? '' };
  });
}

/** A marker around a point: circle, square, triangles, diamond, plus, cross, hexagon. */
export function marker(look: SeriesLook, x: number, y: number): Markup {
  return html`<path class="marker" d="${shape(look.colour, x, y)}"/>`;
}

function shape(kind: number, x: number, y: number): string {
  const polygon = (...points: readonly (readonly [number, number])[]) =>
    `M${points.map(([dx, dy]) => `${px(x + dx)} ${px(y + dy)}`).join('L')}Z`;
  switch (kind) {
    case 0: return `M${px(x - 4)} ${px(y)}a4 4 0 1 0 8 0a4 4 0 1 0 -8 0Z`;
    case 1: return polygon([-3.6, -3.6], [3.6, -3.6], [3.6, 3.6], [-3.6, 3.6]);
    case 2: return polygon([0, -4.8], [4.6, 3.4], [-4.6, 3.4]);
    case 3: return polygon([0, -5.2], [5.2, 0], [0, 5.2], [-5.2, 0]);
    case 4: return polygon([0, 4.8], [4.6, -3.4], [-4.6, -3.4]);
    case 5: return polygon([-1.6, -5], [1.6, -5], [1.6, -1.6], [5, -1.6], [5, 1.6], [1.6, 1.6], [1.6, 5], [-1.6, 5],
      [-1.6, 1.6], [-5, 1.6], [-5, -1.6], [-1.6, -1.6]);
    case 6: return polygon([-4.6, -2.4], [-2.4, -4.6], [0, -2.2], [2.4, -4.6], [4.6, -2.4], [2.2, 0], [4.6, 2.4],
      [2.4, 4.6], [0, 2.2], [-2.4, 4.6], [-4.6, 2.4], [-2.2, 0]);
    default: return polygon([-5, 0], [-2.5, -4.3], [2.5, -4.3], [5, 0], [2.5, 4.3], [-2.5, 4.3]);
  }
}

/** Which line is which, as a list. */
export function lineLegend(lines: readonly { readonly name: string; readonly look: SeriesLook }[]): Markup {
  return html`<ul class="legend">${lines.map(({ name, look }) => html`<li>\
<svg class="swatch" width="38" height="14" viewBox="0 0 38 14" aria-hidden="true">\
<g class="series c${look.colour}"><path class="line" stroke-dasharray="${look.dash}" d="M1 7H37"/>\
${marker(look, 19, 7)}</g></svg>${name}</li>`)}</ul>`;
}

/** Which line is which run. */
export function seriesLegend(runs: readonly ReplayRun[]): Markup {
  const looks = seriesLooks(runs);
  return lineLegend(runs.map((run, i) => ({ name: runLabel(run), look: looks[i]! })));
}
