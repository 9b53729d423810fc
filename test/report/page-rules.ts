/** What holds of every page of a report. */
import { expect, it } from 'vitest';
import { PAGE_SCRIPT } from '../../src/report/page-script.ts';
import { readPage, within, type PageElement } from './page-check.ts';

/** Tests of a page. @param make - makes the same page, from figures of its own, every time */
export function keepsRules(make: () => string): void {
  const page = make();
  const elements = readPage(page);

  it('is the same every time', () => {
    expect(make()).toBe(page);
  });

  it('holds no number that is none', () => {
    for (const { tag, text, attributes } of elements) {
      if (tag !== 'script' && tag !== 'style') expect(text).not.toMatch(/NaN|undefined|Infinity/);
      expect(Object.values(attributes).join(' ')).not.toMatch(/NaN|undefined|Infinity/);
    }
  });

  it('refers to nothing outside, and inside only to what is there', () => {
    expect(page).not.toMatch(/https?:|url\((?!#)|@import|\ssrc=/);
    const ids = elements.flatMap(({ attributes: { id } }) => (id === undefined ? [] : [id]));
    expect(new Set(ids).size).toBe(ids.length);
    for (const { attributes } of elements) {
      const refs = [attributes['aria-labelledby'], attributes['aria-describedby'],
        attributes['href']?.replace(/^#/, ''), attributes['fill']?.match(/url\(#(.*)\)/)?.[1]];
      for (const ref of refs) if (ref !== undefined) expect(ids).toContain(ref);
    }
  });

  isWellBuilt(elements);
}

function isWellBuilt(elements: readonly PageElement[]): void {
  it('has one h1, headings without jumps, titled drawings and labelled scroll areas', () => {
    const levels = elements.filter(({ tag }) => /^h[1-6]$/.test(tag)).map(({ tag }) => Number(tag[1]));
    expect(levels.filter((level) => level === 1)).toHaveLength(1);
    levels.forEach((level, i) => expect(level - (levels[i - 1] ?? 0)).toBeLessThanOrEqual(1));
    for (const svg of elements.filter(({ tag, attributes }) => tag === 'svg' && attributes['aria-hidden'] !== 'true')) {
      expect(svg.attributes['role']).toBe('img');
      expect(elements.find((element) => element.tag === 'title' && element.parent === svg)?.text).toBeTruthy();
      expect(elements.find((element) => element.tag === 'desc' && element.parent === svg)?.text).toBeTruthy();
    }
    for (const table of elements.filter(({ tag }) => tag === 'table')) {
      expect(within(table, ({ attributes: { role, tabindex } }) => role === 'region' && tabindex === '0')).toBe(true);
    }
  });

  it('runs its own script only, whatever names say', () => {
    const scripts = elements.filter(({ tag }) => tag === 'script');
    expect(scripts.filter(({ attributes }) => attributes['type'] !== 'application/json').map(({ text }) => text))
      .toEqual([PAGE_SCRIPT]);
    for (const { text, attributes } of scripts) if (attributes['type'] !== undefined) JSON.parse(text);
    const names = elements.flatMap(({ attributes }) => Object.keys(attributes));
    expect(names.filter((name) => name.startsWith('on'))).toEqual([]);
  });

  it('keeps every mark in step with its numbers', () => {
    for (const stage of elements.filter(({ attributes }) => attributes['class'] === 'stage')) {
      const inside = elements.filter((element) => within(element, (outer) => outer === stage));
      const data = JSON.parse(inside.find(({ tag }) => tag === 'script')!.text) as
        { xs: string[]; rows: { name: string; say: string[] }[] };
      for (const { attributes: { 'data-row': row, 'data-col': col, points } } of inside) {
        if (row === undefined) continue;
        const say = data.rows[Number(row)]?.say;
        expect(say).toBeDefined();
        if (col !== undefined) expect(say![Number(col)]).toBeTruthy();
        else if (points !== undefined) expect(points.split(' ').filter(Boolean)).toHaveLength(say!.length);
      }
    }
  });
}
