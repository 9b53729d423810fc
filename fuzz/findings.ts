/** Findings of a target, each in a file: the smallest input that showed it, whichever thread had it when. */
import { rmSync } from 'node:fs';
import { writeInput } from './corpus.ts';
import type { Found } from './finding.ts';
import { sizeOf } from './input.ts';
import type { Target } from './target.ts';
import { IS_MODULE } from './targets/all.ts';

export class Findings {
  private readonly kept = new Map<string, { readonly file: string; readonly size: number }>();
  private readonly target: Target;
  private readonly folder: string;
  private readonly say: (text: string) => void;
  /** Words before a file that make a command which replays it. */
  private readonly again: string;

  /** @param from - name of the target, or path of its module @param folder - of the files @param say - told of each */
  constructor(target: Target, from: string, folder: string, say: (text: string) => void) {
    this.target = target;
    this.folder = folder;
    this.say = say;
    this.again = IS_MODULE.test(from) ? `replay ${from}` : 'replay';
  }

  get size(): number {
    return this.kept.size;
  }

  add({ key, message, input }: Found): void {
    const before = this.kept.get(key), size = sizeOf(input);
    if (before !== undefined && before.size <= size) return;
    const file = writeInput(this.folder, this.target, message.slice(0, 2000), input);
    if (before !== undefined && before.file !== file) rmSync(before.file, { force: true });
    this.kept.set(key, { file, size });
    this.say(`${before === undefined ? 'found' : '  smaller,'} ${input.records.length} operations: ${message.slice(0, 300)}\n  npm run fuzz -- ${this.again} ${file}`);
  }
}
