/**
 * Oracle of a set-associative array, written the long way: each set is a map from page to the entries held for it, and the order of
 * replacement is an explicit object: a list in order of use, a tree, a set of flags, a random sequence.
 */

/** Whose an entry is: a PCID's, or everyone's. */
export type Owner = number | 'global';

/** One entry, and the way it is in. */
export interface Held<T> {
  readonly way: number;
  readonly size: number;
  readonly number: bigint;
  readonly owner: Owner;
  readonly what: T;
}

/** What decides which way of a full set goes. */
export interface Order {
  used(way: number): void;
  /** Asked only when every way is taken. */
  next(): number;
  emptied(way: number): void;
}

/** Ways in order of use, the last one first. */
class LeastRecentlyUsed implements Order {
  private list: number[] = [];

  used(way: number): void {
    this.emptied(way);
    this.list.unshift(way);
  }

  next(): number {
    return this.list[this.list.length - 1];
  }

  emptied(way: number): void {
    const at = this.list.indexOf(way);
    if (at >= 0) this.list.splice(at, 1);
  }
}

interface Leaf { readonly way: number }
interface Fork { readonly left: Tree; readonly right: Tree | undefined; leftIsOlder: boolean }
type Tree = Leaf | Fork;

/** A tree over 2^k places; places beyond the last way do not exist, and neither do forks without a place. */
function grow(first: number, places: number, ways: number): Tree | undefined {
  if (first >= ways) return undefined;
  if (places === 1) return { way: first };
  return { left: grow(first, places / 2, ways)!, right: grow(first + places / 2, places / 2, ways), leftIsOlder: true };
}

const holds = (tree: Tree | undefined, way: number): boolean =>
  tree !== undefined && ('way' in tree ? tree.way === way : holds(tree.left, way) || holds(tree.right, way));

/** Each fork remembers which of its halves was used less recently. Emptying a way is no use of it. */
class TreeOrder implements Order {
  private readonly root: Tree;
  /** For each way, the forks above it and the side it is on. */
  private readonly above: { readonly fork: Fork; readonly onLeft: boolean }[][] = [];

  constructor(ways: number) {
    let places = 1;
    while (places < ways) places *= 2;
    this.root = grow(0, places, ways)!;
    for (let way = 0; way < ways; way++) {
      const path = [];
      for (let at = this.root; !('way' in at);) {
        const onLeft = holds(at.left, way);
        path.push({ fork: at, onLeft });
        at = onLeft ? at.left : at.right!;
      }
      this.above.push(path);
    }
  }

  used(way: number): void {
    for (const { fork, onLeft } of this.above[way]) fork.leftIsOlder = !onLeft;
  }

  next(): number {
    let at = this.root;
    while (!('way' in at)) at = at.leftIsOlder || at.right === undefined ? at.left : at.right;
    return at.way;
  }

  emptied(): void {}
}

/** Ways used since all of them had been; the lowest other one goes. */
class NotRecentlyUsed implements Order {
  private readonly ways: number;
  private recent = new Set<number>();

  constructor(ways: number) {
    this.ways = ways;
  }

  used(way: number): void {
    this.recent.add(way);
    if (this.recent.size === this.ways) this.recent = new Set([way]);
  }

  next(): number {
    for (let way = 0; way < this.ways; way++) if (!this.recent.has(way)) return way;
    return 0;
  }

  emptied(): void {}
}

/** Marsaglia's xorshift generator with shifts 13, 17, 5, on 32 bits; one sequence for all sets of an array. */
export class Xorshift {
  private x: bigint;

  constructor(seed: number) {
    this.x = BigInt.asUintN(32, BigInt(seed));
  }

  next(): number {
    this.x = BigInt.asUintN(32, this.x ^ (this.x << 13n));
    this.x ^= this.x >> 17n;
    this.x = BigInt.asUintN(32, this.x ^ (this.x << 5n));
    return Number(this.x);
  }
}

class AtRandom implements Order {
  private readonly ways: number;
  private readonly numbers: Xorshift;

  constructor(ways: number, numbers: Xorshift) {
    this.ways = ways;
    this.numbers = numbers;
  }

