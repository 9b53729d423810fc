/**
 * A plot: one drawing and the numbers in it. The numbers are kept once, as text, and serve three readers: the table
 * under the drawing, the keyboard readout and the tests. A drawing is made twice, for wide and for narrow screens, so
 * that its text stays readable; the style sheet shows one.
 */

import { html, jsonBlock, px } from './markup.ts';
import type { Markup } from './markup.ts';

/** The numbers of a plot as text. Marks in the drawing point here with `data-row` and `data-col`. */
export interface PlotData {
  /** Heading of the first column of the table: what `xs` (in a tall table) or the rows are. */
  readonly corner: string;
  /** What stands along a row: a point in time, a cause, a size. */
  readonly xs: readonly string[];
  readonly rows: readonly { readonly name: string; readonly say: readonly string[] }[];
  /** A tall table has a line for each of `xs`; otherwise one for each row. */
  readonly tall: boolean;
}

/** Where to draw. */
export interface Canvas {
  readonly width: number;
  readonly narrow: boolean;
}

/** What was drawn: SVG content for a view box of the canvas' width and this height. */
export interface Drawing {
  readonly height: number;
  readonly body: Markup;
}

/** A drawing with its title, its description in words, and its numbers. */
export interface Plot {
  /** Unique in the page; letters, digits, dashes. */
  readonly id: string;
  readonly title: string;
  /** What the drawing shows, for those who do not see it. */
  readonly desc: string;
  /** Explains marks and colours, above the drawing. */
  readonly legend?: Markup;
  readonly data: PlotData;
  readonly draw: (canvas: Canvas) => Drawing;
}

const WIDE: Canvas = { width: 880, narrow: false };
const NARROW: Canvas = { width: 400, narrow: true };

/** The plot as a figure: heading, legend, both drawings, readout, table of its numbers. */
export function plotHtml(plot: Plot): Markup {
  const empty = plot.data.rows.length === 0 || plot.data.xs.length === 0;
  if (empty) {
    return html`<figure id="${plot.id}"><figcaption><h3>${plot.title}</h3></figcaption>
<p class="empty">Nothing to draw: none were counted.</p></figure>\n`;
  }
  return html`<figure id="${plot.id}">
<figcaption><h3>${plot.title}</h3></figcaption>
${plot.legend}
<div class="stage" data-title="${plot.title}">
${svg(plot, WIDE)}
${svg(plot, NARROW)}
${jsonBlock(plot.data)}
</div>
<p class="readout" role="status" hidden></p>
<details><summary>Numbers of this chart</summary>
${dataTable(plot.title, plot.data)}
</details>
</figure>\n`;
}

function svg(plot: Plot, canvas: Canvas): Markup {
  const { height, body } = plot.draw(canvas);
  const kind = canvas.narrow ? 'narrow' : 'wide';
  const id = `${plot.id}-${kind}`;
  return html`<svg class="${kind}" viewBox="0 0 ${canvas.width} ${px(height)}" role="img" \
aria-labelledby="${id}-title" aria-describedby="${id}-desc"><title id="${id}-title">${plot.title}</title>\
<desc id="${id}-desc">${plot.desc}</desc>${body}</svg>`;
}

function dataTable(title: string, data: PlotData): Markup {
  const names = data.rows.map((row) => row.name);
  if (data.tall) {
    return numberTable(title, [data.corner, ...names],
      data.xs.map((x, c) => [x, ...data.rows.map((row) => row.say[c] ?? '')]));
  }
  return numberTable(title, [data.corner, ...data.xs], data.rows.map((row) => [row.name, ...row.say]));
}

/** A table of numbers that scrolls inside its own frame. The first cell of each row is its heading. */
export function numberTable(
  caption: string, headings: readonly (string | Markup)[], rows: readonly (readonly (string | Markup)[])[],
): Markup {
  return html`<div class="scroll" role="region" tabindex="0" aria-label="Table: ${caption}"><table>
<caption class="unseen">${caption}</caption>
<thead><tr>${headings.map((heading) => html`<th scope="col">${heading}</th>`)}</tr></thead>
<tbody>
${rows.map((row) => html`<tr>${row.map((cell, c) => c === 0
    ? html`<th scope="row">${cell}</th>` : html`<td>${cell}</td>`)}</tr>\n`)}</tbody></table></div>`;
}

/** Width of a text in a drawing, roughly: enough to leave room for it. */
export function drawnWidth(text: string): number {
  return [...text].reduce((sum, letter) => sum + (/[mwMW@%]/.test(letter) ? 12 : /[fijlrtI .,:;'|()-]/.test(letter) ? 5 : 7.7), 0);
}

/** A text cut to fit, in drawings only; tables have it in full. */
export function clip(text: string, width: number): string {
  const most = Math.max(2, Math.floor(width / 6.9));
  const letters = [...text];
  return letters.length <= most ? text : `${letters.slice(0, most - 1).join('')}…`;
}
