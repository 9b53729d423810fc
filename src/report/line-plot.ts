/** Line charts: axes, a line for each series with markers and, where there is room, its name at its end. */

import { html, px } from './markup.ts';
import type { Markup } from './markup.ts';
import { clip, drawnWidth } from './plot.ts';
import type { Canvas, Drawing } from './plot.ts';
import type { Scale } from './scale.ts';
import { COLOURS, marker } from './series-look.ts';
import type { SeriesLook } from './series-look.ts';

/** A line through points in the order of the plot's columns. */
export interface Line {
  readonly name: string;
  readonly look: SeriesLook;
  readonly points: readonly (readonly [x: number, y: number])[];
}

/** An axis: what it measures, how to place values between two positions, and how to write its ticks. */
export interface Axis {
  readonly title: string;
  readonly scale: (from: number, to: number, wanted: number) => Scale;
  readonly tick: (value: number) => string;
}

/** Everything a line chart shows. */
export interface LinePlot {
  readonly x: Axis;
  readonly y: Axis;
  readonly lines: readonly Line[];
  /** Markers on every point rather than on a few. */
  readonly markAll?: boolean;
}

interface Frame {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
  readonly x: Scale;
  readonly y: Scale;
}

/** Draws axes, lines and names. */
export function drawLines(plot: LinePlot, canvas: Canvas): Drawing {
  const height = canvas.narrow ? 250 : 290;
  const named = !canvas.narrow && plot.lines.length > 1 && plot.lines.length <= COLOURS;
  const frame = frameOf(plot, canvas, height, named);
  return {
    height,
    body: html`${axes(plot, frame)}${plot.lines.map((line, row) => drawLine(line, row, frame, plot))}\
${named && endNames(plot.lines, frame)}`,
  };
}

function frameOf(plot: LinePlot, canvas: Canvas, height: number, named: boolean): Frame {
  const [top, bottom] = [30, height - 44];
  const y = plot.y.scale(bottom, top, canvas.narrow ? 4 : 5);
  const left = 14 + Math.max(...y.ticks.map((tick) => drawnWidth(plot.y.tick(tick))));
  const names = named ? Math.min(170, 26 + Math.max(...plot.lines.map((line) => drawnWidth(line.name)))) : 0;
  const right = canvas.width - Math.max(20, names);
  return { left, right, top, bottom, x: plot.x.scale(left, right, canvas.narrow ? 4 : 8), y };
}

function axes(plot: LinePlot, { left, right, top, bottom, x, y }: Frame): Markup {
  return html`<g class="axes">\
${y.ticks.map((tick) => html`<path class="grid" d="M${px(left)} ${px(y.at(tick))}H${px(right)}"/>\
<text class="tick end" x="${px(left - 7)}" y="${px(y.at(tick) + 4)}">${plot.y.tick(tick)}</text>`)}\
<path class="axis" d="M${px(left)} ${px(top)}V${px(bottom)}H${px(right)}"/>\
${x.ticks.map((tick) => html`<path class="axis" d="M${px(x.at(tick))} ${px(bottom)}v5"/>\
<text class="tick mid" x="${px(x.at(tick))}" y="${px(bottom + 19)}">${plot.x.tick(tick)}</text>`)}\
<text class="title" x="2" y="14">${plot.y.title}</text>\
<text class="title end" x="${px(right)}" y="${px(bottom + 38)}">${plot.x.title}</text></g>`;
}

function drawLine(line: Line, row: number, { x, y }: Frame, plot: LinePlot): Markup {
  const places = line.points.map(([px0, py0]) => [x.at(px0), y.at(py0)] as const);
  const every = plot.markAll === true ? 1 : Math.max(1, Math.ceil(places.length / 6));
  const phase = places.length <= 6 ? 0 : Math.floor((every * row) / Math.max(1, plot.lines.length));
  const marked = places.filter((_, i) => i % every === phase % every);
  return html`<g class="series c${line.look.colour}" data-row="${row}">\
<polyline class="line" data-row="${row}" stroke-dasharray="${line.look.dash}" \
points="${places.map(([a, b]) => `${px(a)},${px(b)}`).join(' ')}"/>\
${marked.map(([a, b]) => marker(line.look, a, b))}</g>`;
}

/** Names at the ends of the lines, moved apart so that none covers another, each with a thin leader. */
function endNames(lines: readonly Line[], { right, top, bottom, x, y }: Frame): Markup {
  const ends = lines.flatMap((line, row) => {
    const last = line.points.at(-1);
    return last === undefined ? [] : [{ line, row, x: x.at(last[0]), y: y.at(last[1]) }];
  });
  const places = spread(ends.map((end) => end.y), 15, top - 8, bottom + 4);
  return html`<g class="names">${ends.map((end, i) => html`\
<g class="series c${end.line.look.colour}" data-row="${end.row}">\
<path class="leader" d="M${px(end.x + 3)} ${px(end.y)}L${px(right + 12)} ${px(places[i]!)}"/>\
<text x="${px(right + 16)}" y="${px(places[i]! + 4)}">${clip(end.line.name, 150)}</text></g>`)}</g>`;
}

/** Positions near the wanted ones, in the same order, at least `gap` apart and within bounds if they fit. */
export function spread(wanted: readonly number[], gap: number, low: number, high: number): readonly number[] {
  const order = wanted.map((_, i) => i).sort((a, b) => wanted[a]! - wanted[b]! || a - b);
  const placed = wanted.map((at) => Math.min(high, Math.max(low, at)));
  for (let i = 1; i < order.length; i++) {
    placed[order[i]!] = Math.max(placed[order[i]!]!, placed[order[i - 1]!]! + gap);
  }
  let limit = high;
  for (const i of order.reverse()) {
    placed[i] = Math.min(placed[i]!, limit);
    limit = placed[i]! - gap;
  }
  return placed;
}
