/**
 * `npm run bench`: how fast the engines are, beside a native limit, and what everything around them costs.
 *
 *   npm run bench -- [--runs N] [--only WORDS] [--limit FOLDER] [--json FILE]
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { STREAMS } from './limit-work.ts';
import { Native } from './native.ts';
import { CALLERS, ENGINES, measureRows, type BenchRow } from './rows.ts';
import { table } from './table.ts';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '7' }, only: { type: 'string', default: '' }, limit: { type: 'string', default: '../shared/bench/limit' }, json: { type: 'string' },
  },
});
const runs = Number(values.runs), accesses = Number(process.env['NT'] ?? 1_000_000);
if (!Number.isInteger(runs) || runs < 1) throw new Error('--runs: expected a whole number from 1');
if (!Number.isInteger(accesses) || accesses < 1000) throw new Error('NT: expected a whole number of accesses from 1000');
const words = values.only.split(',').map(word => word.trim()).filter(word => word !== '');
const unknown = words.find(word => ![...ENGINES, ...CALLERS, ...STREAMS].some(known => known === word));
if (unknown !== undefined) throw new Error(`--only: expected some of ${[...ENGINES, ...CALLERS, ...STREAMS].join(', ')}, got ${unknown}`);
/** Those of the list that `--only` names; all of them, if it names none. */
const chosen = <T extends string>(list: readonly T[]): T[] => (list.some(x => words.includes(x)) ? list.filter(x => words.includes(x)) : [...list]);

const native = Native.find(values.limit);
try {
  const rows = await measureRows({ engines: chosen(ENGINES), callers: chosen(CALLERS), streams: chosen(STREAMS) }, native, runs, accesses);
  const commit = execFileSync('git', ['describe', '--always', '--dirty'], { encoding: 'utf8' }).trim();
  console.log(`${cpus().length} x ${cpus()[0]!.model}, Node ${process.version}, commit ${commit}`);
  console.log(`npm run bench -- ${process.argv.slice(2).join(' ')}   (NT=${accesses}; ${native?.command ?? 'no native limit'})`);
  console.log(`CPU nanoseconds an access, medians of ${runs} runs in turn with the limit's\n`);
  console.log(table(['engine', 'caller', 'stream', 'ns', 'limit ns', 'ratio'], rows.map(cells)));
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ rows }, undefined, 1)}\n`);
} finally {
  native?.remove();
}

function cells(row: BenchRow): string[] {
  return [row.engine, row.caller, row.stream, row.ns.toFixed(2), row.limit_ns?.toFixed(2) ?? '', row.ratio?.toFixed(2) ?? ''];
}
