/** All ways to break the engine that are tried. */
import { HYPERVISOR } from './hypervisor.ts';
import type { Mutant } from './mutant.ts';
import { PROCESSOR, WASM } from './processor.ts';

export const MUTANTS: readonly Mutant[] = [...PROCESSOR, ...WASM, ...HYPERVISOR];
