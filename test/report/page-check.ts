/** A small, strict reader of the HTML that the report writes: every tag closed, every attribute quoted. */

/** An element as read. */
export interface PageElement {
  readonly tag: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly parent: PageElement | undefined;
  text: string;
}

const VOID = new Set(['meta', 'link', 'br', 'hr', 'img', 'input']);

/** @returns all elements in the order of their start tags; throws with the place where the text is not well formed */
export function readPage(page: string): readonly PageElement[] {
  const all: PageElement[] = [];
  let open: PageElement | undefined;
  let i = page.indexOf('>') + 1;
  if (page.slice(0, i) !== '<!DOCTYPE html>') throw new Error('no doctype');
  while (i < page.length) {
    const raw = open !== undefined && (open.tag === 'script' || open.tag === 'style');
    const next = page.indexOf(raw ? `</${open!.tag}` : '<', i);
    const text = page.slice(i, next < 0 ? page.length : next);
    if (!raw && /&(?!amp;|lt;|gt;|quot;|#39;)/.test(text)) throw new Error(`bare & in ${text.slice(0, 60)}`);
    if (!raw && text.includes('>')) throw new Error(`bare > in ${text.slice(0, 60)}`);
    if (open !== undefined) open.text += text;
    if (next < 0) break;
    const end = page.slice(next).match(/^<\/([a-z0-9]+)>/i);
    const start = page.slice(next).match(/^<([a-z][a-z0-9]*)((?:\s+[a-zA-Z][\w:-]*(?:="[^"<]*")?)*)\s*(\/?)>/i);
    if (end) {
      if (open?.tag !== end[1]) throw new Error(`</${end[1]}> closes <${open?.tag}> at ${next}`);
      open = open!.parent;
      i = next + end[0].length;
    } else if (start) {
      const element = { tag: start[1]!, attributes: readAttributes(start[2]!), parent: open, text: '' };
      all.push(element);
      if (!VOID.has(element.tag) && start[3] === '') open = element;
      i = next + start[0].length;
    } else throw new Error(`not a tag: ${page.slice(next, next + 80)}`);
  }
  if (open !== undefined) throw new Error(`<${open.tag}> is never closed`);
  return all;
}

/** Whether `element` is inside one for which `test` holds. */
export function within(element: PageElement, test: (outer: PageElement) => boolean): boolean {
  for (let outer = element.parent; outer !== undefined; outer = outer.parent) if (test(outer)) return true;
  return false;
}

function readAttributes(text: string): Record<string, string> {
  const out: Record<string, string> = {};
  for (const [, name, value] of text.matchAll(/([a-zA-Z][\w:-]*)(?:="([^"]*)")?/g)) {
    if (name! in out) throw new Error(`attribute ${name} twice`);
    out[name!] = value ?? '';
  }
  return out;
}
