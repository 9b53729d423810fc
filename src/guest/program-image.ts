/**
 * What a program and its stack occupy when it starts. A trace begins behind exec, and does not say: it is worked out from what the process
 * touches without having mapped it.
 *
 * Pages near each other of which none, or all, are stored to are a segment of the program's file, as are the pages between them; pages among
 * those that are stored to are of their segment. The topmost that are stored to, above everything else, are the stack.
 */
import type { AccessBatch, TraceEvent } from '../trace/batch.ts';
import { callOf } from './recorded-call.ts';
import { PROT_EXEC, PROT_READ, PROT_WRITE, VmaList } from './vma.ts';

const GAP = 4096; //      pages that nobody touches and that are of a segment all the same
const NEAR = 16; //       ... and of a segment that is stored to, in spite of pages between that are not
const STACK_ROOM = 32; // pages below the stack that it may grow into
const MAPPED = 0; //      instead of rights: the process had mapped the page
const MEMO = 1024;

/** A range of pages, without what they hold. */
export interface Segment {
  readonly start: number;
  readonly end: number;
  /** Sum of PROT_*. */
  readonly prot: number;
  readonly isStack: boolean;
}

interface Range {
  readonly start: number;
  end: number;
  prot: number;
}

function extend(range: Range, by: Range): void {
  range.end = by.end;
  range.prot |= by.prot;
}

const RIGHTS = [PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC, PROT_READ | PROT_WRITE]; // by KIND_*

/** Reads a trace, and says what was there at its start. */
export class ImageCensus {
  private readonly rights = new Map<number, number>();
  private readonly mapped = new VmaList();
  private heapEnd = -1;
  private readonly memoPage = new Float64Array(MEMO).fill(-1);
  private readonly memoRights = new Uint8Array(MEMO);

  add(batch: AccessBatch): void {
    let at = 0;
    for (const event of batch.events) {
      this.addAccesses(batch, at, event.at);
      this.addCall(event);
      at = event.at;
    }
    this.addAccesses(batch, at, batch.count);
  }

  private addAccesses({ va, kind, size }: AccessBatch, from: number, to: number): void {
    const { memoPage, memoRights } = this;
    for (let i = from; i < to; i++) {
      const lo = va[2 * i], page = va[2 * i + 1] * 0x100000 + (lo >>> 12), right = RIGHTS[kind[i]];
      if (memoPage[page & (MEMO - 1)] !== page || (memoRights[page & (MEMO - 1)] & right) !== right) this.touch(page, right);
      if ((lo & 0xfff) + size[i] > 4096) this.touch(page + 1, right);
    }
  }

  private touch(page: number, right: number): void {
    const known = this.rights.get(page);
    const rights = known === MAPPED || (known === undefined && this.mapped.meets(page, page + 1)) ? MAPPED : (known ?? 0) | right;
    this.rights.set(page, rights);
    this.memoPage[page & (MEMO - 1)] = page;
    this.memoRights[page & (MEMO - 1)] = rights === MAPPED ? 0xff : rights;
  }

  private addCall(event: TraceEvent): void {
    const call = callOf(event);
    if (call.name === 'mmap') this.cover(call.start, call.end);
    else if (call.name === 'mremap') this.cover(call.to, call.to + call.wanted);
    else if (call.name === 'brk') {
      const end = Math.ceil(call.end / 4096);
      if (this.heapEnd >= 0) this.cover(this.heapEnd, end);
      this.heapEnd = Math.max(this.heapEnd, end);
    }
  }

  private cover(start: number, end: number): void {
    if (start >= end) return;
    this.mapped.remove(start, end);
    this.mapped.insert({ start, end, prot: 0, shared: false, file: undefined, offset: 0 });
  }

  /** Add a page to the last segment, if it is of its kind; with what is between it and the one before, if that one is. */
  private append(found: Range[], page: Range): void {
    const last = found.at(-1), before = found.at(-2);
    if (last !== undefined && this.isNear(last, page, GAP)) {
      extend(last, page);
    } else if (last !== undefined && before !== undefined && last.end - before.end <= NEAR && (page.prot & PROT_WRITE) !== 0 && this.isNear(before, page, NEAR)) {
      found.pop();
      extend(before, last);
      extend(before, page);
    } else {
      found.push(page);
    }
  }

  /** Are two ranges of a kind, with nothing mapped between them? */
  private isNear(a: Range, b: Range, gap: number): boolean {
    return ((a.prot ^ b.prot) & PROT_WRITE) === 0 && b.start - a.end <= gap && !this.mapped.meets(a.end, b.start);
  }

  /** What there was, in order of addresses. */
  segments(): Segment[] {
    const pages = [...this.rights].filter(([, rights]) => rights !== MAPPED).sort(([a], [b]) => a - b);
    const found: Range[] = [];
    for (const [page, prot] of pages) this.append(found, { start: page, end: page + 1, prot });
    const top = found.at(-1), above = Math.max(0, ...this.mapped.all.map(area => area.end));
    return found.map(segment => {
      const isStack = segment === top && segment.start >= above && (segment.prot & PROT_WRITE) !== 0;
      return { ...segment, start: isStack ? Math.max(segment.start - STACK_ROOM, above, found.at(-2)?.end ?? 0) : segment.start, isStack };
    });
  }
}
