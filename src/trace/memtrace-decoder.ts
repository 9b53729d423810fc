/**
 * Text that DynamoRIO's drmemtrace prints with `-tool view`:
 *
 *   Output format:
 *   <--record#-> <--instr#->: <---tid---> <record details>
 *   ------------------------------------------------------------
 *           7           1:      342625 ifetch       3 byte(s) @ 0x00007f9a3c2d1090 48 89 e7 mov %rsp, %rdi
 *           8           1:      342625 write        8 byte(s) @ 0x00007ffc3d9b8a18 by PC 0x00007f9a3c2d1093
 *           9           1:      342625 <marker: timestamp 13312570674112282>
 *
 * `ifetch`, `read` and `write` are accesses, except the `ifetch` of a "non-fetched instruction". Prefetches, flushes,
 * markers and the tool's own lines are passed over. Threads are taken in the order printed, as one stream.
 * Markers of system calls do not become events: they have neither a process nor, by default, arguments.
 *
 * Source: DynamoRIO documentation, "Trace Format" (sec_drcachesim_format); for what is printed, DynamoRIO
 * clients/drcachesim/tools/view.cpp and view.h (2023).
 */
import { KIND_FETCH, KIND_LOAD, KIND_STORE } from './batch.ts';
import type { AccessBatch } from './batch.ts';
import { HEX_VALUE, LineDecoder, lineEnd, lineText } from './line-decoder.ts';

const NEWLINE = 10;
const SPACE = 0x20;
const COLON = 0x3a;
const LETTER_T = 0x54;
const LETTER_I = 0x69;
const LETTER_R = 0x72;
const LETTER_W = 0x77;

const IFETCH = new TextEncoder().encode('ifetch ');
const READ = new TextEncoder().encode('read ');
const WRITE = new TextEncoder().encode('write ');
const UNIT = new TextEncoder().encode(' byte(s) @ 0x');
const NOT_FETCHED = new TextEncoder().encode(' non-fetched');

/** Lines of the tool itself, and records that are no accesses, by what follows the thread. */
const OWN_LINE =
  /^(Output format:|<(?:--)?record#|-{20,}$|View tool results:| *[0-9]+ : total |<(marker|thread|entry)\b)/;
const OTHER_RECORD =
  /^ *[0-9]+(?: +[0-9]+)?: +T?[0-9]+ (?:<(?:marker|thread|entry)\b| {8,}|(?:pref|iflush|dflush)[A-Za-z0-9-]* )/;

const EXPECTED = 'a line of the drmemtrace view tool, "RECORD INSTR: TID ifetch|read|write SIZE byte(s) @ 0xADDR ..."';
const SIZE_LIMIT = 65535;

/** Decodes drmemtrace view text. */
export class MemtraceDecoder extends LineDecoder {
  readonly format = 'memtrace';
  /** Fields of the access that `access()` found, and where it stopped. */
  private kind = 0;
  private size = 0;
  private lo = 0;
  private hi = 0;
  private stop = 0;

  protected override lines(bytes: Uint8Array, start: number, end: number, batch: AccessBatch): number {
    const { va, kind, size } = batch;
    const capacity = kind.length;
    let count = batch.count;
    let next = start;
    while (next < end && count < capacity) {
      if (this.access(bytes, next)) {
        if (this.kind !== KIND_FETCH || !startsWith(bytes, this.stop, NOT_FETCHED)) {
          va[count * 2] = this.lo;
          va[count * 2 + 1] = this.hi;
          kind[count] = this.kind;
          size[count] = this.size;
          count++;
        }
        next = this.stop;
        while (bytes[next] !== NEWLINE) next++;
        next++;
      } else next = this.otherLine(bytes, next);
      this.line++;
    }
    batch.count = count;
    this.full = count === capacity;
    return next;
  }

  /** Parses the line at `at` if it is an access. */
  private access(bytes: Uint8Array, at: number): boolean {
    let next = skipSpaces(bytes, skipDigits(bytes, skipSpaces(bytes, at)));
    next = skipDigits(bytes, next);
    if (bytes[next] !== COLON) return false;
    next = skipSpaces(bytes, next + 1);
    // Older versions print a T before the thread.
    if (bytes[next] === LETTER_T) next++;
    next = skipDigits(bytes, next);
    if (bytes[next++] !== SPACE) return false;
    const letter = bytes[next];
    if (letter === LETTER_I) this.kind = KIND_FETCH;
    else if (letter === LETTER_R) this.kind = KIND_LOAD;
    else if (letter === LETTER_W) this.kind = KIND_STORE;
    else return false;
    const name = letter === LETTER_I ? IFETCH : letter === LETTER_R ? READ : WRITE;
    if (!startsWith(bytes, next, name)) return false;
    return this.extent(bytes, skipSpaces(bytes, next + name.length));
  }

  /** Parses `SIZE byte(s) @ 0xADDR`. */
  private extent(bytes: Uint8Array, at: number): boolean {
    let next = at;
    let size = 0;
    for (let digit = bytes[next] - 48; digit >= 0 && digit <= 9 && size <= SIZE_LIMIT; digit = bytes[++next] - 48) {
      size = size * 10 + digit;
    }
    if (size === 0 || size > SIZE_LIMIT || !startsWith(bytes, next, UNIT)) return false;
    next += UNIT.length;
    const first = next;
    let lo = 0;
    let hi = 0;
    for (let digit = HEX_VALUE[bytes[next]]; digit < 16; digit = HEX_VALUE[bytes[++next]]) {
      hi = (hi << 4) | (lo >>> 28);
      lo = (lo << 4) | digit;
    }
    this.size = size;
    this.lo = lo;
    this.hi = hi;
    this.stop = next;
    return next > first && next - first <= 16 && bytes[next] <= SPACE;
  }

  private otherLine(bytes: Uint8Array, at: number): number {
    const end = lineEnd(bytes, at);
    const text = lineText(bytes, at, end);
    if (text.trim() === '' || OWN_LINE.test(text) || OTHER_RECORD.test(text)) return end + 1;
    return this.badLine(bytes, at, EXPECTED);
  }
}

function skipSpaces(bytes: Uint8Array, at: number): number {
  let next = at;
  while (bytes[next] === SPACE) next++;
  return next;
}

function skipDigits(bytes: Uint8Array, at: number): number {
  let next = at;
  while (bytes[next] >= 0x30 && bytes[next] <= 0x39) next++;
  return next;
}

function startsWith(bytes: Uint8Array, at: number, text: Uint8Array): boolean {
  for (let i = 0; i < text.length; i++) if (bytes[at + i] !== text[i] || bytes[at + i] === NEWLINE) return false;
  return true;
}
