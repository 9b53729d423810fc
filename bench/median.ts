/** The middle of a list, or the mean of the two in the middle. */
export function median(of: readonly number[]): number {
  const sorted = [...of].sort((a, b) => a - b), middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
