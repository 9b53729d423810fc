/** Segment selectors as guests give them. */
import type { Domain } from './domain.ts';

const RPL = 3;

/**
 * A selector with no more privilege than the guest's kernel has: ring 1 for 32-bit guests, 3 for others.
 *
 * Source: facts of Xen 4.17, GUEST_KERNEL_RPL() (xen/arch/x86/include/asm/desc.h).
 */
export function kernelSelector(domain: Domain, selector: number): number {
  const ring = domain.is32 ? 1 : RPL;
  return (selector & RPL) >= ring ? selector : (selector & ~RPL) | ring;
}
