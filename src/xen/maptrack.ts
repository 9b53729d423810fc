/**
 * The mappings that a domain has of others' grants, by handle. Free handles are a list for each of its vCPUs, taken from the head and given back
 * to the tail; one always stays in it.
 *
 * Source: facts of Xen 4.17, struct grant_mapping, get_maptrack_handle(), put_maptrack_handle(), steal_maptrack_handle()
 *         (xen/common/grant_table.c). Where Xen begins to steal at a random vCPU this begins at the first.
 */

export const MAPTRACK_PER_PAGE = 256;
const NONE = -1;

const REF = 0; //   of a free handle: the next one
const FLAGS = 1; // GNTMAP_*, 16 bits; 0: not in use
const DOMID = 2;
const VCPU = 3;
const WORDS = 4;

export class Maptrack {
  /** Handles there are. */
  limit = 0;
  private readonly most: number;
  private rows = new Int32Array(0);
  private readonly heads: number[] = []; // by vCPU
  private readonly tails: number[] = [];

  /** @param pages - it may grow to, of MAPTRACK_PER_PAGE handles each */
  constructor(pages: number) {
    this.most = pages * MAPTRACK_PER_PAGE;
  }

  ref(handle: number): number { return this.rows[handle * WORDS + REF] >>> 0; }
  flags(handle: number): number { return this.rows[handle * WORDS + FLAGS]; }
  domid(handle: number): number { return this.rows[handle * WORDS + DOMID]; }
  setFlags(handle: number, flags: number): void { this.rows[handle * WORDS + FLAGS] = flags; }

  /** Let a handle stand for a mapping. */
  set(handle: number, domid: number, ref: number, flags: number): void {
    this.rows[handle * WORDS + DOMID] = domid;
    this.rows[handle * WORDS + REF] = ref;
    this.rows[handle * WORDS + FLAGS] = flags & 0xffff;
  }

  /** A free handle for a vCPU, -1 if there is none. */
  take(vcpu: number): number {
    while (this.heads.length <= vcpu) {
      this.heads.push(NONE);
      this.tails.push(NONE);
    }
    const handle = this.fromList(vcpu);
    if (handle !== NONE) return handle;
    if (this.limit < this.most) return this.addPage(vcpu);
    if (this.tails[vcpu] === NONE) {
      const last = this.steal(vcpu);
      if (last === NONE) return NONE;
      this.setNext(last, NONE);
      this.heads[vcpu] = this.tails[vcpu] = last;
    }
    return this.steal(vcpu);
  }

  /** Give a handle back, to the vCPU whose it was. */
  give(handle: number): void {
    const vcpu = this.rows[handle * WORDS + VCPU], tail = this.tails[vcpu];
    this.setNext(handle, NONE);
    this.tails[vcpu] = handle;
    this.setNext(tail, handle);
  }

  /** Forget all handles: of a domain that is being destroyed. */
  clear(): void {
    this.limit = 0;
    this.heads.length = this.tails.length = 0;
  }

  /** The free handles, list by list. */
  *free(): Generator<number> {
    for (const head of this.heads) for (let handle = head; handle !== NONE; handle = this.rows[handle * WORDS + REF]) yield handle;
  }

  private setNext(handle: number, next: number): void {
    this.rows[handle * WORDS + REF] = next;
  }

  private fromList(vcpu: number): number {
    const head = this.heads[vcpu];
    if (head === NONE) return NONE;
    const next = this.rows[head * WORDS + REF];
    if (next === NONE) return NONE;
    this.heads[vcpu] = next;
    return head;
  }

  private steal(thief: number): number {
    for (let vcpu = 0; vcpu < this.heads.length; vcpu++) {
      const handle = this.fromList(vcpu);
      if (handle === NONE) continue;
      this.rows[handle * WORDS + VCPU] = thief;
      return handle;
    }
    return NONE;
  }

  /** Another page of handles: its first one is handed out, the others go to the head of the list. */
  private addPage(vcpu: number): number {
    const first = this.limit, end = first + MAPTRACK_PER_PAGE;
    if (end * WORDS > this.rows.length) {
      const { rows } = this;
      this.rows = new Int32Array(Math.min(Math.max(end, 2 * first), this.most) * WORDS);
      this.rows.set(rows);
    }
    for (let handle = first; handle < end; handle++) {
      this.set(handle, 0, handle + 1, 0);
      this.rows[handle * WORDS + VCPU] = vcpu;
    }
    if (this.tails[vcpu] === NONE) this.tails[vcpu] = end - 1;
    this.setNext(end - 1, this.heads[vcpu]);
    this.heads[vcpu] = first + 1;
    this.limit = end;
    return first;
  }
}
