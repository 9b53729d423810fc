/**
 * Everything that shadows promise, worked out again from the guest's tables, the P2M and the policy.
 *
 *   SA1  an entry of a guest table's shadow is empty, magic where the guest's is not present, or what the guest's entry gives, at most with fewer rights to write
 *   SA2  a flip is the supervisor's, of the frame that the guest's entry names, while every vCPU has CR0.WP = 0 and CR4.SMAP = 0
 *   SA3  no entry maps a frame writable whose table is shadowed and in sync, or that is clean in a round of log-dirty
 *   SA4  an entry of a flat table is of the frame that its place says
 *
 * and SH1 to SH5 (pages.ts), SW1 and SW2 (writable.ts), SO1 and SO2 (out-of-sync.ts).
 */
import { PTE_D, PTE_P, PTE_PS, PTE_RW, PTE_US } from '../../arch/pte.ts';
import { mayBeLarge, mayFlip, putFlatLeaf, putLarge } from './fill.ts';
import { entryBytes, guestIndex, KIND_FL1, KIND_FL2, KIND_FREE, KIND_L1, KIND_TOP3, KIND_TOP4, LEVEL_OF, MAGIC_LO } from './kind.ts';
import { ENTRIES } from './pages.ts';
import { ENTRY_LEAF, gfnOf, judgeEntry, largeGfn, propagate } from './propagate.ts';
import type { ShadowState } from './state.ts';
import { frameOf } from './writable.ts';

/** @returns what does not hold, in prose */
export function auditShadows(h: ShadowState): string[] {
  const { pages } = h, found: string[] = [];
  const writable = new Map<number, number>(), parents: number[][] = Array.from({ length: pages.frames }, () => []), large = new Set<number>();
  for (let page = 0; page < pages.frames; page++) {
    if (pages.kind[page] === KIND_FREE) continue;
    let live = 0;
    for (let index = 0; index < ENTRIES; index++) {
      const slot = page * ENTRIES + index, at = pages.wordOf(slot), lo = h.s.w[at], hi = h.s.w[at + 1];
      if ((lo | hi) === 0) continue;
      live++;
      const wrong = auditEntry(h, page, index, lo, hi);
      if (wrong !== '') found.push(`${wrong}: entry ${index} of ${nameOf(h, page)} is 0x${hi >>> 0 ? (hi >>> 0).toString(16) : ''}.${(lo >>> 0).toString(16)}`);
      if (!h.isMapping(lo, hi)) continue;
      if (LEVEL_OF[pages.kind[page]] === 1) {
        if (lo & PTE_RW) writable.set(frameOf(lo, hi), (writable.get(frameOf(lo, hi)) ?? 0) + 1);
      } else if (lo & PTE_PS) large.add(slot);
      else parents[pages.pageOf(lo, hi)]?.push(slot);
    }
    if (live !== pages.live[page]) found.push(`SH5: ${nameOf(h, page)} has ${live} entries, not ${pages.live[page]}`);
  }
  auditPages(h, parents, found);
  auditWritable(h, writable, large, found);
  for (const mfn of h.outOfSync.copies.keys()) {
    if (!pages.isTable(mfn) || pages.shadowsOf(mfn).some(page => pages.kind[page] !== KIND_L1)) found.push(`SO1: frame 0x${mfn.toString(16)} is out of sync and no page table`);
  }
  if (h.flips.size > 0 && !mayFlip(h)) found.push('SA2: there are flips, which some vCPU would notice');
  return found;
}

const nameOf = (h: ShadowState, page: number): string =>
  `page ${page} (kind ${h.pages.kind[page]}, role ${h.pages.role[page]}, part ${h.pages.part[page]}, of 0x${h.pages.of[page].toString(16)})`;

function auditPages(h: ShadowState, parents: readonly number[][], found: string[]): void {
  const { pages } = h, seen = new Set<string>(), sorted = (slots: readonly number[]): string => [...slots].sort((a, b) => a - b).join();
  for (let page = 0; page < pages.frames; page++) {
    const kind = pages.kind[page], key = `${kind} ${pages.role[page]} ${pages.part[page]} ${pages.of[page]}`;
    if (sorted(parents[page]) !== sorted(pages.parents[page])) found.push(`SH3: ${nameOf(h, page)} is pointed at by [${parents[page]}], not [${pages.parents[page]}]`);
    if ((kind === KIND_FREE) !== pages.free.includes(page)) found.push(`SH1: ${nameOf(h, page)} is free or not`);
    if (kind === KIND_FREE) continue;
    const roots = h.roots.filter(r => r.page === page).length;
    if (kind === KIND_TOP3 || kind === KIND_TOP4) continue;
    if (pages.find(pages.of[page], kind, pages.role[page], pages.part[page]) !== page) found.push(`SH1: ${nameOf(h, page)} is not in the hash`);
    if (seen.has(key)) found.push(`SH2: ${nameOf(h, page)} is there twice`);
    seen.add(key);
    if (pages.roots[page] !== roots) found.push(`SH4: ${nameOf(h, page)} is the root of ${roots} vCPUs, not ${pages.roots[page]}`);
    if (!pages.isKept(page)) found.push(`SH4: ${nameOf(h, page)} is kept by nothing`);
  }
}

