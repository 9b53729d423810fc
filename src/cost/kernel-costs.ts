/**
 * What a kernel's own work costs on a processor of its own, in cycles: only what differs between ways to virtualize memory, or what they are to
 * be compared with. Of its code beyond that nothing is counted, in any way.
 */
import { ConfigError } from '../errors.ts';
import { figure, type Figure } from './cpu-model.ts';
import { hypervisorCosts } from './hypervisor-costs.ts';
import { estimate } from './presets/sourced.ts';

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

/** The same processor, and the same instructions, as in `hypervisorCosts`. */
export const kernelCosts: KernelCosts = {
  exception: estimate(500, 'an exception and IRET, as in the price of a fault that a hypervisor takes, without what that does besides'),
  systemCall: estimate(130, 'SYSCALL and SYSRET about 100 to 150 cycles, as in the price of a hypervisor\'s trap'),
  page: hypervisorCosts.page,
  rootLoad: hypervisorCosts.flush,
  invlpg: hypervisorCosts.invlpg,
};

const MOST = 1_000_000;

/** @returns the costs as they were given. @throws ConfigError - a figure is missing, unknown or out of range */
export function checkKernelCosts(costs: KernelCosts): KernelCosts {
  if (typeof costs !== 'object' || costs === null) throw new ConfigError('kernelCosts', 'an object', costs);
  for (const name of Object.keys(costs)) if (!Object.hasOwn(kernelCosts, name)) throw new ConfigError(`kernelCosts.${name}`, `one of ${Object.keys(kernelCosts).join(', ')}`, name);
  for (const name of Object.keys(kernelCosts) as (keyof KernelCosts)[]) {
    const value: unknown = costs[name] === undefined ? undefined : figure(costs[name]);
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > MOST) throw new ConfigError(`kernelCosts.${name}`, `an integer from 0 to ${MOST}`, value);
  }
  return costs;
}
