/** Sums of figures, with what they are made of. */
import { estimatedPart, figure, type Figure, type Sourced } from './cpu-model.ts';

/** An estimate, as a part of it is one; of plain numbers too it tells the parts. */
export function sum(a: Figure, b: Sourced): Sourced {
  const named = typeof a === 'number' ? `${a}, given` : `${a.value}: ${a.source}`;
  return { value: figure(a) + b.value, from: 'estimate', estimated: estimatedPart(a) + estimatedPart(b), source: `${named}; and ${b.value}: ${b.source}` };
}
