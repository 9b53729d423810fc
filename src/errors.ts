/**
 * Three kinds of bad news, never mixed:
 *
 *   what the guest did wrong  -> a number (a fault code); never thrown
 *   what the caller did wrong -> ConfigError or InputError, thrown at the public border
 *   what we did wrong         -> InvariantError, thrown by `invariant()`
 */

/** An option, preset or argument that cannot be used. The message names the field. */
export class ConfigError extends RangeError {
  override readonly name = 'ConfigError';
  readonly field: string;
  readonly expected: string;
  readonly got: unknown;

  /** @param field - path of the offending option, e.g. `tlb[1].structures[0].ways` */
  constructor(field: string, expected: string, got: unknown) {
    super(`${field}: expected ${expected}, got ${show(got)}`);
    this.field = field;
    this.expected = expected;
    this.got = got;
  }
}

/** Input read from a file that is not what its format promises. The message names file, line (or byte) and what was expected. */
export class InputError extends Error {
  override readonly name = 'InputError';
  readonly file: string;
  readonly where: string;
  readonly expected: string;

  /** @param where - position in the file in the format's own unit: `line 12`, `byte 640`, `record 3` */
  constructor(file: string, where: string, expected: string, got?: string) {
    super(`${file}: ${where}: expected ${expected}${got === undefined ? '' : `, got ${got}`}`);
    this.file = file;
    this.where = where;
    this.expected = expected;
  }
}

/** A machine of several threads can go on no more: one of them ended in the middle of a change. The message says which, and of what. */
export class BrokenError extends Error {
  override readonly name = 'BrokenError';
}

/** A promise of this library that did not hold: a bug here. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/**
 * @param what - what holds: a constant where it is checked often, as text made for each check costs more than the check
 * @param frame - the frame it is said of @throws InvariantError - `holds` is false
 */
export function invariant(holds: boolean, what: string, frame?: number): asserts holds {
  if (!holds) throw new InvariantError(frame === undefined ? what : `frame 0x${frame.toString(16)} ${what}`);
}

function show(got: unknown): string {
  if (got === undefined) return 'nothing';
  if (typeof got === 'bigint') return `0x${got.toString(16)}`;
  if (typeof got === 'number') return String(got);
  let text: string;
  try {
    text = JSON.stringify(got) ?? String(got);
  } catch {
    text = `a ${typeof got} that cannot be printed`; // a cycle, or a bigint inside
  }
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
