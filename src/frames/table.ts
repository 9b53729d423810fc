/**
 * The frame table: who owns each machine frame, what it is used as, and by how many. What hypervisors that validate their guests' page
 * tables keep.
 *
 * Between operations, for every frame:
 *   FT1  it has one type at a time, and changes it only while its type count is 0
 *   FT2  each type use goes with a general reference: references >= type count
 *   FT3  its references are one for PGC_ALLOCATED, one for PGT_PINNED, and one for each present entry of a validated table that maps it; its
 *        type count as writable is the number of such entries with R/W = 1 (and whatever else the hypervisor counts so)
 *   FT4  what a page table refers to holds references while that table is validated; a level-1 table is never mapped by an entry with R/W = 1
 *
 * With several vCPUs a frame is given out in this order: owner, references, PGC_ALLOCATED. It changes hands only while it has no references.
 *
 * The runs of this folder do the common case of what a hypervisor does all the time, and stop where it is not common, leaving everything as
 * it is up to there; the hypervisor's own code does the one entry or request and calls again.
 */
import { ConfigError } from '../errors.ts';
import { FRAME_STRIDE } from '../layout/frame.ts';
import { HDR_BYTES_USED, HDR_FRAME_LIMIT, HDR_FRAME_TABLE } from '../layout/header.ts';
import { WASM_PAGE_BYTES, type Views } from '../memory/views.ts';

const MOST_FRAMES = 2 ** 27;

/**
 * Add a frame table at the end of machine memory, once: a row of zeroes (free, owned by domain 0, no type) for each frame.
 *
 * @param frames - rows are made for at least so many frames from 0 up; for a power of two, so that a bit mask tells who has none
 * @returns byte offset of the table
 * @throws ConfigError - there is one already, or no room for it
 */
export function layFrameTable(s: Views, frames: number): number {
  if (s.w[HDR_FRAME_TABLE >>> 2] !== 0) throw new ConfigError('frames', 'a machine without a frame table', s.w[HDR_FRAME_LIMIT >>> 2]);
  if (!Number.isInteger(frames) || frames < 1 || frames > MOST_FRAMES) throw new ConfigError('frames', `an integer from 1 to ${MOST_FRAMES}`, frames);
  const limit = 2 ** Math.ceil(Math.log2(frames));
  const at = s.grow(limit * FRAME_STRIDE);
  s.w[HDR_FRAME_TABLE >>> 2] = at;
  s.w[HDR_FRAME_LIMIT >>> 2] = limit;
  s.w[HDR_BYTES_USED >>> 2] = s.byteLength / WASM_PAGE_BYTES;
  return at;
}
