/**
 * Replays `xen-pv-conformance-1`: what a small PV domain 0 asked of the real Xen, and all that it saw come back.
 *
 * The header and the first rows make a machine, a hypervisor and domain 0; then each operation is applied in order, and what comes back is
 * compared. A difference does not stop the replay: the next operation starts from what this hypervisor made of the last one.
 */
import { InputError } from '../errors.ts';
import type { EngineChoice } from '../machine/options.ts';
import type { Recording, Row } from './recording.ts';
import { XenRun } from './xen-run.ts';
import { setUp } from './xen-setup.ts';

export const XEN_FORMAT = 'xen-pv-conformance-1';

/** An operation whose outcome is not the recorded one. */
export interface XenDifference {
  readonly line: number;
  readonly operation: string;
  readonly expected: string;
  readonly got: string;
}

export interface XenReplayOptions {
  readonly engine: EngineChoice;
  /** Stop at the first difference. */
  readonly stop?: boolean;
  /** Audit after every so many operations; 0: never. */
  readonly audit?: number;
  /** Preempt calls after so many entries, and continue them; 0: never. */
  readonly preempt?: number;
}

/** Replay a recording. @returns the differences, in order @throws InputError - a row that is none of the format's */
export function replayXen(recording: Recording, options: XenReplayOptions = { engine: 'auto' }): XenDifference[] {
  const { file, rows } = recording;
  const differences: XenDifference[] = [];
  const first = rows.findIndex(({ row }) => row['op'] !== 'frame' && row['op'] !== 'xen_slots');
  if (first < 0) throw new InputError(file, `line ${rows.length + 1}`, 'operations after the frames');
  const run = new XenRun(setUp(recording, rows.slice(0, first), options), file);
  for (const [k, { line, row }] of rows.slice(first).entries()) {
    if (row['op'] === 'end') break;
    const outcome = run.apply(line, row);
    if (outcome) differences.push({ line, operation: describe(row), ...outcome });
    if (options.audit && k % options.audit === 0) {
      for (const complaint of run.audit()) differences.push({ line, operation: describe(row), expected: 'an audit without complaint', got: complaint });
    }
    if (options.stop && differences.length > 0) break;
  }
  return differences;
}

function describe(row: Row): string {
  const { op, result, ret, bytes, ...rest } = row;
  void result;
  void ret;
  return `${String(op)} ${JSON.stringify(op === 'write' ? { ...rest, bytes } : rest).slice(0, 160)}`;
}
