/**
 * How small a guest may make itself: below this its kernel has too little left for its own tables of all the memory it once had.
 *
 * Source: facts of Linux 2.6.18 as Xen ships it (linux-2.6.18-xen), minimum_target() in drivers/xen/balloon/balloon.c: linear between these
 *         sizes, in MiB: 0 -> 8, 128 -> 72, 512 -> 168, 2048 -> 360, and from there on a 32nd of what is beyond.
 */
const PAGES_PER_MIB = 256;
/** From a size on, in MiB: the floor there, and log2 of how many pages more let it grow by one. */
const PIECES = [[0, 8, 1], [128, 72, 2], [512, 168, 3], [2048, 360, 5]] as const;

/**
 * The least pages that a guest's balloon leaves it.
 *
 * @param mostPages - 4 KiB pages that its kernel was started for @param pages - that it has now: it is not made to grow
 */
export function balloonFloor(mostPages: number, pages = mostPages): number {
  const [from, floor, shift] = PIECES.findLast(([size]) => mostPages >= size * PAGES_PER_MIB)!;
  return Math.min(floor * PAGES_PER_MIB + Math.floor((mostPages - from * PAGES_PER_MIB) / 2 ** shift), pages);
}
