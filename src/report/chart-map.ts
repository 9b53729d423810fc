/**
 * The address space: a block for each touched region, low addresses on top. Heights grow with the logarithm of the
 * size, gaps are squeezed into labelled breaks, and beside each block stand its loads, stores and fetches.
 */

import type { ReplayResult } from '../trace/replay-result.ts';
import { mapRows, spanBytes } from './map-rows.ts';
import type { MapRow } from './map-rows.ts';
import { html, px } from './markup.ts';
import type { Markup } from './markup.ts';
import { bytes, count, percent, short } from './number-format.ts';
import type { Canvas, Drawing, Plot } from './plot.ts';
import { logScale } from './scale.ts';
import type { Scale } from './scale.ts';
import { segmentLegend } from './stacked-bars.ts';
import type { Segment } from './stacked-bars.ts';

/** Most rows drawn; close regions are drawn as one beyond that. */
export const MOST_ROWS = 24;

const KINDS: readonly (Segment & { readonly field: 'loads' | 'stores' | 'fetches' })[] = [
  { field: 'loads', name: 'loads', paint: 'kind-0' },
  { field: 'stores', name: 'stores', paint: 'kind-1', hatch: 0 },
  { field: 'fetches', name: 'fetches', paint: 'kind-2', hatch: 1 },
];

const LEAST = 36; // height of a block of one page: two lines of text
const BREAK = 30; // height of a gap

/** The map of the trace. */
export function mapPlot({ trace }: ReplayResult): Plot {
  const rows = mapRows(trace.map, MOST_ROWS);
  const merged = rows.length < trace.map.length;
  return {
    id: 'address-map',
    title: 'Map of the address space',
    desc: `${count(trace.map.length)} regions touched`
      + `${merged ? `, close ones drawn as one, ${rows.length} in all` : ''}. `
      + `${rows.slice(0, 6).map((row) => `${hex(row.start)}: ${bytes(spanBytes(row))}, ${words(row)}`).join('; ')}.`,
    legend: segmentLegend([
      { name: 'touched share of the region', paint: 'block' }, ...KINDS,
    ]),
    data: {
      corner: 'Region', tall: false,
      xs: ['size', 'pages touched', ...KINDS.map((kind) => kind.name)],
      rows: rows.map((row) => ({
        name: `${hex(row.start)} to ${hex(row.end)}${row.regions > 1 ? ` (${row.regions} regions)` : ''}`,
        say: [bytes(spanBytes(row)), `${count(row.pages)} (${percent(row.pages * 4096, spanBytes(row))} %)`,
          ...KINDS.map(({ field }) => count(row[field]))],
      })),
    },
    draw: (canvas) => drawMap(rows, canvas),
  };
}

function drawMap(rows: readonly MapRow[], canvas: Canvas): Drawing {
  const left = canvas.narrow ? 2 : 6;
  const blockLeft = left + (canvas.narrow ? 136 : 150);
  const blockWidth = canvas.narrow ? 76 : 230;
  const barsLeft = blockLeft + blockWidth + 14;
  const most = Math.max(10, ...rows.flatMap((row) => [row.loads, row.stores, row.fetches]));
  const scale = logScale(1, most, barsLeft, canvas.width - (canvas.narrow ? 44 : 64), canvas.narrow ? 3 : 6);
  let y = 42;
  const parts = rows.map((row, i) => {
    if (i > 0) y += row.gap > 0 ? BREAK : 3;
    const height = blockHeight(row);
    const top = y;
    y += height;
    return html`${i > 0 && row.gap > 0 && drawGap(row.gap, top - BREAK, blockLeft, blockWidth)}\
${drawRow(row, i, { top, height, left, blockLeft, blockWidth, barsLeft, scale })}`;
  });
  return {
    height: y + 8,
    body: html`<g class="axes"><text class="title" x="${left}" y="13">start, size</text>\
<text class="title" x="${px(blockLeft)}" y="13">${canvas.narrow ? 'touched' : 'share of pages touched'}</text>\
<text class="title" x="${px(barsLeft)}" y="13">${canvas.narrow ? 'accesses' : 'accesses, logarithmic'}</text>\
${scale.ticks.map((tick) => html`<path class="grid" d="M${px(scale.at(tick))} 37V${px(y + 4)}"/>\
<text class="tick mid" x="${px(scale.at(tick))}" y="31">${short(tick)}</text>`)}</g>${parts}`,
  };
}

/** One page is `LEAST` high, and each doubling adds a little. */
function blockHeight(row: MapRow): number {
  return LEAST + 3.5 * Math.log2(Math.max(1, spanBytes(row) / 4096));
}

interface Place {
  readonly top: number;
  readonly height: number;
  readonly left: number;
  readonly blockLeft: number;
  readonly blockWidth: number;
  readonly barsLeft: number;
  readonly scale: Scale;
}

function drawRow(row: MapRow, i: number, place: Place): Markup {
  const { top, height, left, blockLeft, blockWidth } = place;
  const touched = Math.min(1, (row.pages * 4096) / spanBytes(row)) * blockWidth;
  const middle = top + height / 2;
  return html`<g class="region"><text class="address" x="${left}" y="${px(middle - 3)}">${hex(row.start)}</text>\
<text class="tick" x="${left}" y="${px(middle + 12)}">${bytes(spanBytes(row))}\
${row.regions > 1 && `, ${row.regions} regions`}</text>\
<rect class="outline" x="${px(blockLeft)}" y="${px(top)}" width="${px(blockWidth)}" height="${px(height)}" \
data-row="${i}" data-col="0"/>\
<rect class="block" x="${px(blockLeft)}" y="${px(top)}" width="${px(Math.max(1, touched))}" height="${px(height)}" \
data-row="${i}" data-col="1"/>${drawKinds(row, i, place)}</g>`;
}

function drawKinds(row: MapRow, i: number, { top, height, barsLeft, scale }: Place): Markup {
  const pitch = 11;
  const first = top + height / 2 - 1.5 * pitch;
  return html`${KINDS.map(({ field, paint, hatch }, k) => {
    const n = row[field];
    if (!(n > 0)) return html``;
    const end = Math.max(barsLeft + 3, scale.at(n));
    const y = first + k * pitch;
    const box = html`x="${px(barsLeft)}" y="${px(y)}" width="${px(end - barsLeft)}" height="8"`;
    return html`<rect class="part ${paint}" ${box} data-row="${i}" data-col="${k + 2}"/>\
${hatch !== undefined && html`<rect class="hatch" ${box} fill="url(#hatch-${hatch})"/>`}\
<text class="small" x="${px(end + 5)}" y="${px(y + 8)}">${short(n)}</text>`;
  })}`;
}

/** A torn edge and how much is missing. */
function drawGap(gap: number, top: number, x: number, width: number): Markup {
  const middle = top + BREAK / 2;
  const label = `${bytes(gap)} gap`;
  const teeth = (y: number) => `M${px(x)} ${px(y)}${'l4 3l4 -3'.repeat(Math.floor(width / 8))}`;
  return html`<g class="gap"><path d="${teeth(top + 2)}"/><path d="${teeth(top + BREAK - 5)}"/>\
<text class="small mid" x="${px(x + width / 2)}" y="${px(middle + 4)}">${label}</text></g>`;
}

function words(row: MapRow): string {
  return KINDS.map(({ field, name }) => `${count(row[field])} ${name}`).join(', ');
}

function hex(address: bigint): string {
  return `0x${address.toString(16)}`;
}
