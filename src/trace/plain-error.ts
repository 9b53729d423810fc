/** Errors as plain data: structured cloning keeps neither their classes nor their fields. */
import { ConfigError, InputError } from '../errors.ts';

export interface PlainError {
  readonly kind: 'config' | 'input' | 'other';
  readonly message: string;
  readonly stack: string | undefined;
  /** Field of a ConfigError, file of an InputError. */
  readonly of: string;
  /** Position of an InputError in its file. */
  readonly where: string;
  readonly expected: string;
}

export function plainError(error: unknown): PlainError {
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  const plain = { kind: 'other', message, stack, of: '', where: '', expected: '' } as const;
  if (error instanceof ConfigError) return { ...plain, kind: 'config', of: error.field, expected: error.expected };
  if (error instanceof InputError) return { ...plain, kind: 'input', of: error.file, where: error.where, expected: error.expected };
  return plain;
}

/** The error again: of its class, with its message and fields (but for `ConfigError.got`, which may be anything). */
export function restoredError({ kind, message, stack, of, where, expected }: PlainError): Error {
  const error = kind === 'config' ? new ConfigError(of, expected, undefined) : kind === 'input' ? new InputError(of, where, expected) : new Error();
  error.message = message;
  if (stack !== undefined) error.stack = stack;
  return error;
}
