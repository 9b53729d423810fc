/** New inputs from old ones: most of a history stays as it is, since one that is wrong from its start comes to nothing. */
import { Random } from '../test/mmu/tlb-random.ts';
import type { Input } from './input.ts';
import type { Target } from './target.ts';

const MOST_CHANGES = 6, MOST_RUN = 16;
/** Histories that are shorter than this part of what they may have are joined with others. */
const SHORT = 0.4;
const BYTES = [0, 1, 2, 3, 4, 7, 8, 0x0f, 0x10, 0x20, 0x40, 0x7f, 0x80, 0xfe, 0xff];

export class Mutator {
  private readonly r: Random;
  private readonly target: Pick<Target, 'headBytes' | 'recordBytes' | 'most'>;

  constructor(target: Pick<Target, 'headBytes' | 'recordBytes' | 'most'>, seed: number) {
    this.target = target;
    this.r = new Random(seed);
  }

  /** An input of nothing but chance. */
  fresh(): Input {
    const { headBytes, most } = this.target, long = this.r.chance(50) ? most : 1 + this.r.below(most);
    return { head: this.bytes(headBytes), records: Array.from({ length: long }, () => this.record()) };
  }

  /** One of the others, or none of them, changed in a few places. */
  next(corpus: readonly Input[]): Input {
    const { r } = this;
    if (corpus.length === 0 || r.chance(2)) return this.fresh();
    const { head, records } = this.choose(corpus), list = [...records];
    while (list.length < this.target.most * SHORT && r.chance(80)) list.push(...this.choose(corpus).records); // to begin a history takes as long as a hundred operations
    for (let n = 1 + r.below(MOST_CHANGES); n > 0; n--) this.change(list, corpus);
    list.length = Math.min(list.length, this.target.most);
    if (list.length === 0) list.push(this.record());
    return { head: r.chance(8) ? this.tweaked(head) : head, records: list };
  }

  /** The newest are tried more often: what is next to them is not known yet. */
  private choose(corpus: readonly Input[]): Input {
    const { r } = this, n = corpus.length;
    return corpus[r.chance(50) ? r.below(n) : n - 1 - r.below(Math.max(1, n >>> 2))]!;
  }

  private change(list: Uint8Array[], corpus: readonly Input[]): void {
    const { r } = this, at = r.below(list.length + 1), run = 1 + r.below(MOST_RUN), from = r.below(list.length);
    switch (r.below(9)) {
      case 0: case 1: case 2: // a field, or several, of an operation
        if (list.length > 0) list[from] = this.tweaked(list[from]!);
        break;
      case 3: list.splice(at, 0, ...Array.from({ length: r.chance(70) ? 1 : run }, () => this.record())); break;
      case 4: list.splice(at, r.chance(60) ? 1 : run); break;
      case 5: list.splice(at, 0, ...list.slice(from, from + (r.chance(50) ? 1 : run))); break;
      case 6: { // a part of another history
        const { records } = this.choose(corpus), other = r.below(records.length + 1);
        list.splice(at, r.chance(50) ? run : 0, ...records.slice(other, other + run * 2));
        break;
      }
      case 7:
        if (list.length > 1) {
          const other = r.below(list.length);
          [list[from], list[other]] = [list[other]!, list[from]!];
        }
        break;
      default: { // its end, and that of another
        const { records } = this.choose(corpus);
        if (r.chance(30)) list.splice(at, list.length, ...records.slice(r.below(records.length + 1)));
        else if (list.length > 0) list.push(...Array.from({ length: run }, () => this.tweaked(list[r.below(list.length)]!)));
      }
    }
  }

  private tweaked(record: Uint8Array): Uint8Array {
    const { r } = this, out = record.slice();
    if (out.length === 0) return out;
    for (let n = r.chance(70) ? 1 : 1 + r.below(4); n > 0; n--) {
      const k = r.below(out.length), how = r.below(4);
      out[k] = how === 0 ? r.below(256) : how === 1 ? r.pick(BYTES) : how === 2 ? out[k]! ^ (1 << r.below(8)) : out[k]! + r.below(9) - 4;
    }
    return out;
  }

  private record(): Uint8Array {
    return this.bytes(this.target.recordBytes);
  }

  private bytes(count: number): Uint8Array {
    return Uint8Array.from({ length: count }, () => this.r.below(256));
  }
}
