/** Parts of a sweep for machines that do not know of each other. */

/** Part `part` of `parts`, from 1. */
export interface Shard {
  readonly part: number;
  readonly parts: number;
}

/**
 * Which items a part gets: neighbours, so that few parts read the same trace, of about the same weight in all parts, at least one as long
 * as there are as many. Decided by the weights alone: parts made anywhere, at any time, are disjoint and together everything.
 *
 * @param weights - of all items, in order; more than 0
 * @returns first place, and the place after the last
 */
export function shardRange(weights: readonly number[], { part, parts }: Shard): [from: number, to: number] {
  const all = weights.length;
  let from = 0, to = 0, left = weights.reduce((sum, w) => sum + w, 0);
  for (let k = 1; k <= part; k++) {
    from = to;
    // Each takes its share of what those before it left: an item belongs to it if its middle lies in that.
    const least = Math.min(all, from + 1), most = Math.max(least, all - (parts - k)), share = left / (parts - k + 1);
    for (let taken = 0; to < least || (to < most && taken + weights[to] / 2 < share); to++) {
      taken += weights[to];
      left -= weights[to];
    }
  }
  return [from, to];
}
