/** Small kernels for tests: the same options on a machine of its own, under a second stage or shadows, and in a paravirtualized domain. */
import type { CpuModel } from '../../src/cost/cpu-model.ts';
import { buildKernel } from '../../src/guest/built-kernel.ts';
import { exec } from '../../src/guest/fork.ts';
import { handleFault } from '../../src/guest/fault.ts';
import type { Kernel, KernelOptions } from '../../src/guest/kernel.ts';
import type { Mm } from '../../src/guest/mm.ts';
import type { NativeOps } from '../../src/guest/native-ops.ts';
import { hiOf, loOf } from '../../src/guest/platform.ts';
import { PROT_READ, PROT_WRITE, type Vma } from '../../src/guest/vma.ts';
import type { StageOptions } from '../../src/guest/second-stage.ts';
import type { Shadowed, ShadowedOptions } from '../../src/guest/shadowed.ts';
import type { XenDomain } from '../../src/guest/xen-domain.ts';
import type { XenOps, XenPolicy } from '../../src/guest/xen-ops.ts';
import type { AccessColumns } from '../../src/machine/columns.ts';
import { wordOf } from '../../src/memory/extents.ts';

export const HEAP = 0x40000; // page of the heap of a test's program
export const HEAP_PAGES = 4096;
const STACK = 0x7fff00000;

/** A program with room on its heap and a stack. */
export const area = (start: number, end: number, prot = PROT_READ | PROT_WRITE): Vma => ({ start, end, prot, shared: false, file: undefined, offset: 0 });
const IMAGE = { areas: [area(HEAP, HEAP + HEAP_PAGES), area(STACK, STACK + 8)], stackTop: STACK + 7 };

/** A kernel with one process that can be told to load and store. */
export class Rig {
  readonly k: Kernel;
  readonly xen: { readonly domain: XenDomain; readonly ops: XenOps } | undefined;
  readonly native: NativeOps | undefined;
  readonly shadow: Shadowed | undefined;
  private readonly columns: AccessColumns;
  mm: Mm;

  constructor(ops: 'native' | 'xen', options: KernelOptions & { readonly policy?: XenPolicy; readonly cpu?: CpuModel; readonly pcid?: boolean; readonly stage?: StageOptions; readonly shadow?: ShadowedOptions; readonly engine?: 'ts' | 'wasm' } = {}, mode: 'timed' | 'functional' = 'functional') {
    const { kernel, native, shadow, xen } = buildKernel({ ...options, ops, mode, memory: '16M' });
    this.k = kernel;
    this.native = native;
    this.shadow = shadow;
    this.xen = xen;
    this.columns = this.k.p.machine.columns(1);
    this.mm = this.exec(undefined);
  }

  exec(old: Mm | undefined): Mm {
    return this.mm = exec(this.k, old, IMAGE, 1);
  }

  switchTo(mm: Mm): void {
    this.k.switchTo(mm);
    this.mm = mm;
  }

  /** Load a word. @returns it; undefined: the process got a signal */
  load(page: number): number | undefined { return this.access(page, 0); }

  /** Store a word. @returns it; undefined: the process got a signal */
  store(page: number, value: number): number | undefined { return this.access(page, 1, value); }

  private access(page: number, kind: number, value?: number): number | undefined {
    const { k, columns } = this, { p } = k, address = page * 4096;
    columns.va[0] = loOf(address);
    columns.va[1] = hiOf(address);
    columns.kind[0] = kind;
    columns.size[0] = 4;
    p.leaveKernel();
    let made = false, refused = false;
    for (let tries = 0; tries < 8 && !made && !refused; tries++) {
      made = p.run(columns, 0, 1) === 1;
      if (made) break;
      p.enterKernel();
      refused = handleFault(k, this.mm, p.faultAddress, p.faultCode) === 'refused';
      p.leaveKernel();
    }
    p.enterKernel();
    if (!made && !refused) throw new Error(`page ${page} faults for ever`);
    if (refused) return undefined;
    const at = wordOf(p.s, columns.pa[1], columns.pa[0]);
    if (value !== undefined) p.s.w[at] = value;
    return p.s.w[at];
  }

  /** Hypercalls made so far, those of multicalls not counted; stores that the hypervisor emulated among them. */
  get traps(): number {
    const { xen } = this;
    if (xen === undefined) return 0;
    const { hypercalls, calls_from_multicall: inside, ptwr_emulations: emulated } = xen.domain.xen.counters();
    return Object.values(hypercalls).reduce((sum, { calls }) => sum + calls, 0) - inside + emulated;
  }

  complaints(): string[] {
    return this.xen?.domain.xen.audit() ?? this.shadow?.guest.audit() ?? [];
  }
}
