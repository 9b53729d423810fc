/**
 * A report as one HTML page: no other files, no network, readable without its script. Drawn for screens light and dark,
 * narrow and wide, and for paper.
 */

import { html, rawHtml } from './markup.ts';
import type { Markup } from './markup.ts';
import { PAGE_SCRIPT, PAGE_SCRIPT_SHA256 } from './page-script.ts';
import { PAGE_STYLE } from './page-style.ts';

/** What a page is made of. */
export interface Page {
  /** What was run. */
  readonly name: string;
  /** The command. */
  readonly kicker: string;
  readonly headline: string;
  readonly sections: readonly PageSection[];
  readonly footer: Markup;
}

/** A part of a page that its list of contents names. */
export interface PageSection {
  readonly id: string;
  readonly title: string;
  readonly body: Markup;
}

/** The text of a page. */
export function pageHtml({ name, kicker, headline, sections, footer }: Page): string {
  const page = html`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; \
script-src 'sha256-${rawHtml(PAGE_SCRIPT_SHA256)}'">
<title>${name} – pagewalk report</title>
<style>${rawHtml(PAGE_STYLE)}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the results</a>
${hatches()}
<header>
<p class="kicker">${kicker}</p>
<h1><bdi>${name}</bdi></h1>
<p class="headline">${headline}</p>
<nav aria-label="Sections">
<ul>${sections.map(({ id, title }) => html`<li><a href="#${id}">${title}</a></li>`)}</ul>
</nav>
</header>
<main id="main" tabindex="-1">
${sections.map(({ id, title, body }) => html`<section id="${id}" aria-labelledby="${id}-h">
<h2 id="${id}-h">${title}</h2>
${body}
</section>\n`)}</main>
${footer}
<script>${rawHtml(PAGE_SCRIPT)}</script>
</body>
</html>
`;
  return page.text;
}

/** Patterns that tell parts apart without colour; the whole page uses these. */
function hatches(): Markup {
  const pattern = (i: number, size: number, body: Markup) => html`<pattern id="hatch-${i}" class="hatches" \
width="${size}" height="${size}" patternUnits="userSpaceOnUse">${body}</pattern>`;
  return html`<svg class="defs" aria-hidden="true" focusable="false"><defs>\
${pattern(0, 7, html`<path d="M-1 8L8 -1M-1 1L1 -1M6 8L8 6"/>`)}\
${pattern(1, 6, html`<circle cx="3" cy="3" r="0.8"/>`)}\
${pattern(2, 6, html`<path d="M3 0V6"/>`)}</defs></svg>`;
}
