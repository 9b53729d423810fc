/** Domain 0, whose kernel makes calls, and two domains that never run, with grant tables, for tests. */
import { GNTTABOP_copy, GNTTABOP_map_grant_ref, GNTTABOP_unmap_grant_ref } from '../../src/xen/grant-numbers.ts';
import { changeVersion } from '../../src/xen/grant-version.ts';
import type { Domain } from '../../src/xen/domain.ts';
import { HYPERVISOR_grant_table_op } from '../../src/xen/numbers.ts';
import { copyOp, copyStatus, mapOp, struct, transferOp, unmapOp, type CopySide } from './grant-struct.ts';
import { ARGS, Guest, type GuestOptions } from './guest.ts';

const TABLE = [0x310, 0x320, 0x330]; // first frame of each domain's table
const STATUS = 0x340;
export const DOMAIN_PAGES = 64;
/** First frames of domains 1 and 2. */
export const FIRST1 = 0x900, FIRST2 = 0xa00;
const FRAME = 4096;

export class GrantWorld extends Guest {
  readonly others: readonly Domain[];
  private readonly released: number[];

  /** @param options - with `free`, grant tables grow by any free frames */
  constructor(options: GuestOptions & { readonly free?: boolean } = {}) {
    const { free = false, ...rest } = options;
    const released: number[] = [], spare = Array.from({ length: 8 }, (_, k) => STATUS + k);
    const source = { allocate: () => -1, allocateShared: () => spare.shift() ?? -1, release: (mfn: number) => { released.push(mfn); if (mfn >= STATUS && mfn < STATUS + 8) spare.push(mfn); } };
    super({ ...(free ? {} : { source }), ...rest });
    this.released = released;
    this.domain.grants.add(this.xen.host, this.domain, [TABLE[0], TABLE[0] + 1]);
    this.others = [FIRST1, FIRST2].map((first, k) => this.xen.createDomain({
      id: k + 1, is32: !this.wide, maxPages: DOMAIN_PAGES + 1, p2m: [[0, first, DOMAIN_PAGES]], grants: { frames: [TABLE[k + 1]], maxFrames: 9 },
    }));
  }

  /** Frames that were freed, in order. */
  get freed(): readonly number[] { return this.released; }

  private domainOf(id: number): Domain { return id === 0 ? this.domain : this.others[id - 1]; }

  bytesAt(mfn: number, offset: number, length: number): Uint8Array {
    const out = new Uint8Array(length);
    this.machine.read(BigInt(mfn * FRAME + offset), out);
    return out;
  }

  fill(mfn: number, offset: number, data: Uint8Array): void {
    this.machine.write(BigInt(mfn * FRAME + offset), data);
  }

  /** Write an entry of version 1. */
  grant(id: number, ref: number, flags: number, to: number, frame: number): void {
    this.fill(TABLE[id], ref * 8, struct([[2, flags], [2, to], [4, frame]]));
  }

  /** ... and of version 2: the second word, and the frame. */
  grant2(id: number, ref: number, flags: number, to: number, second: number, frame: number): void {
    this.fill(TABLE[id], ref * 16, struct([[2, flags], [2, to], [4, second], [8, frame]]));
  }

  /** Flags of an entry as they are now, with those of its status. */
  flags(id: number, ref: number): number {
    const { grants } = this.domainOf(id), word = (data: Uint8Array) => data[0] | (data[1] << 8);
    if (grants.version === 1) return word(this.bytesAt(TABLE[id], ref * 8, 2));
    return word(this.bytesAt(TABLE[id], ref * 16, 2)) | word(this.bytesAt(grants.statusFrames[0], ref * 2, 2));
  }

  pins(id: number, ref: number): number { return this.domainOf(id).grants.active.pin(ref); }

  /** Let a domain use version 2. */
  version2(id: number): void {
    if (changeVersion(this.xen.host, this.domainOf(id), 2) !== 0) throw new Error(`domain ${id} stays at version 1`);
  }

  /** Make a call on operations given as bytes; then the audit must hold. @returns its result, and the operations as they are then */
  op(command: number, ops: readonly Uint8Array[], at = this.va(ARGS)): { readonly rc: number; readonly out: readonly DataView[] } {
    let offset = 0n;
    for (const data of ops) {
      this.xen.write(this.cpu, at + offset, data);
      offset += BigInt(data.length);
    }
    const rc = Number(this.xen.hypercall(this.cpu, HYPERVISOR_grant_table_op, BigInt(command), at, BigInt(ops.length))), complaints = this.xen.audit();
    if (complaints.length > 0) throw new Error(complaints.join('; '));
    offset = 0n;
    const out = ops.map(data => {
      const now = new Uint8Array(data.length);
      this.xen.read(this.cpu, at + offset, now);
      offset += BigInt(data.length);
      return new DataView(now.buffer);
    });
    return { rc, out };
  }

  readonly mapOp = mapOp;

  /** Map one grant. @returns its status and handle */
  mapGrant(address: bigint, flags: number, ref: number, from: number): { readonly status: number; readonly handle: number } {
    const { rc, out } = this.op(GNTTABOP_map_grant_ref, [this.mapOp(address, flags, ref, from)]);
    if (rc !== 0) throw new Error(`map: ${rc}`);
    return { status: out[0].getInt16(18, true), handle: out[0].getUint32(20, true) };
  }

  readonly unmapOp = unmapOp;

  unmapGrant(address: bigint, device: number, handle: number): number {
    return this.op(GNTTABOP_unmap_grant_ref, [this.unmapOp(address, device, handle)]).out[0].getInt16(20, true);
  }

  copyOp(source: CopySide, dest: CopySide, length: number): Uint8Array { return copyOp(this.wide, source, dest, length); }

  /** Copy. @returns the statuses */
  copy(...copies: readonly (readonly [source: CopySide, dest: CopySide, length: number])[]): number[] {
    const { rc, out } = this.op(GNTTABOP_copy, copies.map(one => this.copyOp(...one)));
    if (rc !== 0) throw new Error(`copy: ${rc}`);
    return out.map(view => view.getInt16(copyStatus(this.wide), true));
  }

  transferOp(frame: number, to: number, ref: number): Uint8Array { return transferOp(this.wide, frame, to, ref); }
}
