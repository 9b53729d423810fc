/** `pagewalk conformance PATH...`: replays recorded behaviour and prints one line a file. */
import { parseArgs } from 'node:util';
import { ConfigError } from '../errors.ts';
import type { EngineChoice } from '../machine/options.ts';
import { PAGING_FORMAT, replayPaging, type Difference } from '../conformance/paging.ts';
import { findRecordings, readRecording, type Recording } from '../conformance/recording.ts';
import { engineOf } from './options.ts';

export const CONFORMANCE_HELP = `pagewalk conformance PATH...      files or folders of recordings (.jsonl, .jsonl.gz)

  --engine NAME    auto, wasm, ts                                                     [auto]

Prints NAME: N cases, D differences for each file; exit status 1 if there is any difference.`;

const SHOWN = 5;

const REPLAYS: Readonly<Record<string, (recording: Recording, engine: EngineChoice) => Difference[]>> = { [PAGING_FORMAT]: replayPaging };

/** @returns exit status: 0, or 1 if there is any difference */
export function conformance(argv: readonly string[], print: (line: string) => void): number {
  const { values, positionals } = parseArgs({ args: [...argv], allowPositionals: true, options: { engine: { type: 'string', default: 'auto' } } });
  const engine = engineOf(values.engine);
  if (positionals.length === 0) throw new ConfigError('path', 'a folder or file of recordings', undefined);
  let differing = false;
  for (const file of positionals.flatMap(findRecordings)) {
    const recording = readRecording(file);
    const replay = Object.hasOwn(REPLAYS, recording.format) ? REPLAYS[recording.format] : undefined;
    if (!replay) throw new ConfigError(`${file}: format`, `one of ${Object.keys(REPLAYS).join(', ')}`, recording.format);
    const differences = replay(recording, engine);
    print(`${recording.name}: ${recording.rows.length} cases, ${new Set(differences.map(d => d.line)).size} differences`);
    for (const d of differences.slice(0, SHOWN)) print(`  ${file}: line ${d.line}\n    expected ${d.expected}\n    got      ${d.got}`);
    differing ||= differences.length > 0;
  }
  return differing ? 1 : 0;
}
