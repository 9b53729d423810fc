/** What an input has shown: told apart from others by what it says and where it was thrown, not by the numbers in it. */
import { Finding, Notes, type Target } from './target.ts';
import type { Input } from './input.ts';

export interface Found {
  /** The same for what is likely the same mistake. */
  readonly key: string;
  readonly message: string;
  readonly stack: string;
  readonly input: Input;
}

const KEY_LENGTH = 160;

/** @param error - what a target threw */
export function foundBy(error: unknown, input: Input): Found {
  const { name, message, stack = '' } = error instanceof Error ? error : new Error(String(error));
  const words = message.split(/[;\n]/)[0]!.replace(/0x[0-9a-f]+|\b[0-9a-f]*\d[0-9a-f]*\b/gi, '#').slice(0, KEY_LENGTH);
  const where = error instanceof Finding ? '' : ` ${/^ +at (?:async )?([\w.#<> ]+)/m.exec(stack)?.[1] ?? ''}`;
  return { key: `${name}: ${words}${where}`, message: `${name}: ${message}`, stack, input };
}

/** Make the operations of an input, and say what was found. */
export async function tryInput(target: Target, input: Input, notes: Notes, careful: boolean): Promise<Found | undefined> {
  try {
    await target.run(input, notes, careful);
    return undefined;
  } catch (error) {
    return foundBy(error, input);
  }
}
