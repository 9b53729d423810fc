/** Horizontal stacked bars, one for each run: lengths in proportion, parts hatched and, where wide, labelled. */

import { html, px } from './markup.ts';
import type { Markup } from './markup.ts';
import { clip, drawnWidth } from './plot.ts';
import type { Canvas, Drawing } from './plot.ts';
import type { Scale } from './scale.ts';

/** A part of every bar. `paint` is a class of the style sheet, also used as `on-…` for text on it. */
export interface Segment {
  readonly name: string;
  readonly paint: string;
  /** Number of a hatch pattern over the colour. */
  readonly hatch?: number;
}

/** A bar: a length for each segment, and the label at its end. */
export interface Bar {
  readonly name: string;
  readonly lengths: readonly number[];
  readonly labels: readonly string[];
  readonly end: string;
}

/** Everything a bar chart shows. */
export interface StackedBars {
  readonly axis: string;
  readonly segments: readonly Segment[];
  readonly bars: readonly Bar[];
  readonly scale: (from: number, to: number, wanted: number) => Scale;
  readonly tick: (value: number) => string;
}

const THICK = 24;

/** Draws the bars under a common axis. */
export function drawBars(plot: StackedBars, canvas: Canvas): Drawing {
  const pitch = canvas.narrow ? THICK + 24 : THICK + 11;
  const names = Math.max(...plot.bars.map((bar) => drawnWidth(bar.name)));
  const left = canvas.narrow ? 4 : Math.min(210, names + 16);
  const ends = Math.max(...plot.bars.map((bar) => drawnWidth(bar.end)));
  const right = canvas.width - Math.max(16, ends + 14);
  const top = 8;
  const bottom = top + plot.bars.length * pitch + 2;
  const scale = plot.scale(left, right, canvas.narrow ? 4 : 8);
  return {
    height: bottom + 44,
    body: html`<g class="axes">${scale.ticks.map((tick) => html`\
<path class="grid" d="M${px(scale.at(tick))} ${px(top)}V${px(bottom)}"/>\
<text class="tick mid" x="${px(scale.at(tick))}" y="${px(bottom + 17)}">${plot.tick(tick)}</text>`)}\
<path class="axis" d="M${px(left)} ${px(top)}V${px(bottom)}"/>\
<text class="title end" x="${px(right)}" y="${px(bottom + 37)}">${plot.axis}</text></g>\
${plot.bars.map((bar, row) => drawBar(plot, bar, row, { y: top + row * pitch, left, scale, narrow: canvas.narrow }))}`,
  };
}

interface Place {
  readonly y: number;
  readonly left: number;
  readonly scale: Scale;
  readonly narrow: boolean;
}

function drawBar(plot: StackedBars, bar: Bar, row: number, { y, left, scale, narrow }: Place): Markup {
  const top = narrow ? y + 18 : y + 5;
  let sum = 0;
  const parts = plot.segments.map((segment, col) => {
    const from = scale.at(sum);
    sum += bar.lengths[col] ?? 0;
    return drawPart(segment, bar.labels[col] ?? '', { x: from, y: top, width: scale.at(sum) - from, row, col });
  });
  const middle = top + THICK / 2 + 4.5;
  return html`<g class="bar">${narrow
    ? html`<text class="name" x="${px(left + 5)}" y="${px(y + 13)}">${clip(bar.name, 330)}</text>`
    : html`<text class="name end" x="${px(left - 8)}" y="${px(middle)}">${clip(bar.name, 196)}</text>`}\
${parts}<text class="value" x="${px(scale.at(sum) + 6)}" y="${px(middle)}">${bar.end}</text></g>`;
}

interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly row: number;
  readonly col: number;
}

function drawPart(segment: Segment, label: string, { x, y, width, row, col }: Box): Markup {
  if (!(width > 0)) return html``;
  const box = html`x="${px(x)}" y="${px(y)}" width="${precise(width)}" height="${THICK}"`;
  const room = drawnWidth(label) + 8;
  const middle = x + width / 2;
  return html`<rect class="part ${segment.paint}" ${box} data-row="${row}" data-col="${col}"/>\
${segment.hatch !== undefined && html`<rect class="hatch" ${box} fill="url(#hatch-${segment.hatch})"/>`}\
${width > room + 4 && label !== '' && html`<rect class="chip ${segment.paint}" x="${px(middle - room / 2)}" \
y="${px(y + 3)}" width="${px(room)}" height="${THICK - 6}"/>\
<text class="mid on-${segment.paint}" x="${px(middle)}" y="${px(y + THICK / 2 + 4.5)}">${label}</text>`}`;
}

/** Bar lengths keep more digits than positions: they are the data. */
function precise(n: number): string {
  return String(Math.round(n * 1000) / 1000);
}

/** Which part of a bar is what. */
export function segmentLegend(segments: readonly Segment[]): Markup {
  return html`<ul class="legend">${segments.map((segment) => html`<li>\
<svg class="swatch" width="26" height="14" viewBox="0 0 26 14" aria-hidden="true">\
<rect class="part ${segment.paint}" x="1" y="1" width="24" height="12"/>\
${segment.hatch !== undefined
    && html`<rect class="hatch" x="1" y="1" width="24" height="12" fill="url(#hatch-${segment.hatch})"/>`}</svg>\
${segment.name}</li>`)}</ul>`;
}
