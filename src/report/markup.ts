/**
 * HTML that cannot be injected into: a template tag that escapes whatever is put in, unless it is markup already.
 * Every piece of a page is made with it, so a trace named `<script>` is a name, not a script.
 */

import { printable } from './number-format.ts';

/** Text that is HTML already. Made by `html` and `rawHtml` only. */
export class Markup {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** What a template takes: text and numbers are escaped, `false` and `undefined` vanish. */
export type Part = string | number | Markup | readonly Markup[] | false | undefined;

/** Tag for templates of HTML: html`<p>${name}</p>`. */
export function html(strings: TemplateStringsArray, ...parts: readonly Part[]): Markup {
  let text = strings[0] ?? '';
  for (let i = 0; i < parts.length; i++) text += partText(parts[i]) + (strings[i + 1] ?? '');
  return new Markup(text);
}

/** Vouches for a constant: a style sheet, a script of our own. Never for anything that came from a result. */
export function rawHtml(text: string): Markup {
  return new Markup(text);
}

/** Text for element content and quoted attributes. */
function escapeHtml(text: string): string {
  return printable(text).replace(/[&<>"']/g, (c) => ENTITIES[c] ?? c);
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;',
};

/** Data for the page's script, in an element that no browser runs. */
export function jsonBlock(data: unknown): Markup {
  const json = JSON.stringify(data).replace(/[<>&\u2028\u2029]/g, unicodeEscape);
  return new Markup(`<script type="application/json">${json}</script>`);
}

function unicodeEscape(c: string): string {
  return `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** A coordinate in a drawing: a tenth of a pixel is enough. */
export function px(n: number): string {
  return String(Math.round(n * 10) / 10);
}

function partText(part: Part): string {
  if (part === undefined || part === false) return '';
  if (part instanceof Markup) return part.text;
  if (Array.isArray(part)) return part.map((markup: Markup) => partText(markup)).join('');
  return escapeHtml(String(part));
}
