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
  const edges = [0], all = weights.length;
  const total = weights.reduce((sum, w) => sum + w, 0);
  let place = 0, before = 0;
  for (let k = 1; k < parts; k++) {
    // An item belongs to the part in which its middle lies.
    while (place < all && before + weights[place] / 2 < (total * k) / parts) before += weights[place++];
    const least = Math.min(all, edges[k - 1] + 1), most = Math.max(least, all - (parts - k));
    edges.push(Math.min(most, Math.max(least, place)));
  }
  edges.push(all);
  return [edges[part - 1], edges[part]];
}
