/** A plan: what to replay on what, as a user writes it in JSON, checked. */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { ConfigError } from '../errors.ts';
import type { CpuModel } from '../cost/cpu-model.ts';
import { findPreset, presets } from '../cost/presets/all.ts';
import { NUMA_POLICIES, PAGE_POLICIES, type NumaPolicy, type PagePolicy } from '../trace/placement.ts';
import { TRACE_FORMATS, type TraceFormat } from '../trace/trace-format.ts';

export interface PlanTrace {
  /** What results call it; no two traces of a plan have the same. */
  readonly name: string;
  readonly path: string;
  /** As stored. */
  readonly bytes: number;
  /** Undefined: told from the first bytes. */
  readonly format: TraceFormat | undefined;
}

/** Every list has at least one value, and none twice; their cross product is the sweep. */
export interface SweepPlan {
  readonly traces: readonly PlanTrace[];
  readonly cpus: readonly CpuModel[];
  readonly pages: readonly PagePolicy[];
  /** Price the accesses themselves too. */
  readonly data: readonly boolean[];
  /** Numbers of NUMA nodes. */
  readonly nodes: readonly number[];
  readonly numa: readonly NumaPolicy[];
  /** Accesses at which each replay stops; undefined: at the end of the trace. */
  readonly limit: number | undefined;
  /** Pass over malformed records. */
  readonly skipBad: boolean;
}

/** Where a plan is, and how it finds processors that are files. */
export interface PlanContext {
  /** What messages call the plan: its file. */
  readonly name: string;
  /** Names of files are relative to it. */
  readonly folder: string;
  readonly readCpu: (path: string) => CpuModel;
}

const FIELDS = ['traces', 'cpus', 'pages', 'data', 'nodes', 'numa', 'limit', 'skipBad'];
const TRACE_FIELDS = ['file', 'name', 'format'];
const MAX_NODES = 8;

/**
 * @param data - parsed JSON
 * @throws ConfigError - a field is missing, unknown or cannot be; named by its path, as `plan.json.traces[1].file`
 * @throws InputError - the file of a processor
 */
export function checkPlan(data: unknown, context: PlanContext): SweepPlan {
  const { name: at } = context, f = fieldsOf(data, at, FIELDS);
  const plan: SweepPlan = {
    traces: listIn(f, at, 'traces', (item, field) => traceOf(item, field, context.folder), trace => trace.name),
    cpus: listIn(f, at, 'cpus', (item, field) => cpuOf(item, field, context), cpu => cpu.name),
    pages: listIn(f, at, 'pages', (item, field) => wordOf(item, field, PAGE_POLICIES), String, ['4k']),
    data: listIn(f, at, 'data', booleanOf, String, [false]),
    nodes: listIn(f, at, 'nodes', (item, field) => integerOf(item, field, MAX_NODES), String, [1]),
    numa: listIn(f, at, 'numa', (item, field) => wordOf(item, field, NUMA_POLICIES), String, ['first-touch']),
    limit: f.limit === undefined ? undefined : integerOf(f.limit, `${at}.limit`, Number.MAX_SAFE_INTEGER),
    skipBad: f.skipBad === undefined ? false : booleanOf(f.skipBad, `${at}.skipBad`),
  };
  const without = plan.pages.includes('1g') ? plan.cpus.find(cpu => !cpu.pages1g) : undefined;
  if (without) throw new ConfigError(`${at}.pages`, `sizes that ${without.name} has (it has no 1-GByte pages)`, '1g');
  return plan;
}

function traceOf(item: unknown, at: string, folder: string): PlanTrace {
  if (typeof item === 'string') return { name: textOf(item, at), ...fileOf(item, at, folder), format: undefined };
  const { file, name = file, format } = fieldsOf(item, at, TRACE_FIELDS, 'the name of a file, or an object');
  return {
    ...fileOf(textOf(file, `${at}.file`), `${at}.file`, folder), name: textOf(name, `${at}.name`),
    format: format === undefined ? undefined : wordOf(format, `${at}.format`, TRACE_FORMATS),
  };
}

/** A file that can be read more than once. */
function fileOf(file: string, at: string, folder: string): { path: string; bytes: number } {
  const path = resolve(folder, file), info = statSync(path, { throwIfNoEntry: false });
  if (!info?.isFile()) throw new ConfigError(at, 'the name of a plain file', info ? `${path} (something else)` : `${path} (not there)`);
  return { path, bytes: info.size };
}

function cpuOf(item: unknown, at: string, { folder, readCpu }: PlanContext): CpuModel {
  const text = textOf(item, at);
  return /\.json$/i.test(text) ? readCpu(resolve(folder, text)) : findPreset(wordOf(text, at, Object.keys(presets)));
}

/** A list, or one value in its stead. */
function listIn<T>(
  fields: Record<string, unknown>, at: string, field: string, read: (item: unknown, at: string) => T, identity: (value: T) => string, missing?: T[],
): T[] {
  const given = fields[field], name = `${at}.${field}`;
  if (given === undefined && missing) return missing;
  if (!Array.isArray(given)) {
    if (!missing) throw new ConfigError(name, 'a list', given);
    return [read(given, name)];
  }
  if (given.length === 0) throw new ConfigError(name, 'a list of at least one', given);
  const values = given.map((item, k) => read(item, `${name}[${k}]`)), seen = new Set<string>();
  values.forEach((value, k) => {
    if (seen.has(identity(value))) throw new ConfigError(`${name}[${k}]`, 'another than those before', identity(value));
    seen.add(identity(value));
  });
  return values;
}

function fieldsOf(data: unknown, at: string, known: readonly string[], expected = 'an object'): Record<string, unknown> {
  if (typeof data !== 'object' || data === null || Array.isArray(data)) throw new ConfigError(at, expected, data);
  const stranger = Object.keys(data).find(key => !known.includes(key));
  if (stranger !== undefined) throw new ConfigError(`${at}.${stranger.slice(0, 40)}`, `one of the fields ${known.join(', ')}`, stranger);
  return { ...data };
}

function textOf(value: unknown, at: string): string {
  if (typeof value !== 'string' || value === '') throw new ConfigError(at, 'a text that is not empty', value);
  return value;
}

function wordOf<T extends string>(value: unknown, at: string, known: readonly T[]): T {
  if (!known.includes(value as T)) throw new ConfigError(at, `one of ${known.join(', ')}`, value);
  return value as T;
}

function booleanOf(value: unknown, at: string): boolean {
  if (typeof value !== 'boolean') throw new ConfigError(at, 'true or false', value);
  return value;
}

function integerOf(value: unknown, at: string, most: number): number {
  if (!Number.isSafeInteger(value) || (value as number) < 1 || (value as number) > most) throw new ConfigError(at, `a whole number from 1 to ${most}`, value);
  return value as number;
}
