/**
 * The mappings that a domain has of others' grants, by handle. Free handles are a list for each of its vCPUs, taken from the head and given back
 * to the tail; one always stays in it.
 *
 * Source: facts of Xen 4.17, struct grant_mapping, get_maptrack_handle(), put_maptrack_handle(), steal_maptrack_handle()
 *         (xen/common/grant_table.c). Where Xen begins to steal at a random vCPU this begins at the first.
 */
import { DOMAIN_MAPTRACK, DOMAIN_MAPTRACK_LIMIT, DOMAIN_MAPTRACK_MOST } from '../layout/domain.ts';
import { MAPTRACK_BYTES, MAPTRACK_DOMID, MAPTRACK_FLAGS, MAPTRACK_REF, MAPTRACK_VCPU } from '../layout/grant.ts';
import { GUEST_HANDLE_HEAD, GUEST_HANDLE_TAIL } from '../layout/guest-vcpu.ts';
import type { Views } from '../memory/views.ts';
import type { OwnFrames } from './own-frames.ts';
import { PagedTable } from './paged-table.ts';

export const MAPTRACK_PER_PAGE = 256;
const PAGE_SHIFT = 8; // handles in a page
const NONE = -1;

export class Maptrack {
  private readonly s: Views;
  private readonly domain: number;
  private readonly rows: PagedTable;
  private readonly pages: readonly number[];
  private readonly lists: number[] = [];
  private readonly vcpus: PagedTable;

  /** @param domain - word index of the domain's block @param vcpus - blocks of its vCPUs */
  constructor(own: OwnFrames, domain: number, vcpus: PagedTable) {
    this.s = own.s;
    this.domain = domain;
    this.vcpus = vcpus;
    this.rows = new PagedTable(own, domain + (DOMAIN_MAPTRACK >>> 2), MAPTRACK_BYTES, own.s.w[domain + (DOMAIN_MAPTRACK_MOST >>> 2)]);
    this.pages = this.rows.pages;
  }

  /** Word index of a handle's row: that of the table, with what is known of it. */
  private row(handle: number): number {
    return (this.pages[handle >>> PAGE_SHIFT] ?? this.rows.lookAt(handle >>> PAGE_SHIFT)) + (handle & (MAPTRACK_PER_PAGE - 1)) * (MAPTRACK_BYTES >>> 2);
  }


  /** Handles there are. */
  get limit(): number { return this.s.w[this.domain + (DOMAIN_MAPTRACK_LIMIT >>> 2)]; }
  private set limit(handles: number) { this.s.w[this.domain + (DOMAIN_MAPTRACK_LIMIT >>> 2)] = handles; }
  /** Handles there may be. */
  private get most(): number { return this.s.w[this.domain + (DOMAIN_MAPTRACK_MOST >>> 2)]; }

  ref(handle: number): number { return this.s.w[this.row(handle) + (MAPTRACK_REF >>> 2)] >>> 0; }
  flags(handle: number): number { return this.s.w[this.row(handle) + (MAPTRACK_FLAGS >>> 2)]; }
  domid(handle: number): number { return this.s.w[this.row(handle) + (MAPTRACK_DOMID >>> 2)]; }
  setFlags(handle: number, flags: number): void { this.s.w[this.row(handle) + (MAPTRACK_FLAGS >>> 2)] = flags; }

  /** Let a handle stand for a mapping. */
  set(handle: number, domid: number, ref: number, flags: number): void {
    const { w } = this.s, at = this.row(handle);
    w[at + (MAPTRACK_DOMID >>> 2)] = domid;
    w[at + (MAPTRACK_REF >>> 2)] = ref;
    w[at + (MAPTRACK_FLAGS >>> 2)] = flags & 0xffff;
  }

  /** A free handle for a vCPU, -1 if there is none. Without memory for another page it is as if there may be no more. */
  take(vcpu: number): number {
    const handle = this.fromList(vcpu);
    if (handle !== NONE) return handle;
    if (this.limit < this.most && this.rows.reserve(this.limit + MAPTRACK_PER_PAGE)) return this.addPage(vcpu);
    if (this.tail(vcpu) === NONE) {
      const last = this.steal(vcpu);
      if (last === NONE) return NONE;
      this.setNext(last, NONE);
      this.setHead(vcpu, last);
      this.setTail(vcpu, last);
    }
    return this.steal(vcpu);
  }

  /** Give a handle back, to the vCPU whose it was. */
  give(handle: number): void {
    const vcpu = this.s.w[this.row(handle) + (MAPTRACK_VCPU >>> 2)], tail = this.tail(vcpu);
    this.setNext(handle, NONE);
    this.setTail(vcpu, handle);
    this.setNext(tail, handle);
  }

  /** Forget all handles: of a domain that is being destroyed. */
  clear(): void {
    this.limit = 0;
    this.rows.clear();
    for (let vcpu = 0; vcpu < this.vcpus.capacity; vcpu++) {
      this.setHead(vcpu, NONE);
      this.setTail(vcpu, NONE);
    }
  }

  /** The free handles, list by list. */
  *free(): Generator<number> {
    for (let vcpu = 0; vcpu < this.vcpus.capacity; vcpu++) {
      for (let handle = this.head(vcpu); handle !== NONE; handle = this.s.w[this.row(handle) + (MAPTRACK_REF >>> 2)]) yield handle;
    }
  }

  /** Word index of a vCPU's block, which has the two ends of its list. */
  private list(vcpu: number): number {
    while (this.lists.length <= vcpu) this.lists.push(this.vcpus.row(this.lists.length));
    return this.lists[vcpu];
  }

  private head(vcpu: number): number { return this.s.w[this.list(vcpu) + (GUEST_HANDLE_HEAD >>> 2)]; }
  private setHead(vcpu: number, handle: number): void { this.s.w[this.list(vcpu) + (GUEST_HANDLE_HEAD >>> 2)] = handle; }
  private tail(vcpu: number): number { return this.s.w[this.list(vcpu) + (GUEST_HANDLE_TAIL >>> 2)]; }
  private setTail(vcpu: number, handle: number): void { this.s.w[this.list(vcpu) + (GUEST_HANDLE_TAIL >>> 2)] = handle; }
  private setNext(handle: number, next: number): void { this.s.w[this.row(handle) + (MAPTRACK_REF >>> 2)] = next; }

  private fromList(vcpu: number): number {
    const head = this.head(vcpu);
    if (head === NONE) return NONE;
    const next = this.s.w[this.row(head) + (MAPTRACK_REF >>> 2)];
    if (next === NONE) return NONE;
    this.setHead(vcpu, next);
    return head;
  }

  private steal(thief: number): number {
    for (let vcpu = 0; vcpu < this.vcpus.capacity; vcpu++) {
      const handle = this.fromList(vcpu);
      if (handle === NONE) continue;
      this.s.w[this.row(handle) + (MAPTRACK_VCPU >>> 2)] = thief;
      return handle;
    }
    return NONE;
  }

  /** Hand out the first handle of another page; the others go to the head of the list. */
  private addPage(vcpu: number): number {
    const first = this.limit, end = first + MAPTRACK_PER_PAGE;
    for (let handle = first; handle < end; handle++) {
      this.set(handle, 0, handle + 1, 0);
      this.s.w[this.row(handle) + (MAPTRACK_VCPU >>> 2)] = vcpu;
    }
    if (this.tail(vcpu) === NONE) this.setTail(vcpu, end - 1);
    this.setNext(end - 1, this.head(vcpu));
    this.setHead(vcpu, first + 1);
    this.limit = end;
    return first;
  }
}
