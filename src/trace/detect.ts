/** Tells a trace's format from its first bytes. */
import { InputError } from '../errors.ts';
import { CHAMPSIM_RECORD, plausibleChampsim } from './champsim-decoder.ts';
import { MAGIC } from './pwt-format.ts';
import { printable } from './trace-decoder.ts';
import { TRACE_FORMATS } from './trace-format.ts';
import type { TraceFormat } from './trace-format.ts';

/** Bytes that `detectFormat` wants to see, if there are as many. */
export const DETECT_BYTES = 1 << 14;

const LINES: readonly (readonly [TraceFormat, RegExp])[] = [
  ['lackey', /^(?:I {2}| [LSM] )[0-9a-f]+,[0-9]+\r?$/i],
  ['lackey', /^SYSCALL\[[0-9]+,[0-9]+\]/],
  ['lackey', /^==[0-9]+== Lackey/],
  ['memtrace', /^Output format:\r?$/],
  ['memtrace', /^ *[0-9]+(?: +[0-9]+)?: +T?[0-9]+ (?:<marker: |(?:ifetch|read|write) +[0-9]+ byte)/],
  ['din', /^\s*[0-4][ \t]+(?:0x)?[0-9a-f]{1,16}(?:\s|$)/i],
];

/** Files that users try, and what to say of them: their magic numbers. */
const FOREIGN: readonly (readonly [readonly number[], string])[] = [
  [[0xfd, 0x37, 0x7a, 0x58, 0x5a], 'xz data (decompress it: xz -dc FILE | ...)'],
  [[0x28, 0xb5, 0x2f, 0xfd], 'zstd data (decompress it: zstd -dc FILE | ...)'],
  [[0x42, 0x5a, 0x68], 'bzip2 data (decompress it: bzip2 -dc FILE | ...)'],
  [[0x50, 0x4b, 0x03, 0x04], 'a zip archive (of a drmemtrace trace, give the text of its view tool)'],
  [[0x7f, 0x45, 0x4c, 0x46], 'an ELF executable'],
];

const KNOWN = `a ${TRACE_FORMATS.slice(0, -1).join(', ')} or ${TRACE_FORMATS.at(-1)} trace`;

/**
 * @param head - the first bytes (not none), decompressed, at least `DETECT_BYTES` unless the input ends before
 * @param whole - `head` is all there is
 * @throws InputError - they are the start of no format, or of more than one could be
 */
export function detectFormat(head: Uint8Array, whole: boolean, file: string): TraceFormat {
  if (starts(head, MAGIC)) return 'pwt';
  for (const [magic, what] of FOREIGN) if (starts(head, magic)) throw new InputError(file, 'byte 0', KNOWN, what);
  if (head.includes(0)) return binary(head, whole, file);
  const text = Buffer.from(head.buffer, head.byteOffset, head.length).toString('latin1');
  const lines = text.split('\n');
  // The last line may be cut.
  if (!whole && lines.length > 1) lines.pop();
  const found = new Set<TraceFormat>();
  for (const line of lines) {
    for (const [format, pattern] of LINES) if (pattern.test(line)) found.add(format);
  }
  const [only] = found;
  if (found.size === 1) return only;
  if (found.size > 1) {
    throw new InputError(file, 'start', 'lines of one format; name the format', `lines of ${[...found].join(' and ')}`);
  }
  const stop = head.indexOf(10);
  const shown = printable(head, 0, stop < 0 ? head.length : stop);
  throw new InputError(file, 'line 1', `${KNOWN}; name the format if it is one`, shown);
}

function binary(head: Uint8Array, whole: boolean, file: string): TraceFormat {
  const partial = whole ? head.length % CHAMPSIM_RECORD : 0;
  if (plausibleChampsim(head) && partial === 0) return 'champsim';
  const got = `binary data ${printable(head, 0, Math.min(head.length, 16))}`;
  throw new InputError(file, 'byte 0', `${KNOWN}; name the format if it is one`, got);
}

function starts(head: Uint8Array, magic: ArrayLike<number>): boolean {
  for (let i = 0; i < magic.length; i++) if (head[i] !== magic[i]) return false;
  return true;
}
