/** Everything that the shadows of one guest are made of; the functions of this folder work on it. */
import { MODE_4LEVEL, VCPU_FEATURES, VCPU_PABITS } from '../../layout/vcpu.ts';
import type { Views } from '../../memory/views.ts';
import { reservedHi } from '../../mmu/mode.ts';
import { judgeOf } from './kind.ts';
import { LogDirty } from './log-dirty.ts';
import { OutOfSync } from './out-of-sync.ts';
import type { ShadowPages } from './pages.ts';
import type { GuestMemory } from './physical-map.ts';
import type { ShadowPolicy } from './policy.ts';
import type { ShadowRoot } from './root.ts';
import { ShadowWork } from './work.ts';
import { WritableMappings } from './writable.ts';

export class ShadowState {
  readonly s: Views;
  readonly memory: GuestMemory;
  readonly pages: ShadowPages;
  readonly policy: ShadowPolicy;
  readonly work = new ShadowWork();
  readonly writable = new WritableMappings();
  readonly outOfSync: OutOfSync;
  readonly dirty: LogDirty;
  readonly roots: ShadowRoot[] = [];
  /** Slots whose page a supervisor may write because no vCPU has CR0.WP: see fill.ts. */
  readonly flips = new Set<number>();
  /** Writes emulated to a guest table since an access last went through it, by its machine frame. */
  readonly floods = new Map<number, number>();
  /** Machine frame of the table that the last fault was for, if it was cleared in part; -1: something else. */
  lastCleared = -1;
  /** The processors may have cached what the shadows no longer say. */
  flushDue = false;
  /** High word of a magic entry: reserved address bits. 0: the processor has none, and there are no magic entries. */
  readonly magicHi: number;
  /** FEAT_* and MAXPHYADDR of the guest. */
  readonly features: number;
  readonly paBits: number;
  /** The shadow entry worked out last, see propagate.ts. */
  outLo = 0;
  outHi = 0;
  private readonly judges = new Map<number, Int32Array>();

  /** @param v - word index of the block of a hardware vCPU */
  constructor(s: Views, memory: GuestMemory, pages: ShadowPages, policy: ShadowPolicy, v: number, features: number) {
    this.s = s;
    this.memory = memory;
    this.pages = pages;
    this.policy = policy;
    this.outOfSync = new OutOfSync(policy.outOfSync);
    this.dirty = new LogDirty(memory.frames);
    this.features = features & s.w[v + (VCPU_FEATURES >>> 2)];
    this.paBits = s.w[v + (VCPU_PABITS >>> 2)];
    this.magicHi = policy.fastPath ? reservedHi(MODE_4LEVEL, this.paBits, true) : 0;
  }

  /** Does an entry map or point at something? */
  isMapping(lo: number, hi: number): boolean {
    return (lo & 1) !== 0 && (hi & this.magicHi) === 0;
  }

  /** A machine frame is a guest table whose shadows follow every write. */
  isInSyncTable(mfn: number): boolean {
    return this.pages.isTable(mfn) && !this.outOfSync.has(mfn);
  }

  /** The register file by which entries of a role are judged. */
  judge(role: number): Int32Array {
    let w = this.judges.get(role);
    if (w === undefined) this.judges.set(role, w = judgeOf(role, this.features, this.paBits));
    return w;
  }
}
