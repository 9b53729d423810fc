/**
 * Contexts: whose translations are cached. A processor keeps a small number for each guest in its tags in place of the long identifiers by
 * which the architecture tells translations apart: VPID and EPT root, or ASID. Seven fit here; an eighth takes the number of the one entered
 * longest ago, whose translations are dropped, which a processor may do at any time.
 *
 * Source: Intel SDM vol. 3C, "Caching Translation Information" of VMX (linear, guest-physical and combined mappings; EP4TA, VPID);
 *         AMD APM vol. 2, "TLB Control", "Address Space Identifier (ASID)".
 */
import { CTX_BYTES, CTX_ID, CTX_ROOT_HI, CTX_ROOT_LO, CTX_STAMP, NEST_CONTEXTS } from '../layout/nested.ts';
import { TAG_GLOBAL } from '../layout/tlb.ts';
import { VCPU_TAG_GLOBAL } from '../layout/vcpu.ts';
import { dropContext } from '../mmu/invalidate.ts';

const CONTEXT_SHIFT = 28; // of TAG_CONTEXT

/** Make a context the current one of block `b`, whose arrays hold what is cached. @param table - word index of the block's contexts */
export function enterContext(w: Int32Array, b: number, table: number, id: number, rootLo: number, rootHi: number): void {
  let oldest = table, newest = 0, found = -1;
  for (let k = 0, row = table; k < NEST_CONTEXTS; k++, row += CTX_BYTES >>> 2) {
    const stamp = w[row + (CTX_STAMP >>> 2)];
    if (stamp !== 0 && w[row + (CTX_ID >>> 2)] === id && w[row + (CTX_ROOT_LO >>> 2)] === rootLo && w[row + (CTX_ROOT_HI >>> 2)] === rootHi) found = row;
    if (stamp < w[oldest + (CTX_STAMP >>> 2)]) oldest = row;
    newest = Math.max(newest, stamp);
  }
  const row = found >= 0 ? found : oldest, context = numberOf(table, row);
  if (found < 0) {
    dropContext(w, b, context);
    w[row + (CTX_ID >>> 2)] = id;
    w[row + (CTX_ROOT_LO >>> 2)] = rootLo;
    w[row + (CTX_ROOT_HI >>> 2)] = rootHi;
  }
  w[row + (CTX_STAMP >>> 2)] = renumbered(w, table, newest) + 1;
  w[b + (VCPU_TAG_GLOBAL >>> 2)] = TAG_GLOBAL | context;
}

const STAMP_LIMIT = 0x7ffffffe;

/** @returns the newest stamp; once in two thousand million entries all stamps become small again, in their order */
function renumbered(w: Int32Array, table: number, newest: number): number {
  if (newest < STAMP_LIMIT) return newest;
  const rows = Array.from({ length: NEST_CONTEXTS }, (_, k) => table + k * (CTX_BYTES >>> 2) + (CTX_STAMP >>> 2)).filter(at => w[at] !== 0);
  rows.sort((a, b) => w[a] - w[b]).forEach((at, k) => { w[at] = k + 1; });
  return rows.length;
}

/** The context of a row, as it stands in tags. */
const numberOf = (table: number, row: number): number => ((row - table) / (CTX_BYTES >>> 2) + 1) << CONTEXT_SHIFT;

/** Go back to the host's own translations. */
export function leaveContext(w: Int32Array, b: number): void {
  w[b + (VCPU_TAG_GLOBAL >>> 2)] = TAG_GLOBAL;
}

/** Do something for each context that `wanted` accepts. @param act - gets the context as it stands in tags */
export function forContexts(w: Int32Array, table: number, wanted: (id: number, rootLo: number, rootHi: number) => boolean, act: (context: number) => void): void {
  for (let k = 0, row = table; k < NEST_CONTEXTS; k++, row += CTX_BYTES >>> 2) {
    if (w[row + (CTX_STAMP >>> 2)] === 0) continue;
    if (wanted(w[row + (CTX_ID >>> 2)], w[row + (CTX_ROOT_LO >>> 2)], w[row + (CTX_ROOT_HI >>> 2)])) act(numberOf(table, row));
  }
}
