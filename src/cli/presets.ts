/** `pagewalk presets [NAME]`: the processors there are, and where each of their numbers is from. */
import { parseArgs } from 'node:util';
import { figure, type Sourced } from '../cost/cpu-model.ts';
import { findPreset, presets } from '../cost/presets/all.ts';
import { textTable } from '../report/table.ts';

export const PRESETS_HELP = `pagewalk presets [NAME...] [options] without NAME: the processors there are; with: every number of them with its standing
                                     (vendor, measured, estimate) and source

  --json           as plain data, as files for --cpu have it; of several, and without NAME of all, a list`;

/** @returns exit status */
export function presetsCommand(argv: readonly string[], print: (text: string) => void): number {
  const { values, positionals } = parseArgs({ args: [...argv], allowPositionals: true, options: { json: { type: 'boolean', default: false } } });
  if (positionals.length === 0 && values.json) {
    print(JSON.stringify(Object.values(presets), undefined, 2));
    return 0;
  }
  if (positionals.length === 0) {
    const rows = Object.values(presets).map(p => [p.name, p.title, p.tlb.map(level => level.structures.filter(t => t.serves.includes('load') && t.holds.includes('4k'))
      .map(t => figure(t.sets) * figure(t.ways)).join('+')).join(' / ')]);
    print(textTable([{ heading: 'name', align: 'left' }, { heading: 'processor', align: 'left' }, { heading: '4K load entries', align: 'right' }], rows));
    return 0;
  }
  const models = positionals.map(findPreset);
  if (values.json) print(JSON.stringify(models.length === 1 ? models[0] : models, undefined, 2));
  else for (const model of models) print(textTable(['field', 'value', 'standing', 'source'].map(heading => ({ heading, align: 'left' as const })), figures(model, '')));
  return 0;
}

/** Every sourced number below `value`: its path, value, standing, source. */
function figures(value: unknown, path: string): string[][] {
  if (typeof value !== 'object' || value === null) return [];
  if ('from' in value && 'source' in value) {
    const { value: number, from, source } = value as Sourced;
    return [[path, String(number), from, source]];
  }
  return Object.entries(value).flatMap(([key, inner]) => figures(inner, Array.isArray(value) ? `${path}[${key}]` : path ? `${path}.${key}` : key));
}