function auditWritable(h: ShadowState, writable: ReadonlyMap<number, number>, large: ReadonlySet<number>, found: string[]): void {
  let total = 0;
  for (const [mfn, n] of writable) {
    total += n;
    if (h.writable.of(mfn) !== n) found.push(`SW1: frame 0x${mfn.toString(16)} is writable ${n} times, not ${h.writable.of(mfn)}`);
    if (h.isInSyncTable(mfn)) found.push(`SA3: frame 0x${mfn.toString(16)} is a table in sync, and writable`);
  }
  if (h.writable.total !== total) found.push(`SW1: ${total} entries are writable, not ${h.writable.total}`);
  if (large.size !== h.writable.large.size || [...large].some(slot => !h.writable.large.has(slot))) found.push('SW2: other slots have large pages than are known');
}

/** @returns the number of the invariant that an entry breaks, or '' */
function auditEntry(h: ShadowState, page: number, index: number, lo: number, hi: number): string {
  const { pages } = h, kind = pages.kind[page];
  if (kind === KIND_TOP4) return '';
  if (kind === KIND_TOP3) return pages.pageOf(lo, hi) < 0 ? 'SA1' : '';
  if (kind === KIND_FL1) {
    putFlatLeaf(h, pages.of[page] + index, pages.part[page]);
    return within(h, lo, hi) ? '' : 'SA4';
  }
  if (kind === KIND_FL2) return auditFlat(h, page, index, lo, hi);
  const { role } = h.pages, size = entryBytes(role[page]), number = guestIndex(kind, role[page], pages.part[page], index), mfn = pages.of[page];
  h.memory.load(mfn, number * size, size);
  if (agrees(h, page, index, lo, hi, h.memory.lo, h.memory.hi)) return '';
  const copy = h.outOfSync.copies.get(mfn);
  if (copy === undefined) return 'SA1';
  const [oldLo, oldHi] = size === 4 ? [copy[number], 0] : [copy[number * 2], copy[number * 2 + 1]];
  return agrees(h, page, index, lo, hi, oldLo, oldHi) ? '' : 'SO2';
}

/** Is a shadow entry one that a guest's entry may have? */
function agrees(h: ShadowState, page: number, index: number, lo: number, hi: number, gLo: number, gHi: number): boolean {
  const { pages } = h, kind = pages.kind[page], role = pages.role[page];
  if (!h.isMapping(lo, hi)) return kind === KIND_L1 && lo === MAGIC_LO && hi === h.magicHi && !(gLo & PTE_P);
  if (h.flips.has(page * ENTRIES + index)) return !(lo & PTE_US) && frameOf(lo, hi) === h.memory.mfn(gfnOf(gLo, gHi)) && h.dirty.permits(gfnOf(gLo, gHi));
  if (lo & PTE_PS && kind > KIND_L1) {
    const first = largeGfn(role, kind, index, gLo, gHi);
    if (kind !== 2 || judgeEntry(h, role, kind, gLo, gHi) !== ENTRY_LEAF || !(mayBeLarge(h, first) || h.dirty.on)) return false;
    putLarge(h, first, role, gLo, gHi);
  } else propagate(h, page, index, gLo, gHi);
  return within(h, lo, hi);
}

function auditFlat(h: ShadowState, page: number, index: number, lo: number, hi: number): string {
  const { pages } = h, gfn = pages.of[page] + index * ENTRIES;
  if (lo & PTE_PS) return frameOf(lo & ~0xfff & ~0x1ff000, hi) === h.memory.mfn(gfn) && (mayBeLarge(h, gfn) || h.dirty.on) ? '' : 'SA4';
  return pages.pageOf(lo, hi) === pages.find(gfn, KIND_FL1, 0, pages.part[page]) ? '' : 'SA4';
}

/** Is an entry the one in `outLo`, `outHi`, or that without the right to write? */
function within(h: ShadowState, lo: number, hi: number): boolean {
  return hi === h.outHi && (lo === h.outLo || lo === (h.outLo & ~(PTE_RW | PTE_D)));
}
