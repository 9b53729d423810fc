/** Accesses of an embedder that does not need their answers at once: collected, and made by one call into the engine. */
import { ACCESS_ALL, ACCESS_FETCH, ACCESS_WRITE, FAULT_NONE } from '../arch/fault.ts';
import { ConfigError } from '../errors.ts';
import type { AccessColumns } from './columns.ts';

const WRITE_SHIFT = 31 - Math.clz32(ACCESS_WRITE), FETCH_SHIFT = 31 - Math.clz32(ACCESS_FETCH);

const BYTES_MOST = 65535;

/** What makes them: a vCPU. */
interface Maker {
  runBatch(columns: AccessColumns, from: number, to: number, extra: number): number;
  readonly batchFault: number;
}

/**
 * A queue of accesses of one vCPU, made in the order in which they came. Made by `Vcpu.queue()`.
 *
 * What they see of memory, registers and invalidations is what is there when they are made: flush before a change that must come after them.
 *
 * @example
 * if (queue.push(vaHi, vaLo, ACCESS_USER, 8) < 0) { ... }    // full: flush first
 * while ((fault = queue.flush()) !== FAULT_NONE) handle(fault, queue.made);
 */
export class AccessQueue {
  /** The accesses, at their indices; after they are made, `columns.pa` has the physical addresses. Overwritten by the next pushes. */
  readonly columns: AccessColumns;
  /** Accesses in the queue: those made, and those to make. */
  pushed = 0;
  /** How many of them are made, so the index of the next: after a fault, of the access that faulted. */
  made = 0;
  private readonly maker: Maker;
  private readonly va: Int32Array;
  private readonly kind: Uint8Array;
  private readonly size: Uint16Array;
  private readonly extra: Int32Array;

  constructor(maker: Maker, columns: AccessColumns) {
    this.maker = maker;
    this.columns = columns;
    this.va = columns.va;
    this.kind = columns.kind;
    this.size = columns.size;
    this.extra = new Int32Array(columns.capacity);
  }

  /**
   * Add an access. Nothing is allocated, and only `bytes` is checked. When all before it are made, it begins anew at index 0.
   *
   * @param vaHi, vaLo - the address as two 32-bit words @param kind - sum of ACCESS_* bits @param bytes - 1 to 65535, may cross pages
   * @returns its index, or -1 if the queue is full: nothing is added then @throws ConfigError - `bytes`
   */
  push(vaHi: number, vaLo: number, kind: number, bytes: number): number {
    if (!(bytes >= 1 && bytes <= BYTES_MOST)) refuseBytes(bytes);
    const { va } = this;
    let i = this.pushed;
    if (i === this.made) i = this.made = 0;
    else if (i === this.extra.length) return -1;
    const fetch = (kind >>> FETCH_SHIFT) & 1, store = (kind >>> WRITE_SHIFT) & ~fetch & 1; // no branches, as no processor can predict kinds
    va[2 * i] = vaLo;
    va[2 * i + 1] = vaHi;
    this.kind[i] = (fetch << 1) | store;
    this.size[i] = bytes;
    this.extra[i] = kind & ~((fetch << FETCH_SHIFT) | (store << WRITE_SHIFT));
    this.pushed = i + 1;
    return i;
  }

  /**
   * Make what is in the queue, up to the first access that faults.
   *
   * @returns FAULT_NONE: all are made. Or the fault of access number `made`: the next `flush()` makes it again and goes on with those after
   *   it, unless it is passed over by `skip()`. Until then pushes go behind the others
   * @throws ConfigError - the kind of access number `made` has unknown bits
   */
  flush(): number {
    const { extra, pushed } = this;
    while (this.made < pushed) {
      const bits = extra[this.made];
      if ((bits & ACCESS_ALL) !== bits) throw new ConfigError('kind', 'a sum of ACCESS_* bits', bits);
      let to = this.made + 1;
      while (to < pushed && extra[to] === bits) to++;
      this.made = this.maker.runBatch(this.columns, this.made, to, bits);
      if (this.made < to) return this.maker.batchFault;
    }
    return FAULT_NONE;
  }

  /** Pass over the access at `made`, if there is one: it counts as made. */
  skip(): void {
    if (this.made < this.pushed) this.made++;
  }

  /** Forget what is not made yet. */
  clear(): void {
    this.pushed = this.made = 0;
  }
}

function refuseBytes(bytes: number): never {
  throw new ConfigError('bytes', `an integer from 1 to ${BYTES_MOST}`, bytes);
}
