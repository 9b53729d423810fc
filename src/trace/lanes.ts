/** Independent pieces of work, several at a time, with an outcome that does not depend on how many. */

/**
 * Do `work` for every item, at most `lanes` at a time.
 *
 * The error reported is that of the first item in order that fails, however the work overlaps: once an item failed, those after it are
 * not started, or aborted; those before it are still done.
 *
 * @param order - in which to start the items, by their places; the results are in the order of the items all the same
 * @param work - gets a signal that it is no longer wanted
 * @throws whatever `work` threw
 */
export async function inLanes<T, R>(
  items: readonly T[], lanes: number, order: readonly number[], work: (item: T, place: number, signal: AbortSignal) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [], running = new Map<number, AbortController>(), waiting = [...order];
  let failed = Infinity, reason: unknown;
  const fail = (place: number, error: unknown): void => {
    if (place > failed) return;
    failed = place;
    reason = error;
    for (const [other, controller] of running) if (other > place) controller.abort();
  };
  const lane = async (): Promise<void> => {
    for (let place = waiting.shift(); place !== undefined; place = waiting.shift()) {
      if (place > failed) continue;
      const controller = new AbortController();
      running.set(place, controller);
      try {
        results[place] = await work(items[place], place, controller.signal);
      } catch (error) {
        fail(place, error);
      }
      running.delete(place);
    }
  };
  await Promise.all(Array.from({ length: Math.min(lanes, items.length) }, lane));
  if (failed < Infinity) throw reason;
  return results;
}
