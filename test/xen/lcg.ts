/** A generator of numbers below a limit, the same for the same seed. */
export function lcg(seed: number): (below: number) => number {
  let x = seed;
  return below => {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    return Math.floor((x / 2 ** 32) * below);
  };
}
