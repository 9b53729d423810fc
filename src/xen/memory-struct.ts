/**
 * Structures that memory_op's argument points to: sizes and offsets of their fields, in bytes, as 64-bit guests and as 32-bit guests lay
 * them out.
 *
 * Source: Xen 4.17, xen/include/public/memory.h.
 */

/** xen_memory_reservation: `extent_start` is at 0. */
export interface ReservationLayout {
  readonly bytes: number;
  readonly nrExtents: number;
  readonly extentOrder: number;
  readonly memFlags: number;
  readonly domid: number;
}

export interface MemoryLayout {
  readonly reservation: ReservationLayout;
  /** xen_memory_exchange: `in` is at 0. */
  readonly exchange: { readonly bytes: number; readonly out: number; readonly nrExchanged: number };
  /** xen_machphys_mfn_list: `max_extents` is at 0. */
  readonly mfnList: { readonly bytes: number; readonly extentStart: number; readonly nrExtents: number };
  /** xen_memory_map: `nr_entries` is at 0. */
  readonly memoryMap: { readonly bytes: number; readonly buffer: number };
  /** xen_foreign_memory_map: `domid` is at 0. */
  readonly foreignMap: { readonly bytes: number; readonly map: number };
  /** xen_add_to_physmap: `domid` at 0, `size` at 2, `space` at 4. */
  readonly addToPhysmap: { readonly bytes: number };
  /** xen_add_to_physmap_batch: `domid` at 0, `space` at 2, `size` at 4. */
  readonly addBatch: { readonly bytes: number; readonly idxs: number; readonly gpfns: number; readonly errs: number };
  /** xen_remove_from_physmap: `domid` is at 0. */
  readonly removeFromPhysmap: { readonly bytes: number };
  /** xen_pod_target. */
  readonly podTarget: { readonly bytes: number; readonly domid: number };
  /** xen_mem_access_op: `domid` is at 2. */
  readonly accessOp: { readonly bytes: number };
  /** xen_vnuma_topology_info: `domid` at 0, `pad` at 2. */
  readonly vnuma: { readonly bytes: number };
  /** xen_reserved_device_memory_map: `flags` at 0, `nr_entries` at 4. */
  readonly reservedDevices: { readonly bytes: number; readonly buffer: number; readonly entryBytes: number };
  /** xen_mem_acquire_resource: `domid` at 0, `type` at 2, `id` at 4, `pad` at 12, `frame` at 16. */
  readonly acquire: { readonly bytes: number; readonly nrFrames: number; readonly frameList: number };
}

export const WIDE_LAYOUT: MemoryLayout = {
  reservation: { bytes: 32, nrExtents: 8, extentOrder: 16, memFlags: 20, domid: 24 },
  exchange: { bytes: 72, out: 32, nrExchanged: 64 },
  mfnList: { bytes: 24, extentStart: 8, nrExtents: 16 },
  memoryMap: { bytes: 16, buffer: 8 },
  foreignMap: { bytes: 24, map: 8 },
  addToPhysmap: { bytes: 24 },
  addBatch: { bytes: 32, idxs: 8, gpfns: 16, errs: 24 },
  removeFromPhysmap: { bytes: 16 },
  podTarget: { bytes: 40, domid: 32 },
  accessOp: { bytes: 32 },
  vnuma: { bytes: 40 },
  reservedDevices: { bytes: 24, buffer: 8, entryBytes: 16 },
  acquire: { bytes: 32, nrFrames: 8, frameList: 24 },
};

export const COMPAT_LAYOUT: MemoryLayout = {
  reservation: { bytes: 20, nrExtents: 4, extentOrder: 8, memFlags: 12, domid: 16 },
  exchange: { bytes: 44, out: 20, nrExchanged: 40 },
  mfnList: { bytes: 12, extentStart: 4, nrExtents: 8 },
  memoryMap: { bytes: 8, buffer: 4 },
  foreignMap: { bytes: 12, map: 4 },
  addToPhysmap: { bytes: 16 },
  addBatch: { bytes: 20, idxs: 8, gpfns: 12, errs: 16 },
  removeFromPhysmap: { bytes: 8 },
  podTarget: { bytes: 36, domid: 32 },
  accessOp: { bytes: 24 },
  vnuma: { bytes: 40 },
  reservedDevices: { bytes: 16, buffer: 8, entryBytes: 8 },
  acquire: { bytes: 28, nrFrames: 8, frameList: 24 },
};
