/** How many cells, in words: `1 cell`, `16 cells`. */
export function cellCount(n: number): string {
  return `${n} ${n === 1 ? 'cell' : 'cells'}`;
}
