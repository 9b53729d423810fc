/**
 * An IOMMU: translates the addresses that a device of a guest uses, by the tables of the guest's second stage, with their walker.
 *
 * It has a processor's blocks of its own in machine memory and caches nothing. It sets no accessed or dirty flags, which is why writes of
 * devices are in no log of dirty pages.
 *
 * Source: Intel VT-d specification, "Second-Stage Translation", "Non-Recoverable Faults" (table of fault reasons: 5h, 6h, Ch); AMD I/O
 *         Virtualization Technology specification, "IO_PAGE_FAULT Event" (PR, RW, RZ). Tables shared with the guest's: Xen 4.17,
 *         iommu_hap_pt_share (xen/drivers/passthrough/iommu.c).
 */
import { ACCESS_READ, ACCESS_USER, ACCESS_WRITE, EXIT_EPT_MISCONFIG, FAULT_NONE, faultCode, PFEC_P, PFEC_RSVD, PFEC_W } from '../arch/fault.ts';
import { HDR_BYTES_USED } from '../layout/header.ts';
import { NEST_REF_COUNT, NEST_REFS, REF_BYTES, REF_MOST } from '../layout/nested.ts';
import { VCPU_BYTES, VCPU_FEATURES, VCPU_MEMO_OF, VCPU_NEST, VCPU_OUT_HI, VCPU_OUT_LO, VCPU_PABITS } from '../layout/vcpu.ts';
import { hiWord, loWord } from '../machine/address.ts';
import type { Machine } from '../machine/machine.ts';
import { WASM_PAGE_BYTES, type Views } from '../memory/views.ts';
import { checkStage, enterGuest } from '../virt/host-block.ts';
import { secondStage } from '../virt/second-stage.ts';
import type { SecondStageTables } from './second-stage-tables.ts';

/** What an IOMMU reports of an access that it refused. */
export interface IommuFault {
  readonly format: 'ept' | 'npt';
  /** Device address. */
  readonly address: number;
  readonly write: boolean;
  /** VT-d fault reason: 5 no right to write, 6 no right to read, 12 reserved bits; or flags of AMD's event: 1 PR, 2 RW, 4 RZ. */
  readonly reason: number;
  readonly text: string;
}

const VTD_WRITE = 5;
const VTD_READ = 6;
const VTD_RESERVED = 12;
const EVENT_PR = 1;
const EVENT_RW = 2;
const EVENT_RZ = 4;

export class Iommu {
  readonly tables: SecondStageTables;
  /** Faults reported so far. */
  faults = 0;
  private readonly s: Views;
  private readonly n: number; // word index of the block of the second stage

  /** Memory for it is added at the end of machine memory, for good. @throws ConfigError - there is none */
  constructor(machine: Machine, tables: SecondStageTables) {
    const s = this.s = machine.views, processor = machine.vcpus[0].block >>> 2;
    this.tables = tables;
    const v = s.grow(2 * VCPU_BYTES + REF_MOST * REF_BYTES), n = v + VCPU_BYTES;
    s.w[HDR_BYTES_USED >>> 2] = s.byteLength / WASM_PAGE_BYTES;
    for (const block of [v, n]) {
      for (const field of [VCPU_FEATURES, VCPU_PABITS]) s.w[(block + field) >>> 2] = s.w[processor + (field >>> 2)];
      for (let k = 0; k < 3; k++) s.w[((block + VCPU_MEMO_OF) >>> 2) + k] = block;
    }
    s.w[(v + VCPU_NEST) >>> 2] = n;
    s.w[(n + NEST_REFS) >>> 2] = n + VCPU_BYTES;
    enterGuest(s.w, v >>> 2, checkStage(tables.stage(), s.w[(v + VCPU_PABITS) >>> 2]));
    this.n = n >>> 2;
  }

  /** Translate a device address. @returns the machine address, or the fault */
  translate(address: number, write: boolean): number | IommuFault {
    const { w } = this.s, { n } = this, { format } = this.tables, wide = BigInt(address);
    w[n + (NEST_REF_COUNT >>> 2)] = 0;
    const access = (write ? ACCESS_WRITE : ACCESS_READ) | (format === 'npt' ? ACCESS_USER : 0);
    const fault = secondStage(this.s, n, 0, hiWord(wide), loWord(wide), access, false, false);
    if (fault === FAULT_NONE) return w[n + (VCPU_OUT_HI >>> 2)] * 2 ** 32 + (w[n + (VCPU_OUT_LO >>> 2)] >>> 0);
    this.faults++;
    return { format, address, write, ...(format === 'ept' ? vtdReason(fault, write) : amdEvent(faultCode(fault))) };
  }
}

function vtdReason(fault: number, write: boolean): { readonly reason: number; readonly text: string } {
  if (fault === EXIT_EPT_MISCONFIG) return { reason: VTD_RESERVED, text: 'reserved bits in a paging entry' };
  return write ? { reason: VTD_WRITE, text: 'no right to write' } : { reason: VTD_READ, text: 'no right to read' };
}

function amdEvent(code: number): { readonly reason: number; readonly text: string } {
  const reason = (code & PFEC_P ? EVENT_PR : 0) | (code & PFEC_W ? EVENT_RW : 0) | (code & PFEC_RSVD ? EVENT_RZ : 0);
  return { reason, text: code & PFEC_RSVD ? 'reserved bits in a paging entry' : code & PFEC_P ? 'no right' : 'not present' };
}
