/**
 * The atomic operations of this thread, before and after each of which something else can be done: all points at which another thread could see
 * what this one has done so far. Those of TypeScript; what wasm does is not seen.
 */
import { PTE_A, PTE_D } from '../src/arch/pte.ts';

type Plain = (...args: unknown[]) => unknown;

const NAMES = ['load', 'store', 'compareExchange', 'exchange', 'add', 'sub', 'and', 'or'] as const;
const AD = BigInt(PTE_A | PTE_D);

const atomics = Atomics as unknown as Record<string, Plain>;

/** Between an entry that a walk marks and the translation that it then caches no one else's invalidation comes: a processor takes those between two accesses. */
function isMark(name: string, [, , old, value]: readonly unknown[]): boolean {
  return name === 'compareExchange' && typeof old === 'bigint' && ((old ^ (value as bigint)) & ~AD) === 0n;
}

/**
 * @param point - called before and after each atomic operation of `what`, in which it may make others
 * @param wait - called instead of waiting for who cannot go on meanwhile
 * @returns what `what` does
 */
export function atEachPoint<T>(what: () => T, point: () => void, wait: () => void): T {
  const names = [...NAMES, 'wait'], plain = names.map(name => atomics[name]!);
  NAMES.forEach((name, k) => {
    const operation = plain[k]!;
    atomics[name] = (...args) => {
      if (isMark(name, args)) return operation(...args);
      point();
      const answer = operation(...args);
      point();
      return answer;
    };
  });
  atomics['wait'] = () => {
    wait();
    return 'timed-out';
  };
  try {
    return what();
  } finally {
    names.forEach((name, k) => { atomics[name] = plain[k]!; });
  }
}