  used(): void {}
  next(): number {
    return this.numbers.next() % this.ways;
  }

  emptied(): void {}
}

export type Policy = 'lru' | 'tree-plru' | 'nru' | 'random';
export const POLICIES: readonly Policy[] = ['lru', 'tree-plru', 'nru', 'random'];

export function makeOrder(policy: Policy, ways: number, numbers: Xorshift): Order {
  if (policy === 'lru') return new LeastRecentlyUsed();
  if (policy === 'tree-plru') return new TreeOrder(ways);
  return policy === 'nru' ? new NotRecentlyUsed(ways) : new AtRandom(ways, numbers);
}

interface OracleSet<T> {
  /** The same entries twice: by page, and by way. */
  readonly byPage: Map<bigint, Held<T>[]>;
  readonly byWay: (Held<T> | undefined)[];
  readonly order: Order;
}

/** `sets` maps. An entry is found by size, page number and PCID; a global one by any PCID. */
export class OracleArray<T> {
  private readonly sets: OracleSet<T>[] = [];
  /** Entries that had to go for another. */
  replaced = 0;

  /** @param seed - of the random policy, as the state holds it */
  constructor(sets: number, ways: number, policy: Policy, seed: number) {
    const numbers = new Xorshift(seed);
    for (let set = 0; set < sets; set++) {
      this.sets.push({ byPage: new Map(), byWay: Array.from({ length: ways }, () => undefined), order: makeOrder(policy, ways, numbers) });
    }
  }

  /** The usable entry: a global one, or one of the PCID. */
  find(size: number, number: bigint, pcid: number): Held<T> | undefined {
    const usable = (this.setOf(number).byPage.get(pageKey(size, number)) ?? []).filter(held => held.owner === 'global' || held.owner === pcid);
    if (usable.length > 1) throw new Error('two entries answer for one page');
    return usable[0];
  }

  use(held: Held<T>): void {
    this.setOf(held.number).order.used(held.way);
  }

  /** Hold something for a page; what was usable for it before goes, and for a global one what any PCID could use. */
  hold(size: number, number: bigint, pcid: number, global: boolean, what: T): void {
    const set = this.setOf(number);
    const going = [...(set.byPage.get(pageKey(size, number)) ?? [])].filter(held => global || held.owner === 'global' || held.owner === pcid);
    const old = going.sort((one, other) => one.way - other.way)[0];
    for (const each of going) this.forget(each);
    const empty = set.byWay.indexOf(undefined);
    const way = old !== undefined ? old.way : empty >= 0 ? empty : set.order.next();
    const loser = set.byWay[way];
    if (loser !== undefined) {
      this.replaced++;
      this.forget(loser);
    }
    const held: Held<T> = { way, size, number, owner: global ? 'global' : pcid, what };
    set.byWay[way] = held;
    const key = pageKey(size, number), same = set.byPage.get(key);
    if (same === undefined) set.byPage.set(key, [held]);
    else same.push(held);
    set.order.used(way);
  }

  forgetWhere(wanted: (held: Held<T>) => boolean): void {
    for (const set of this.sets) {
      for (const held of set.byWay) if (held !== undefined && wanted(held)) this.forget(held);
    }
  }

  /** Every entry as text, in the order of sets and ways. */
  list(show: (held: Held<T>) => string): string[] {
    const found: string[] = [];
    this.sets.forEach((set, s) => set.byWay.forEach((held, way) => { if (held !== undefined) found.push(`${s}.${way} ${show(held)}`); }));
    return found;
  }

  private forget(held: Held<T>): void {
    const set = this.setOf(held.number), key = pageKey(held.size, held.number);
    const others = set.byPage.get(key)!.filter(each => each !== held);
    if (others.length > 0) set.byPage.set(key, others);
    else set.byPage.delete(key);
    set.byWay[held.way] = undefined;
    set.order.emptied(held.way);
  }

  private setOf(number: bigint): OracleSet<T> {
    return this.sets.length === 1 ? this.sets[0] : this.sets[Number(number % BigInt(this.sets.length))];
  }
}

const pageKey = (size: number, number: bigint): bigint => number * 4n + BigInt(size);
