/** A machine: physical memory and the vCPUs that translate for it. What you construct. */
import { CR0_ET, CR0_NE, CR0_PE, CR0_PG, CR0_WP, CR4_LA57, CR4_PAE, CR4_PGE, CR4_PSE, EFER_LME, EFER_NXE } from '../arch/registers.ts';
import { ConfigError } from '../errors.ts';
import { HDR_BYTES_USED } from '../layout/header.ts';
import { FEAT_NX, FEAT_PGE } from '../layout/vcpu.ts';
import type { CpuModel } from '../cost/cpu-model.ts';
import { readBytes, writeBytes } from '../memory/bytes.ts';
import { checkFree, extents, FRAME_BYTES, insertExtent, type Extent } from '../memory/extents.ts';
import { FrameAllocator } from '../memory/frame-allocator.ts';
import { createState } from '../memory/plan.ts';
import { WASM_PAGE_BYTES, type Views } from '../memory/views.ts';
import { check64, checkPhysical, hiWord, loWord } from './address.ts';
import { AddressSpace, MODE_OF, type Attributes } from './address-space.ts';
import { checkExtent, configure, type ExtentOptions, type MachineConfig, type MachineOptions, type Paging } from './options.ts';
import { Vcpu } from './vcpu.ts';

const FIRST_USABLE_FRAME = 1; // frame 0 is never handed out: a root of 0 is a common mistake

export class Machine {
  readonly vcpus: readonly Vcpu[];
  readonly cpu: CpuModel;
  /** Frames for the tables and data that this library's own helpers make. An embedder may ignore it. */
  readonly frames = new FrameAllocator();
  /** The bytes and typed arrays of the state. */
  readonly views: Views;
  private readonly config: MachineConfig;
  private readonly spaces = new Map<bigint, AddressSpace>();
  private nextExtentId = 0;

  /**
   * Make a machine.
   *
   * @throws ConfigError - an option is wrong; the message names it
   *
   * @example
   * const machine = Machine.create({ memory: '64M', cpu: presets.skylake });
   */
  static create(options: MachineOptions = {}): Machine {
    return new Machine(configure(options));
  }

  private constructor(config: MachineConfig) {
    this.config = config;
    this.cpu = config.cpu;
    const layout = createState(config.plan);
    this.views = layout.views;
    let ram = 0;
    config.extents.forEach((e, k) => this.insert(e, e.kind === 'ram' ? layout.ramWords[ram++] : 0, `extents[${k}]`, FIRST_USABLE_FRAME));
    const names = config.cpu.caches.levels.map(c => c.name);
    this.vcpus = layout.vcpus.map(block => new Vcpu(this.views, block, layout.scratch, names));
    if (config.paging !== 'none') for (const cpu of this.vcpus) this.startPaging(cpu, config.paging);
  }

  /** What physical memory there is. */
  get extents(): readonly Extent[] {
    return extents(this.views);
  }

  /**
   * Hot-plug an extent.
   *
   * @throws ConfigError - it overlaps another, or there is no room for its bytes; nothing is changed then
   */
  addExtent(options: ExtentOptions): void {
    const { plan } = this.config;
    const e = checkExtent(options, 'extent', plan.distances.length, plan.paBits);
    checkFree(this.views, e, 'extent'); // before the memory grows, which cannot be undone
    const word = e.kind === 'ram' ? this.views.grow(e.frames * FRAME_BYTES) >>> 2 : 0;
    this.views.w[HDR_BYTES_USED >>> 2] = this.views.byteLength / WASM_PAGE_BYTES;
    this.insert(e, word, 'extent', 0);
  }

  private insert(e: MachineConfig['extents'][number], word: number, field: string, reserved: number): void {
    const id = this.nextExtentId++;
    const extent: Extent = { id, base: e.base, frames: e.frames, kind: e.kind, node: e.node };
    insertExtent(this.views, extent, word, field);
    if (e.handler) this.views.mmio.set(id, e.handler);
    this.frames.add(extent, e.base === 0 ? reserved : 0);
  }

  /** Copy physical memory at `pa` (below 2^52) into `out`. Devices are asked; what does not exist reads as the open bus. */
  read(pa: bigint, out: Uint8Array): void {
    readBytes(this.views, checkPhysical(pa, 'pa'), out);
  }

