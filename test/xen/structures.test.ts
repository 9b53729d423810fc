/** Sizes and offsets of the structures that calls read and write, against the public headers' declarations laid out by the rules of the two ABIs. */
import { describe, expect, it } from 'vitest';
import { MMU_UPDATE_BYTES } from '../../src/layout/frame.ts';
import { FLUSH_BYTES } from '../../src/xen/grant-cache.ts';
import { COMPAT_COPY_BYTES, COPY_BYTES } from '../../src/xen/grant-copy.ts';
import { MAP_BYTES } from '../../src/xen/grant-map.ts';
import { COMPAT_TRANSFER_BYTES, TRANSFER_BYTES } from '../../src/xen/grant-transfer.ts';
import { UNMAP_BYTES } from '../../src/xen/grant-unmap.ts';
import { SWAP_BYTES } from '../../src/xen/grant-version.ts';
import { COMPAT_LAYOUT, WIDE_LAYOUT } from '../../src/xen/memory-struct.ts';
import { COMPAT_OP_BYTES, OP_BYTES } from '../../src/xen/mmuext-op.ts';
import { ENTRY_WORDS } from '../../src/xen/multicall.ts';

/** A field is aligned to its size, but in 32-bit structures to 4 at most unless the header says `aligned`. `word`s are of the guest's width. */
type Field = readonly [name: string, kind: 'word' | 'u64' | 'aligned64' | 'u32' | 'u16' | 'u8' | readonly Field[]];
const BYTES = { u64: 8, aligned64: 8, u32: 4, u16: 2, u8: 1 } as const;

function lay(fields: readonly Field[], word: number): { bytes: number; align: number; offsets: Record<string, number> } {
  let at = 0, align = 1;
  const offsets: Record<string, number> = {};
  for (const [name, kind] of fields) {
    const inner = typeof kind === 'string' ? undefined : lay(kind, word);
    const bytes = inner?.bytes ?? (kind === 'word' ? word : BYTES[kind as keyof typeof BYTES]);
    const own = inner?.align ?? (kind === 'u64' ? Math.min(bytes, word) : bytes);
    offsets[name] = Math.ceil(at / own) * own;
    at = offsets[name] + bytes;
    align = Math.max(align, own);
  }
  return { bytes: Math.ceil(at / align) * align, align, offsets };
}

// public/memory.h
const RESERVATION: Field[] = [['extent_start', 'word'], ['nr_extents', 'word'], ['extent_order', 'u32'], ['mem_flags', 'u32'], ['domid', 'u16']];
const MAP: Field[] = [['nr_entries', 'u32'], ['buffer', 'word']];
const MEMORY: Record<string, Field[]> = {
  reservation: RESERVATION, memoryMap: MAP, foreignMap: [['domid', 'u16'], ['map', MAP]],
  exchange: [['in', RESERVATION], ['out', RESERVATION], ['nr_exchanged', 'word']],
  mfnList: [['max_extents', 'u32'], ['extent_start', 'word'], ['nr_extents', 'u32']],
  addToPhysmap: [['domid', 'u16'], ['size', 'u16'], ['space', 'u32'], ['idx', 'word'], ['gpfn', 'word']],
  addBatch: [['domid', 'u16'], ['space', 'u16'], ['size', 'u16'], ['u', 'u16'], ['idxs', 'word'], ['gpfns', 'word'], ['errs', 'word']],
  removeFromPhysmap: [['domid', 'u16'], ['gpfn', 'word']],
  podTarget: [['target_pages', 'u64'], ['tot_pages', 'u64'], ['pod_cache_pages', 'u64'], ['pod_entries', 'u64'], ['domid', 'u16']],
  accessOp: [['op', 'u8'], ['access', 'u8'], ['domid', 'u16'], ['nr', 'u32'], ['pfn', 'aligned64'], ['pfn_list', 'word'], ['access_list', 'word']],
  vnuma: [['domid', 'u16'], ['pad', 'u16'], ['nr_vnodes', 'u32'], ['nr_vcpus', 'u32'], ['nr_vmemranges', 'u32'], ['vdistance', 'u64'], ['vcpu_to_vnode', 'u64'], ['vmemrange', 'u64']],
  reservedDevices: [['flags', 'u32'], ['nr_entries', 'u32'], ['buffer', 'word'], ['dev', [['seg', 'u16'], ['bus', 'u8'], ['devfn', 'u8']]]],
  acquire: [['domid', 'u16'], ['type', 'u16'], ['id', 'u32'], ['nr_frames', 'u32'], ['pad', 'u32'], ['frame', 'u64'], ['frame_list', 'word']],
};

