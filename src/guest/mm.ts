/** An address space. */
import { MmContext } from './mmu-ops.ts';
import { VmaList } from './vma.ts';

const UNKNOWN = -1;

export class Mm {
  readonly context = new MmContext();
  readonly vmas = new VmaList();
  /** Bytes: where the heap begins and ends, once the process has asked. */
  heapStart = UNKNOWN;
  heapEnd = UNKNOWN;
  /** Pages that are present. */
  resident = 0;
  /** Pages that reclaim is to look at. */
  readonly queued = new Set<number>();
  /** Not taken apart yet. */
  alive = true;
}