  /** Copy `data` to physical memory at `pa` (below 2^52). */
  write(pa: bigint, data: Uint8Array): void {
    writeBytes(this.views, checkPhysical(pa, 'pa'), data);
  }

  /** The paging structures that a vCPU's CR3 points at, as something to map pages in. @throws ConfigError - paging is off */
  addressSpace(cpu: Vcpu = this.vcpus[0]): AddressSpace {
    const { cr0, cr3, cr4, efer } = cpu.registers;
    const flags = (value: bigint, bit: number) => (value & BigInt(bit >>> 0)) !== 0n;
    if (!flags(cr0, CR0_PG)) throw new ConfigError('paging', 'a vCPU with paging on', 'none');
    const mode = !flags(cr4, CR4_PAE) ? MODE_OF.legacy : !flags(efer, EFER_LME) ? MODE_OF.pae : flags(cr4, CR4_LA57) ? MODE_OF['5-level'] : MODE_OF['4-level'];
    const root = cr3 & (mode === MODE_OF.pae ? 0xffffffe0n : 0xfffff_ffff_f000n);
    const known = this.spaces.get(root);
    if (known && known.mode === mode) return known;
    const space = new AddressSpace(this.views, this.frames, mode, Number(root));
    this.spaces.set(root, space);
    return space;
  }

  /**
   * Map pages at a linear address of a vCPU's current tables, on fresh frames.
   *
   * @param va - multiple of the page size
   * @param options - `frames`: pages of 4K (default 1), or of `size`; and attributes
   * @returns physical address of the first page
   * @throws ConfigError
   */
  map(va: bigint, options: Attributes & { readonly frames?: number; readonly size?: '4k' | '2m' | '1g'; readonly cpu?: Vcpu } = {}): bigint {
    check64(va, 'va');
    const space = this.addressSpace(options.cpu);
    const size = ['4k', '2m', '1g'].indexOf(options.size ?? '4k'), count = options.frames ?? 1;
    if (size < 0) throw new ConfigError('size', '4k, 2m or 1g', options.size);
    if (!Number.isInteger(count) || count < 1) throw new ConfigError('frames', 'an integer from 1', options.frames);
    const run = space.framesOf(size), bytes = BigInt(run * FRAME_BYTES);
    if (va % bytes !== 0n) throw new ConfigError('va', `a multiple of 0x${bytes.toString(16)}`, va);
    let first = -1;
    for (let k = 0; k < count; k++) {
      const at = va + BigInt(k) * bytes, frame = this.frames.allocate(run, 'data');
      space.map(hiWord(at), loWord(at), size, frame, options);
      if (first < 0) first = frame;
    }
    return BigInt(first) * BigInt(FRAME_BYTES);
  }

  /** Bring a vCPU from reset to the given paging mode, with an empty root, by the register writes that a kernel would make. */
  private startPaging(cpu: Vcpu, paging: Exclude<Paging, 'none'>): void {
    const mode = MODE_OF[paging];
    const space = new AddressSpace(this.views, this.frames, mode);
    const nx = this.config.plan.features & FEAT_NX ? EFER_NXE : 0;
    const long = mode >= MODE_OF['4-level'];
    const steps = [
      cpu.writeCr4(BigInt((mode === MODE_OF.legacy ? CR4_PSE : CR4_PAE) | (this.config.plan.features & FEAT_PGE ? CR4_PGE : 0) | (mode === MODE_OF['5-level'] ? CR4_LA57 : 0))),
      cpu.writeEfer(BigInt((long ? EFER_LME : 0) | (mode === MODE_OF.legacy ? 0 : nx))),
      cpu.writeCr3(BigInt(space.root)),
      cpu.writeCr0(BigInt((CR0_PE | CR0_ET | CR0_NE | CR0_WP | CR0_PG) >>> 0)),
    ];
    if (steps.some(fault => fault !== 0)) throw new ConfigError('features', `what ${paging} paging needs (pse, pae, pge, long, la57)`, this.config.plan.features);
    cpu.setCode64(long);
    this.spaces.set(BigInt(space.root), space);
  }
}
