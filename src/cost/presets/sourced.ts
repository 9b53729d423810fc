/**
 * The three standings of a preset's figure. What counts as what:
 *
 *   vendor   - the vendor's document, or what the processor itself reports through CPUID. Where a document was read
 *              only in somebody's copy or summary, the source names that reader too.
 *   measured - somebody ran a program; the source names who, or which file under `../shared/hardware`.
 *   estimate - everything else, with the reason. Includes figures that are widely repeated but that we could not read.
 *
 * Where a vendor gives a number of entries but not its division into sets and ways, both figures are estimates.
 */
import type { Sourced } from '../cpu-model.ts';

export const vendor = (value: number, source: string): Sourced => ({ value, from: 'vendor', source });
export const measured = (value: number, source: string): Sourced => ({ value, from: 'measured', source });
export const estimate = (value: number, source: string): Sourced => ({ value, from: 'estimate', source });
