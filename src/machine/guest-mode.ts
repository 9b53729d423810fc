/** Running a guest under a second stage of translation, as its hypervisor does: entering, leaving, and the invalidations that only it may do. */
import { ConfigError } from '../errors.ts';
import { NEST_EPT, NEST_FORMAT, NEST_NPT } from '../layout/nested.ts';
import { FEAT_LA57, VCPU_FEATURES, VCPU_NEST, VCPU_NESTED, VCPU_PABITS } from '../layout/vcpu.ts';
import type { Views } from '../memory/views.ts';
import { checkEptp, checkStage, enterGuest, leaveGuest, type Stage } from '../virt/host-block.ts';
import { invept, INVEPT_SINGLE, invlpga, invvpid, INVVPID_ADDRESS } from '../virt/invalidate.ts';
import { check64, hiWord, loWord } from './address.ts';
import { resident, type Resident } from './resident.ts';

/** The guest side of a vCPU: `Vcpu.guest`. */
export class GuestMode {
  private readonly s: Views;
  private readonly v: number;

  /** Made by the vCPU. @param block - byte offset */
  constructor(s: Views, block: number) {
    this.s = s;
    this.v = block >>> 2;
  }

  /** The format of the second stage that is in force, undefined outside a guest. */
  get format(): Stage['format'] | undefined {
    const { w } = this.s;
    if (w[this.v + (VCPU_NESTED >>> 2)] === 0) return undefined;
    const format = w[(w[this.v + (VCPU_NEST >>> 2)] + NEST_FORMAT) >>> 2];
    return format === NEST_EPT ? 'ept' : format === NEST_NPT ? 'npt' : undefined;
  }

  /**
   * Run a guest: the vCPU's registers and tables are the guest's from now on, and the second stage translates its guest-physical addresses.
   * What is cached of this guest from before (by VPID and EPT root, or by ASID) is used again.
   *
   * @throws ConfigError - a field that VM entry would refuse, or a machine without the option `nested`; nothing is changed then
   */
  enter(stage: Stage): void {
    this.need();
    enterGuest(this.s.w, this.v, checkStage(stage, this.s.w[this.v + (VCPU_PABITS >>> 2)]));
  }

  /** Leave the guest: addresses are machine addresses again. */
  leave(): void {
    if (this.s.w[this.v + (VCPU_NESTED >>> 2)] !== 0) leaveGuest(this.s.w, this.v);
  }

  /** INVEPT. @param type - 1 one EPT pointer, 2 all @returns false where the instruction fails (VMfail): a pointer that VM entry would refuse */
  invept(type: number, eptp: bigint): boolean {
    this.need();
    check64(eptp, 'eptp');
    if (type === INVEPT_SINGLE && !this.mayEnter(eptp)) return false;
    return invept(this.s.w, this.v, type, hiWord(eptp), loWord(eptp));
  }

  /** INVVPID. @param type - 0 an address, 1 one VPID, 2 all but VPID 0, 3 one VPID but global @returns false where the instruction fails (VMfail): VPID 0, an address that is not canonical */
  invvpid(type: number, vpid: number, va: bigint): boolean {
    this.need();
    check64(va, 'va');
    if (!Number.isInteger(vpid) || vpid < 0 || vpid > 65535) throw new ConfigError('vpid', 'an integer from 0 to 65535', vpid);
    return (type !== INVVPID_ADDRESS || this.isCanonical(va)) && invvpid(this.s.w, this.v, type, vpid, hiWord(va), loWord(va));
  }

  /** INVLPGA: one page of an ASID. */
  invlpga(va: bigint, asid: number): void {
    this.need();
    check64(va, 'va');
    if (!Number.isInteger(asid) || asid < 0 || asid > 65535) throw new ConfigError('asid', 'an integer from 0 to 65535', asid);
    invlpga(this.s.w, this.v, asid, hiWord(va), loWord(va));
  }

  /**
   * How many entries the current guest has in each kind of structure; outside a guest, the host. On a vCPU that had cached nothing this is what
   * its translations left: after one by 4K pages in both stages, one entry in each TLB level, one paging-structure cache entry for each guest
   * level above the leaf, one entry of the nested TLB for each guest table and the page (5), and of each nested paging-structure cache as many
   * as these 5 lie in different regions.
   *
   * @throws ConfigError - a machine without the option `nested`
   */
  resident(): Resident {
    this.need();
    return resident(this.s.w, this.v);
  }

  /** Is it an EPT pointer that VM entry takes? */
  private mayEnter(eptp: bigint): boolean {
    try {
      checkEptp(eptp, 'eptp', this.s.w[this.v + (VCPU_PABITS >>> 2)]);
      return true;
    } catch {
      return false;
    }
  }

  /** Is an address canonical with as many bits as the processor has at most? What registers say is the guest's. */
  private isCanonical(va: bigint): boolean {
    return BigInt.asUintN(64, BigInt.asIntN(this.s.w[this.v + (VCPU_FEATURES >>> 2)] & FEAT_LA57 ? 57 : 48, va)) === va;
  }

  private need(): void {
    if (this.s.w[this.v + (VCPU_NEST >>> 2)] === 0) throw new ConfigError('nested', 'a machine made with nested: true', false);
  }
}