// public/xen.h, public/grant_table.h; the sizes that the code has for 64-bit and 32-bit guests.
const POINTER: Field[] = [['ref', 'word'], ['domid', 'u16'], ['offset', 'u16']];
const SIZES: Record<string, [fields: Field[], wide: number, compat: number]> = {
  mmu_update: [[['ptr', 'u64'], ['val', 'u64']], MMU_UPDATE_BYTES, MMU_UPDATE_BYTES],
  mmuext_op: [[['cmd', 'u32'], ['arg1', 'word'], ['arg2', 'word']], OP_BYTES, COMPAT_OP_BYTES],
  multicall_entry: [[['op', 'word'], ['result', 'word'], ...[0, 1, 2, 3, 4, 5].map((k): Field => [`args${k}`, 'word'])], ENTRY_WORDS * 8, ENTRY_WORDS * 4],
  gnttab_map_grant_ref: [[['host_addr', 'u64'], ['flags', 'u32'], ['ref', 'u32'], ['dom', 'u16'], ['status', 'u16'], ['handle', 'u32'], ['dev_bus_addr', 'u64']], MAP_BYTES, MAP_BYTES],
  gnttab_unmap_grant_ref: [[['host_addr', 'u64'], ['dev_bus_addr', 'u64'], ['handle', 'u32'], ['status', 'u16']], UNMAP_BYTES, UNMAP_BYTES],
  gnttab_transfer: [[['mfn', 'word'], ['domid', 'u16'], ['ref', 'u32'], ['status', 'u16']], TRANSFER_BYTES, COMPAT_TRANSFER_BYTES],
  gnttab_copy: [[['source', POINTER], ['dest', POINTER], ['len', 'u16'], ['flags', 'u16'], ['status', 'u16']], COPY_BYTES, COMPAT_COPY_BYTES],
  gnttab_swap_grant_ref: [[['ref_a', 'u32'], ['ref_b', 'u32'], ['status', 'u16']], SWAP_BYTES, SWAP_BYTES],
  gnttab_cache_flush: [[['dev_bus_addr', 'u64'], ['offset', 'u16'], ['length', 'u16'], ['op', 'u32']], FLUSH_BYTES, FLUSH_BYTES],
};

describe.each([['64-bit', WIDE_LAYOUT, 8], ['32-bit', COMPAT_LAYOUT, 4]] as const)('structures of %s guests', (_, layout, word) => {
  it.each(Object.keys(layout))('%s of memory_op is laid out as the header says', name => {
    const { bytes, offsets } = lay(MEMORY[name]!, word), ours = (layout as unknown as Record<string, Record<string, number>>)[name]!;
    const snake = (text: string) => text.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`);
    for (const [field, value] of Object.entries(ours)) {
      if (field !== 'entryBytes') expect([field, value]).toEqual([field, field === 'bytes' ? bytes : offsets[snake(field)]]);
    }
  });

  it.each(Object.keys(SIZES))('%s has the size that the header gives it', name => {
    const [fields, wide, compat] = SIZES[name]!;
    // Where 32-bit guests have no structure of their own, its 64-bit numbers are aligned as anywhere.
    const { bytes } = lay(fields, wide === compat ? 8 : word);
    expect(bytes).toBe(word === 8 ? wide : compat);
  });

  it('of reserved device memory are two words', () => expect(layout.reservedDevices.entryBytes).toBe(lay([['start_pfn', 'word'], ['nr_pages', 'word']], word).bytes));
});
