/**
 * Numbers of the grant table's interface. The names are those of the public header.
 *
 * Source: Xen 4.17, xen/include/public/grant_table.h.
 */

// Commands of grant_table_op; the bits above are the state of a continued cache_flush.
export const GNTTABOP_map_grant_ref = 0;
export const GNTTABOP_unmap_grant_ref = 1;
export const GNTTABOP_setup_table = 2;
export const GNTTABOP_transfer = 4;
export const GNTTABOP_copy = 5;
export const GNTTABOP_query_size = 6;
export const GNTTABOP_unmap_and_replace = 7;
export const GNTTABOP_set_version = 8;
export const GNTTABOP_get_status_frames = 9;
export const GNTTABOP_get_version = 10;
export const GNTTABOP_swap_grant_ref = 11;
export const GNTTABOP_cache_flush = 12;
export const GNTTABOP_CMD_MASK = 0xfff;

// Flags of a grant entry: the low 16 bits of its first word; the high 16 are the domain it is for.
export const GTF_permit_access = 1;
export const GTF_accept_transfer = 2;
export const GTF_transitive = 3;
export const GTF_type_mask = 3;
export const GTF_readonly = 1 << 2;
export const GTF_reading = 1 << 3; // of version 1; in version 2 these two are in the status frames
export const GTF_writing = 1 << 4;
export const GTF_sub_page = 1 << 8;
export const GTF_transfer_committed = 1 << 2; // with GTF_accept_transfer
export const GTF_transfer_completed = 1 << 3;

/** Entries that keep their meaning when the version changes: those of the console and the store. */
export const GNTTAB_NR_RESERVED_ENTRIES = 8;

// Flags of a mapping.
export const GNTMAP_device_map = 1 << 0;
export const GNTMAP_host_map = 1 << 1;
export const GNTMAP_readonly = 1 << 2;
export const GNTMAP_application_map = 1 << 3; // for the guest's user mode too
export const GNTMAP_contains_pte = 1 << 4; //    the address is the machine address of a level-1 entry
export const GNTMAP_guest_avail0 = 16; //        three bits from here up: bits 11:9 of the entry

// Flags of a copy: which side is named by a grant reference.
export const GNTCOPY_source_gref = 1 << 0;
export const GNTCOPY_dest_gref = 1 << 1;

export const GNTTAB_CACHE_CLEAN = 1 << 0;
export const GNTTAB_CACHE_INVAL = 1 << 1;

// What became of one operation.
export const GNTST_okay = 0;
export const GNTST_general_error = -1;
export const GNTST_bad_domain = -2;
export const GNTST_bad_gntref = -3;
export const GNTST_bad_handle = -4;
export const GNTST_bad_virt_addr = -5;
export const GNTST_bad_dev_addr = -6;
export const GNTST_permission_denied = -8;
export const GNTST_bad_page = -9;
export const GNTST_bad_copy_arg = -10;
export const GNTST_eagain = -12;
export const GNTST_no_space = -13;
