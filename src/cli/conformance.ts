/** `pagewalk conformance PATH...`: replays recorded behaviour and prints one line a file. */
import { parseArgs } from 'node:util';
import { ConfigError } from '../errors.ts';
import { NESTED_FORMAT, replayNested } from '../conformance/nested.ts';
import { PAGING_FORMAT, replayPaging } from '../conformance/paging.ts';
import { findRecordings, readRecording, type Recording } from '../conformance/recording.ts';
import { XEN_FORMAT, replayXen, type XenReplayOptions } from '../conformance/xen.ts';
import { engineOf, integerOf } from './options.ts';

export const CONFORMANCE_HELP = `pagewalk conformance PATH... [--engine NAME] [--stop] [--audit N] [--preempt N]

Replays recordings (.jsonl, .jsonl.gz), files or all of a folder, and prints NAME: N cases (or operations), D differences for each file;
exit status 1 if there is any difference.

  --engine NAME  auto, wasm, ts                                                     [auto]
  --stop         stop at the first difference
  --audit N      of Xen's transcripts: recount all references after every N operations
  --preempt N    of Xen's transcripts: preempt hypercalls after every N entries, and continue them; what that leaves in a multicall's
                 arguments, which the real Xen rewrites too, is put back as recorded`;

const SHOWN_CASES = 5;
const MOST = Number.MAX_SAFE_INTEGER;

/** What a replay of any format came to: lines to print, lines of the file that differ. */
interface Result {
  readonly unit: string;
  readonly lines: ReadonlySet<number>;
  readonly shown: readonly string[];
}

const replayCases = (replay: typeof replayPaging) => (recording: Recording, { engine, stop }: XenReplayOptions): Result => {
  const all = replay(recording, engine), differences = stop ? all.filter(d => d.line === all[0].line) : all;
  const shown = differences.slice(0, SHOWN_CASES).map(d => `  ${recording.file}: line ${d.line}\n    expected ${d.expected}\n    got      ${d.got}`);
  return { unit: 'cases', lines: new Set(differences.map(d => d.line)), shown };
};

const REPLAYS: Readonly<Record<string, (recording: Recording, options: XenReplayOptions) => Result>> = {
  [PAGING_FORMAT]: replayCases(replayPaging),
  [NESTED_FORMAT]: replayCases(replayNested),
  [XEN_FORMAT]: (recording, options) => {
    const differences = replayXen(recording, options);
    const shown = differences.map(d => `  ${recording.file}: line ${d.line}: ${d.operation}\n    expected ${d.expected}\n    got      ${d.got}`);
    return { unit: 'operations', lines: new Set(differences.map(d => d.line)), shown };
  },
};

/** @returns exit status: 0, or 1 if there is any difference */
export function conformance(argv: readonly string[], print: (line: string) => void): number {
  const { positionals, values } = parseArgs({
    args: [...argv], allowPositionals: true,
    options: { engine: { type: 'string', default: 'auto' }, stop: { type: 'boolean', default: false }, audit: { type: 'string', default: '0' }, preempt: { type: 'string', default: '0' } },
  });
  const engine = engineOf(values.engine);
  if (positionals.length === 0) throw new ConfigError('path', 'a folder or file of recordings', undefined);
  const audit = integerOf(values.audit, '--audit', 0, MOST), preempt = integerOf(values.preempt, '--preempt', 0, MOST);
  let differing = false;
  for (const file of positionals.flatMap(findRecordings)) {
    const recording = readRecording(file);
    const replay = Object.hasOwn(REPLAYS, recording.format) ? REPLAYS[recording.format] : undefined;
    if (!replay) throw new ConfigError(`${file}: format`, `one of ${Object.keys(REPLAYS).join(', ')}`, recording.format);
    const { unit, lines, shown } = replay(recording, { engine, stop: values.stop, audit, preempt });
    print(`${recording.name}: ${recording.rows.length} ${unit}, ${lines.size} differences`);
    for (const text of shown) print(text);
    differing ||= lines.size > 0;
    if (values.stop && differing) break;
  }
  return differing ? 1 : 0;
}
