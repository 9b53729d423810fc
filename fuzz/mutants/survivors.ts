/** Rules whose breaking nothing notices, and why: what else holds what they hold. */
const SURVIVORS: readonly (readonly [file: string, rule: string, why: string])[] = [
  ['src/xen/table-write.ts', 'a write is emulated for a read-only page', 'the next rule asks for a level-1 table in use, and such a frame is mapped writable nowhere'],
];

/** Why nothing notices a mutant, if it is known. */
export function whyUnnoticed(file: string, rule: string): string {
  return SURVIVORS.find(([one, other]) => one === file && other === rule)?.[2] ?? 'not known';
}
