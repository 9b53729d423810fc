/** `pagewalk convert IN OUT`: a trace in another format. */
import type { Readable } from 'node:stream';
import { parseArgs } from 'node:util';
import { ConfigError } from '../errors.ts';
import { convertTrace, WRITABLE_FORMATS, type WritableFormat } from '../trace/convert.ts';
import { openTrace } from '../trace/open.ts';
import { TRACE_FORMATS, type TraceFormat } from '../trace/trace-format.ts';
import { integerOf, oneOf } from './options.ts';

export const CONVERT_HELP = `pagewalk convert IN OUT [options]    IN: a trace, - for standard input; OUT: - for standard output; gzipped if it ends in .gz

  --from NAME      ${TRACE_FORMATS.join(', ')}                           [told from the first bytes]
  --to NAME        ${WRITABLE_FORMATS.join(', ')}                                              [told from the name of OUT]
  --skip-bad       count malformed records and go on
  --limit N        stop after N accesses`;

/** @returns exit status */
export async function convertCommand(argv: readonly string[], input: Readable, print: (text: string) => void, tell: (text: string) => void): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...argv], allowPositionals: true,
    options: { from: { type: 'string' }, to: { type: 'string' }, limit: { type: 'string' }, 'skip-bad': { type: 'boolean', default: false } },
  });
  if (positionals.length !== 2) throw new ConfigError('IN OUT', 'two files', positionals);
  const [from, to] = positionals;
  const source = values.from === undefined ? undefined : oneOf<TraceFormat>(values.from, '--from', TRACE_FORMATS);
  const target = values.to === undefined ? undefined : oneOf<WritableFormat>(values.to, '--to', WRITABLE_FORMATS);
  const limit = values.limit === undefined ? undefined : integerOf(values.limit, '--limit', 1, Number.MAX_SAFE_INTEGER);
  if (to === '-' && target === undefined) throw new ConfigError('--to', 'a format, for standard output', undefined);
  const reader = await openTrace(from === '-' ? input : from, {
    name: from === '-' ? 'standard input' : from, skipBad: values['skip-bad'], ...(source ? { format: source } : {}),
  });
  const done = await convertTrace(reader, to, { ...(target ? { format: target } : {}), ...(limit ? { limit } : {}) });
  const per = done.accesses > 0 ? (done.bytes / done.accesses).toFixed(2) : '-';
  (to === '-' ? tell : print)(`${to}: ${done.accesses} accesses, ${done.events} system calls, ${done.bytes} bytes before gzip (${per} an access), ${reader.skipped} records skipped`);
  return 0;
}
