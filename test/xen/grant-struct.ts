/** The structures of grant_table_op as bytes, in either width. */

/** A side of a copy: a grant of a domain, or a frame of the caller's. */
export type CopySide = readonly [what: 'ref' | 'frame', number: number, domid: number, offset: number];

/** Numbers of 2, 4 and 8 bytes, one after the other. */
export function struct(fields: readonly (readonly [bytes: number, value: number | bigint])[]): Uint8Array {
  const data = new Uint8Array(fields.reduce((sum, [bytes]) => sum + bytes, 0)), view = new DataView(data.buffer);
  let at = 0;
  for (const [bytes, value] of fields) {
    if (bytes === 8) view.setBigUint64(at, BigInt(value), true);
    else if (bytes === 4) view.setUint32(at, Number(value), true);
    else view.setUint16(at, Number(value), true);
    at += bytes;
  }
  return data;
}

/** gnttab_map_grant_ref. */
export const mapOp = (address: bigint, flags: number, ref: number, from: number): Uint8Array =>
  struct([[8, address], [4, flags], [4, ref], [2, from], [2, 0], [4, 0], [8, 0]]);

/** gnttab_unmap_grant_ref and gnttab_unmap_and_replace, whose second address is the one to be put in place. */
export const unmapOp = (address: bigint, second: number | bigint, handle: number): Uint8Array =>
  struct([[8, address], [8, second], [4, handle], [2, 0], [2, 0]]);

/** gnttab_copy. */
export function copyOp(wide: boolean, source: CopySide, dest: CopySide, length: number): Uint8Array {
  const size = wide ? 8 : 4, pad: readonly [number, number][] = wide ? [[4, 0]] : [];
  const side = ([, number, domid, offset]: CopySide): [number, number][] => [[size, number], [2, domid], [2, offset], ...pad];
  const flags = (source[0] === 'ref' ? 1 : 0) | (dest[0] === 'ref' ? 2 : 0);
  return struct([...side(source), ...side(dest), [2, length], [2, flags], [2, 0], [2, 0]]);
}

/** gnttab_transfer. */
export const transferOp = (wide: boolean, frame: number | bigint, to: number, ref: number): Uint8Array =>
  wide ? struct([[8, frame], [2, to], [2, 0], [4, ref], [2, 0], [2, 0], [4, 0]]) : struct([[4, frame], [2, to], [2, 0], [4, ref], [2, 0], [2, 0]]);

/** Where the status of each structure is, in bytes. */
export const MAP_STATUS = 18, UNMAP_STATUS = 20;
export const copyStatus = (wide: boolean): number => (wide ? 36 : 20);
export const transferStatus = (wide: boolean): number => (wide ? 16 : 12);
