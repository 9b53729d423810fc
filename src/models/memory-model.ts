/** How a domain's frames and machine frames are related, and who translates. */

export interface MemoryModel {
  /** `P==M`: there is nothing to translate; `P2M`: the guest does, and its tables hold machine frames; `VP`: it never sees a machine frame. */
  readonly name: 'P==M' | 'P2M' | 'VP';
  /** Machine frame of a frame as the guest numbers its memory, -1 for none. */
  machineFrame(gfn: number): number;
  /** What the guest calls a machine frame, -1 if it is not the guest's. */
  guestFrame(mfn: number): number;
  /** The frame that the guest's drivers give a device for a page of theirs. */
  deviceFrame(gfn: number): number;
}
