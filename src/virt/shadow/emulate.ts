/**
 * A guest's write to one of its tables, made by the hypervisor; the shadows follow at once.
 *
 * What is written tells whether it is a table still: bytes that are no entry, entries cleared one after the other, or many writes with no access through
 * it between.
 *
 * Source: Xen 4.17 mm/shadow/hvm.c, sh_x86_emulate_write() and check_for_early_unshadow(); mm/shadow/multi.c, sh_validate_guest_entry(); Linux kernel
 *         documentation, "The x86 kvm shadow mmu", on write flooding.
 */
import { writeBytes } from '../../memory/bytes.ts';
import { FRAME_BYTES } from '../../memory/extents.ts';
import { markDirty } from './guest-walk.ts';
import { entryBytes } from './kind.ts';
import { ENTRY_RESERVED, judgeEntry } from './propagate.ts';
import { revalidate } from './revalidate.ts';
import type { ShadowState } from './state.ts';
import { unshadow } from './unshadow.ts';
import { WORK } from './work.ts';

const LEAST_ENTRY_BYTES = 4;
const NONE = -1;

/** Write bytes inside one guest frame that may be a table. */
export function emulateWrite(h: ShadowState, gfn: number, mfn: number, offset: number, data: Uint8Array): void {
  writeBytes(h.s, mfn * FRAME_BYTES + offset, data);
  markDirty(h, gfn);
  if (!h.isInSyncTable(mfn)) return;
  h.work.add(WORK.emulatedWrite);
  if (h.policy.unshadow && isCleared(h, mfn, offset, data)) unshadow(h, mfn, WORK.unshadowCleared);
  else followWrite(h, mfn, offset, data.length);
}

/** Are these zeroes over entries, as were the last that the guest wrote to this table, with no other fault between? Processes end so. */
function isCleared(h: ShadowState, mfn: number, offset: number, data: Uint8Array): boolean {
  const zeroes = offset % LEAST_ENTRY_BYTES === 0 && data.length >= LEAST_ENTRY_BYTES && data.every(byte => byte === 0), again = zeroes && h.lastCleared === mfn;
  h.lastCleared = zeroes && !again ? mfn : NONE;
  return again;
}

/** The bytes of an in-sync table have changed. */
export function followWrite(h: ShadowState, mfn: number, offset: number, bytes: number): void {
  revalidate(h, mfn, offset, bytes);
  if (!h.policy.unshadow) return;
  const floods = (h.floods.get(mfn) ?? 0) + 1;
  if (bytes < LEAST_ENTRY_BYTES || offset % LEAST_ENTRY_BYTES !== 0 || noEntries(h, mfn, offset, bytes)) unshadow(h, mfn, WORK.unshadowNotEntries);
  else if (floods >= h.policy.flood) unshadow(h, mfn, WORK.unshadowFlood);
  else h.floods.set(mfn, floods);
}

/** Is there an entry among the bytes that none of the table's shadows can be of? */
function noEntries(h: ShadowState, mfn: number, offset: number, bytes: number): boolean {
  const shadows = h.pages.shadowsOf(mfn);
  return shadows.length > 0 && shadows.every(page => {
    const role = h.pages.role[page], size = entryBytes(role);
    for (let index = Math.floor(offset / size); index * size < offset + bytes; index++) {
      h.memory.load(mfn, index * size, size);
      if (judgeEntry(h, role, h.pages.kind[page], h.memory.lo, h.memory.hi) === ENTRY_RESERVED) return true;
    }
    return false;
  });
}
