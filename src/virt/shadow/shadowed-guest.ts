/**
 * A guest under shadow paging: its own tables are only read, and written where a processor would; the hardware walks shadows of them, which name machine frames.
 *
 * @example
 * const guest = ShadowedGuest.create({ machine, vcpus: machine.vcpus, p2m, pool: { first: 0x3000, frames: 256 } });
 * const cpu = guest.vcpus[0];
 * cpu.writeCr3(0x5000n); // guest-physical; and CR4, EFER, CR0, as a kernel starts
 * cpu.translate(0x7f00_0000_0123n, ACCESS_USER);
 */
import { ConfigError } from '../../errors.ts';
import { FEAT_CET, FEAT_LA57, FEAT_LONG, FEAT_NX, FEAT_PKS, FEAT_PKU, VCPU_FEATURES } from '../../layout/vcpu.ts';
import { FRAME_BYTES } from '../../memory/extents.ts';
import type { Views } from '../../memory/views.ts';
import { auditShadows } from './audit.ts';
import { followWrite } from './emulate.ts';
import { markDirty } from './guest-walk.ts';
import type { HardwareVcpu } from './hardware.ts';
import { ShadowPages } from './pages.ts';
import { GuestMemory, type PhysicalMap } from './physical-map.ts';
import { checkPolicy, type ShadowPolicy } from './policy.ts';
import { ShadowVcpu } from './shadow-vcpu.ts';
import { ShadowState } from './state.ts';
import { WORK, type ShadowCounts, type WorkName } from './work.ts';
import { unshadow } from './unshadow.ts';
import { protectAll, removeMappings } from './writable.ts';

export interface ShadowOptions {
  /** The machine whose memory it is: a `Machine`. */
  readonly machine: { readonly views: Views };
  /** The processors that run the guest, each with 4-level paging and NX; they are reset. */
  readonly vcpus: readonly HardwareVcpu[];
  readonly p2m: PhysicalMap;
  /** Machine frames for shadow tables, that nobody else uses: 16, and 2 more for each vCPU, at least. */
  readonly pool: { readonly first: number; readonly frames: number };
  readonly policy?: Partial<ShadowPolicy>;
  /** Price of each kind of work in cycles; 0 for those left out. */
  readonly costs?: Partial<Record<WorkName, number>>;
}

const POOL_LEAST = 16;
/** What a guest is not told of: 5-level paging and what shadows do not follow. Setting their bits in CR4 is a #GP, as without them. */
const WITHHELD = FEAT_LA57 | FEAT_PKU | FEAT_PKS | FEAT_CET;

export class ShadowedGuest {
  readonly vcpus: readonly ShadowVcpu[];
  private readonly h: ShadowState;

  /** @throws ConfigError - an option is wrong; the message names it */
  static create(options: ShadowOptions): ShadowedGuest {
    return new ShadowedGuest(options);
  }

  private constructor(options: ShadowOptions) {
    if (typeof options !== 'object' || options === null) throw new ConfigError('options', 'an object', options);
    const { machine: { views: s }, vcpus, p2m, pool } = options;
    if (!Array.isArray(vcpus) || vcpus.length < 1) throw new ConfigError('vcpus', 'one vCPU or more', vcpus);
    if (typeof pool !== 'object' || pool === null || !(pool.frames >= POOL_LEAST + 2 * vcpus.length)) throw new ConfigError('pool.frames', `at least ${POOL_LEAST + 2 * vcpus.length}`, pool?.frames);
    const policy = checkPolicy(options.policy ?? {}), v = vcpus[0].block >>> 2;
    const features = s.w[v + (VCPU_FEATURES >>> 2)];
    if (!(features & FEAT_LONG) || !(features & FEAT_NX)) throw new ConfigError('vcpus', 'processors with 4-level paging and NX', 'others');
    const pages = new ShadowPages(s, pool.first, pool.frames), memory = new GuestMemory(s, p2m, pool.first, pool.frames);
    this.h = new ShadowState(s, memory, pages, policy, v, ~WITHHELD);
    if (options.costs) this.h.work.price(options.costs);
    this.vcpus = vcpus.map(hardware => new ShadowVcpu(this.h, hardware));
  }

  /** Begin to note which frames are written: from now on the first write to each page faults once a round. */
  startLogDirty(): void {
    this.h.dirty.on = true;
    this.cleanLogDirty();
  }

  /** Stop noting. */
  stopLogDirty(): void {
    this.h.dirty.on = false;
    this.h.dirty.take();
  }

  /** The frames written in this round: bit `gfn & 7` of byte `gfn >> 3`. */
  peekLogDirty(): Uint8Array {
    return this.h.dirty.peek();
  }

  /** The same, and a new round. */
  cleanLogDirty(): Uint8Array {
    const written = this.h.dirty.take();
    protectAll(this.h);
    this.vcpus[0].settle();
    return written;
  }

  /** To be called before the P2M says something else about a guest frame: nothing will remember its machine frame. */
  beforeRemap(gfn: number): void {
    const { h } = this, mfn = h.memory.mfn(gfn);
    if (mfn < 0) return;
    if (h.pages.isTable(mfn)) {
      unshadow(h, mfn, WORK.unshadowRemapped);
      for (const r of h.roots) if (r.page >= 0 && h.pages.of[r.page] === mfn) r.detach();
    }
    removeMappings(h, mfn);
    this.vcpus[0].settle();
  }

  /** To be called after others than the guest's processors (a device, a toolstack) have written guest memory. @param gpa, bytes - inside one frame */
  written(gpa: number, bytes: number): void {
    const { h } = this, gfn = Math.floor(gpa / FRAME_BYTES), mfn = h.memory.mfn(gfn);
    if (!Number.isInteger(gpa) || !Number.isInteger(bytes) || bytes < 1 || gpa % FRAME_BYTES + bytes > FRAME_BYTES) throw new ConfigError('bytes', 'bytes of one frame', bytes);
    markDirty(h, gfn);
    if (mfn >= 0 && h.isInSyncTable(mfn)) followWrite(h, mfn, gpa % FRAME_BYTES, bytes);
    this.vcpus[0].settle();
  }

  /** What was done, and in timed mode what it cost. */
  counters(): ShadowCounts & { readonly cycles: number } {
    return { ...this.h.work.read(), cycles: this.h.work.cycles };
  }

  resetCounters(): void {
    this.h.work.reset();
  }

  /** Machine frames of the pool that no shadow is in. */
  get poolFree(): number {
    return this.h.pages.free.length;
  }

  /** What does not hold, in prose; empty if all is well. */
  audit(): string[] {
    return auditShadows(this.h);
  }
}
