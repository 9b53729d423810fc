/** A way to break the engine: one rule of one file. */
export interface Mutant {
  readonly file: string;
  /** What is no longer so. */
  readonly rule: string;
  /** Text that is there once, and what is there instead. */
  readonly find: string;
  readonly replace: string;
  /** Targets that ought to notice. */
  readonly targets: readonly string[];
}

/** The rules of one file, each with the text that makes it and what is there instead. */
export function mutantsOf(file: string, targets: readonly string[], rules: readonly (readonly [rule: string, find: string, replace: string])[]): Mutant[] {
  return rules.map(([rule, find, replace]) => ({ file, rule, find, replace, targets }));
}
