/** Which function serves which hypercall. */
import type { Host } from './host.ts';
import { XEN_ENOSYS } from './numbers.ts';

/**
 * Serve a hypercall.
 *
 * @param at - word index of its five arguments, 8 bytes each @returns its result; with `h.preempted` set, it has to be made again with the
 *   arguments that are there now
 */
export function call(h: Host, nr: number, at: number): number {
  void h;
  void at;
  switch (nr) {
    default: return -XEN_ENOSYS;
  }
}
