/**
 * The atomic operations of this thread, before and after each of which something else can be done: all points at which another thread could see
 * what this one has done so far. Those of TypeScript; what wasm does is not seen.
 */
import { PTE_A, PTE_D } from '../src/arch/pte.ts';

type Plain = (...args: unknown[]) => unknown;

const NAMES = ['load', 'store', 'compareExchange', 'exchange', 'add', 'sub', 'and', 'or'] as const;
const AD = BigInt(PTE_A | PTE_D);

const atomics = Atomics as unknown as Record<string, Plain>;

/** Who is told what this thread does, atomic operation by atomic operation. */
export interface Observer {
  /** Before and after each one; it may make others. */
  point(): void;
  /** A walk set A or D in an entry. @param at - 8-byte index of the entry */
  marked(at: number, bits: bigint): void;
  /** Called instead of waiting for who cannot go on meanwhile. */
  wait(): void;
}

/** @returns the bits that a walk sets by a compare-and-swap, 0 if it is none of a walk */
function markOf(name: string, [, , old, value]: readonly unknown[]): bigint {
  if (name !== 'compareExchange' || typeof old !== 'bigint') return 0n;
  const bits = old ^ (value as bigint);
  return (bits & ~AD) === 0n ? bits & (value as bigint) : 0n;
}

/**
 * Between an entry that a walk marks and the translation that it caches then there is no point: no invalidation comes there, as a processor takes
 * them between two accesses.
 *
 * @returns what `what` does
 */
export function observed<T>(what: () => T, observer: Observer): T {
  const names = [...NAMES, 'wait'], plain = names.map(name => atomics[name]!);
  NAMES.forEach((name, k) => {
    const operation = plain[k]!;
    atomics[name] = (...args) => {
      const mark = markOf(name, args);
      if (mark === 0n) observer.point();
      const answer = operation(...args);
      if (mark === 0n) observer.point();
      else if (answer === args[2]) observer.marked(args[1] as number, mark);
      return answer;
    };
  });
  atomics['wait'] = () => {
    observer.wait();
    return 'timed-out';
  };
  try {
    return what();
  } finally {
    names.forEach((name, k) => { atomics[name] = plain[k]!; });
  }
}
