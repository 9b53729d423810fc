/**
 * What stands between the frames a guest knows and machine frames, if its rights can be taken page by page: a second stage
 * (`SecondStageTables`). Guest frames are 0 up to `frames`; -1 is no frame. Shadows keep logs of their own: see `ShadowLog`.
 */
import type { Vcpu } from '../machine/vcpu.ts';

export const NO_FRAME = -1;

export interface Translation {
  readonly frames: number;
  /** Machine frame of a guest frame. */
  machineFrame(gfn: number): number;
  /** Let writes of the guest to a page come to the hypervisor, or no longer. What the guest may not write anyway stays so. */
  setWritable(gfn: number, writable: boolean): void;
  /** Was a page written since its mark was last taken? Undefined if there are no such marks. @param take - remove the mark */
  written?(gfn: number, take: boolean): boolean;
  /** Let no processor use what it cached of this before. */
  flush(): void;
  /** The page that the guest was about to write when a vCPU took a fault, if only `setWritable()` stood in its way; else -1. */
  refusedWrite(cpu: Vcpu, fault: number): number;
}
