/**
 * What a kernel's own work costs on a processor of its own, in cycles: only what differs between ways to virtualize memory, or what they are to
 * be compared with. Of its code beyond that nothing is counted, in any way.
 */
import { checkCosts } from './costs-check.ts';
import type { Figure } from './cpu-model.ts';
import { estimate } from './presets/sourced.ts';
import { switchesDefault, type Switches } from './switches.ts';

export interface KernelCosts {
  /** A page fault taken, and the return from it. */
  readonly exception: Figure;
  /** A system call, and the return from it. */
  readonly systemCall: Figure;
  /** A page cleared or copied. */
  readonly page: Figure;
  /** A root table loaded. */
  readonly rootLoad: Figure;
  /** One address invalidated. */
  readonly invlpg: Figure;
}

const NAMES = ['exception', 'systemCall', 'page', 'rootLoad', 'invlpg'] as const satisfies readonly (keyof KernelCosts)[];

const PAGE = estimate(250, '4096 bytes by REP STOSB or REP MOVSB, as clear_page_erms() of Linux, at 16 bytes a cycle into lines that are cached; no measurement found that leaves misses out');

/** Prices on a processor: the same instructions as in a hypervisor's prices. */
export function kernelCostsOf({ syscall, exception, rootLoad, invlpg }: Switches): KernelCosts {
  return { exception, systemCall: syscall, page: PAGE, rootLoad, invlpg };
}

/** A server of about 3 GHz. */
export const kernelCosts = kernelCostsOf(switchesDefault);

/** @returns the costs as they were given. @throws ConfigError - a figure is missing, unknown or out of range */
export const checkKernelCosts = (costs: KernelCosts): KernelCosts => checkCosts(costs, NAMES, 'kernelCosts');
