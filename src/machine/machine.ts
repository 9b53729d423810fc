/** A machine: physical memory and the vCPUs that translate for it. What you construct. */
import { CR0_ET, CR0_NE, CR0_PE, CR0_PG, CR0_WP, CR4_LA57, CR4_PAE, CR4_PGE, CR4_PSE, EFER_LME, EFER_NXE } from '../arch/registers.ts';
import { attach, type Accelerator } from '../accel/engine.ts';
import { ConfigError } from '../errors.ts';
import { HDR_BYTES_USED } from '../layout/header.ts';
import { EMBEDDER } from '../layout/lock.ts';
import { FEAT_NX, FEAT_PGE, FEAT_PSE } from '../layout/vcpu.ts';
import type { CpuModel } from '../cost/cpu-model.ts';
import { readBytes, writeBytes } from '../memory/bytes.ts';
import { checkFree, extents, FRAME_BYTES, insertExtent, wordOf, type Extent } from '../memory/extents.ts';
import { FrameAllocator } from '../memory/frame-allocator.ts';
import { attachState, createState, type Layout } from '../memory/plan.ts';
import { WASM_PAGE_BYTES, type Views } from '../memory/views.ts';
import { nestedRead, nestedWalk } from '../virt/nested-walk.ts';
import { check64, checkPhysical, hiWord, loWord } from './address.ts';
import { AddressSpace, MODE_OF, type Attributes } from './address-space.ts';
import { makeColumns, type AccessColumns } from './columns.ts';
import { checkExtent, configure, type ExtentOptions, type MachineConfig, type MachineOptions, type Paging } from './options.ts';
import { Pages } from './pages.ts';
import { scopeOf, type Scope, type ScopeOptions } from './scope.ts';
import { Shootdowns } from './shootdown.ts';
import { putSnapshot, takeSnapshot } from './snapshot.ts';
import { Vcpu } from './vcpu.ts';

const FIRST_USABLE_FRAME = 1; // frame 0 is never handed out: a root of 0 is a common mistake

const SIZES = ['4k', '2m', '1g'];
const MAP_OPTIONS = ['write', 'user', 'noExecute', 'global', 'key', 'frames', 'size', 'cpu'];

/** What `Machine.map()` takes. */
export interface MapOptions extends Attributes {
  readonly frames?: number;
  readonly size?: '4k' | '2m' | '1g';
  readonly cpu?: Vcpu;
}

function checkMapOptions(options: MapOptions): MapOptions {
  if (typeof options !== 'object' || options === null) throw new ConfigError('options', 'an object', options);
  for (const key of Object.keys(options)) if (!MAP_OPTIONS.includes(key)) throw new ConfigError(key, `one of ${MAP_OPTIONS.join(', ')}`, key);
  const { size = '4k', frames = 1, key = 0 } = options;
  if (!SIZES.includes(size)) throw new ConfigError('size', '4k, 2m or 1g', size);
  if (!Number.isInteger(frames) || frames < 1) throw new ConfigError('frames', 'an integer from 1', frames);
  if (!Number.isInteger(key) || key < 0 || key > 15) throw new ConfigError('key', 'an integer from 0 to 15', key);
  return options;
}

/** The wasm engine on a machine's memory, if it is wanted and can be. @throws ConfigError - it is demanded and cannot be */
function engineOf({ engine, wasm }: MachineConfig, views: Views): Accelerator | undefined {
  if (engine === 'ts') return undefined;
  const accelerator = attach(views, wasm);
  if (accelerator || (engine === 'auto' && !(wasm && views.shared))) return accelerator;
  if (!views.shared) throw new ConfigError('engine', 'ts or auto without shared memory', engine);
  if (wasm) throw new ConfigError('wasm', "this version's pagewalk.wasm, compiled", 'another module');
  throw new ConfigError('engine', 'ts or auto where wasm/pagewalk.wasm cannot be read or compiled (browsers give it as option wasm)', engine);
}

/** Physical memory and the vCPUs that translate for it. See `Machine.create()`. */
export class Machine {
  readonly vcpus: readonly Vcpu[];
  readonly cpu: CpuModel;
  /** Frames for the tables and data that this library's own helpers make. An embedder may ignore it. */
  readonly frames = new FrameAllocator();
  /** The bytes and typed arrays of the state. */
  readonly views: Views;
  /**
   * The wasm engine's functions on this machine's memory, undefined if `engine` is `ts`. A wasm host takes them as its imports, beside
   * `views.memory`: then it translates without leaving wasm.
   */
  readonly accelerator: Accelerator | undefined;
  /** Whole pages of physical memory: clear, copy, compare, hash. */
  readonly pages: Pages;
  /** Invalidations that vCPUs ask of each other. */
  readonly shootdowns: Shootdowns;
  private readonly config: MachineConfig;
  private readonly layout: Layout;
  private readonly spaces = new Map<bigint, AddressSpace>();

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

  /**
   * The same machine once more: another worker's, or a copy of its memory. What is there stays as it is, registers and all that is cached too.
   *
   * @param memory - `views.memory` of the machine @param options - what it was made with; functions (handlers of MMIO holes) are given anew
   * @throws ConfigError - an option, or the memory is that of another machine. `frames` has no frames to hand out: who has which only the
   *   machine that was made knows
   */
  static attach(memory: WebAssembly.Memory, options: MachineOptions = {}): Machine {
    return new Machine(configure(options), memory);
  }

  private constructor(config: MachineConfig, memory?: WebAssembly.Memory) {
    this.config = config;
    this.cpu = config.cpu;
    const layout = this.layout = memory === undefined ? createState(config.plan) : attachState(config.plan, memory);
    this.views = layout.views;
    if (config.plan.nested) Object.assign(this.views, { nestedWalk, nestedRead });
    this.accelerator = engineOf(config, this.views);
    this.pages = new Pages(this.views, this.accelerator);
    this.shootdowns = new Shootdowns(this.views, this.accelerator);
    this.views.locks.be(EMBEDDER, -1);
    if (memory === undefined) this.insertAll(layout.ramWords);
    else this.attachHandlers();
    const names = config.cpu.caches.levels.map(c => c.name);
    this.vcpus = layout.vcpus.map((block, k) => new Vcpu(this.views, block, layout.scratch[k], names, this.accelerator, memory === undefined));
    if (memory === undefined) this.start();
  }

  private start(): void {
    const { paging } = this.config;
    if (paging !== 'none') for (const cpu of this.vcpus) this.startPaging(cpu, paging);
  }

  /**
   * Be as it was when it was made, in the same memory: for those who would make another one. Columns stay what they are.
   *
   * Of physical memory what `frames` handed out is cleared; nothing else may have been written, and nothing plugged in.
   */
  renew(): void {
    const { layout, views, frames } = this;
    for (const [first, count] of frames.handedOut) {
      const at = wordOf(views, Math.floor(first / 2 ** 20), first << 12);
      views.w.fill(0, at, at + count * (FRAME_BYTES / 4));
    }
    views.w.fill(0, 0, layout.words);
    layout.write();
    frames.clear();
    this.spaces.clear();
    this.insertAll(layout.ramWords);
    for (const cpu of this.vcpus) cpu.reset();
    this.start();
  }

  /** Which engine makes accesses and invalidations. */
  get engine(): 'ts' | 'wasm' {
    return this.accelerator ? 'wasm' : 'ts';
  }

  /** What physical memory there is. */
  get extents(): readonly Extent[] {
    return extents(this.views);
  }

  /**
   * Hot-plug an extent. Other threads that are attached find it; none may use the machine meanwhile, nor ask a device that was given here.
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

  private insertAll(ramWords: readonly number[]): void {
    let ram = 0;
    this.config.extents.forEach((e, k) => this.insert(e, e.kind === 'ram' ? ramWords[ram++] : 0, `extents[${k}]`, FIRST_USABLE_FRAME));
  }

  /** Extents are there, numbered as they were made; what answers for devices is not. */
  private attachHandlers(): void {
    this.config.extents.forEach(({ handler }, id) => { if (handler) this.views.mmio.set(id, handler); });
  }

  private insert(e: MachineConfig['extents'][number], word: number, field: string, reserved: number): void {
    const id = Math.max(-1, ...this.extents.map(extent => extent.id)) + 1;
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

  /**
   * Invalidate what vCPUs have cached, and wait until it is done. A vCPU that another thread plays (`play()`) does it when that thread looks.
   *
   * @param by - the vCPU that asks, whose own part is done at once @throws ConfigError - an option @throws BrokenError - whoever should do it is gone
   */
  invalidate(vcpus: Iterable<Vcpu>, options: ScopeOptions = {}, by?: Vcpu): void {
    this.invalidateScope(vcpus, scopeOf(options), by);
  }

  /** The same for scopes that are made already. Allocates nothing. */
  invalidateScope(vcpus: Iterable<Vcpu>, scope: Readonly<Scope>, by?: Vcpu): void {
    const { shootdowns, views } = this;
    for (const cpu of vcpus) {
      if (cpu === by || !views.atomic) shootdowns.here(cpu.block >>> 2, scope);
      else shootdowns.post(cpu.block >>> 2, scope);
    }
    shootdowns.wait();
  }

  /**
   * This thread plays a vCPU, and no other from now on: other threads leave to it what that has cached, and it has to look into its mailbox (`look()`) between accesses, often.
   * A vCPU that no thread plays may be used by one thread only, as long as no other asks for invalidations.
   */
  play(cpu: Vcpu): void {
    this.shootdowns.play(cpu.block >>> 2, this.vcpus.indexOf(cpu));
  }

  /** Do what others asked of a vCPU. */
  look(cpu: Vcpu): void {
    this.shootdowns.look(cpu.block >>> 2);
  }

  /** This thread plays its vCPU no more. */
  rest(): void {
    this.shootdowns.rest(EMBEDDER);
  }

  /** All of the machine as bytes, for `restore()`: memory, registers, what is cached, counters, and which of its `frames` are handed out. */
  snapshot(): Uint8Array {
    return takeSnapshot(this.views, this.config.plan, this.frames);
  }

  /**
   * Be the machine that a snapshot was taken of, byte for byte: this one at another time, or another made with the same options. A hypervisor on
   * it has to be attached again.
   *
   * @param file - what errors call the snapshot
   * @throws InputError - it is cut short, damaged, or of another version: the message names byte and field @throws ConfigError - it is of a
   *   machine made with other options. Nothing is changed then
   */
  restore(snapshot: Uint8Array, file = 'snapshot'): void {
    putSnapshot(this.views, this.config.plan, this.frames, snapshot, file);
    this.spaces.clear();
  }

  /**
   * Room for a batch of accesses, see `Vcpu.runBatch()`: with the wasm engine at the end of machine memory, which it keeps for good.
   *
   * @param capacity - accesses, 1 to 2^24
   * @throws ConfigError - capacity, or no room
   */
  columns(capacity: number): AccessColumns {
    return makeColumns(this.views, this.accelerator !== undefined, capacity);
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
   * Map pages at a linear address of a vCPU's current tables, on fresh frames: all of them, or none.
   *
   * Invalidates nothing, but in PAE paging loads CR3 again, because a page-directory-pointer-table entry is not seen before.
   *
   * @param va - multiple of the page size, canonical in the vCPU's paging mode, as are all the pages
   * @param options - `frames`: pages of 4K (default 1), or of `size`; `cpu`: default the first; and attributes
   * @returns physical address of the first page
   * @throws ConfigError - an option, or no memory left; nothing is mapped then (tables may have been added)
   */
  map(va: bigint, options: MapOptions = {}): bigint {
    check64(va, 'va');
    const { cpu = this.vcpus[0] } = checkMapOptions(options);
    const space = this.addressSpace(cpu);
    const size = SIZES.indexOf(options.size ?? '4k'), count = options.frames ?? 1;
    const run = space.framesOf(size), bytes = BigInt(run * FRAME_BYTES);
    if (va % bytes !== 0n) throw new ConfigError('va', `a multiple of 0x${bytes.toString(16)}`, va);
    const last = va + BigInt(count) * bytes - 1n;
    if (!space.reaches(va) || !space.reaches(last) || (va ^ last) >> 63n !== 0n) throw new ConfigError('va', 'pages that the paging mode can reach', va);
    const frames: number[] = [];
    try {
      while (frames.length < count) frames.push(this.frames.allocate(run, 'data'));
    } catch (error) {
      for (const first of frames) for (let f = 0; f < run; f++) this.frames.release(first + f);
      throw error;
    }
    frames.forEach((frame, k) => {
      const at = va + BigInt(k) * bytes;
      space.map(hiWord(at), loWord(at), size, frame, options);
    });
    if (space.mode === MODE_OF.pae) cpu.writeCr3(cpu.registers.cr3);
    return BigInt(frames[0]) * BigInt(FRAME_BYTES);
  }

  /** Bring a vCPU from reset to the given paging mode, with an empty root, by the register writes that a kernel would make. */
  private startPaging(cpu: Vcpu, paging: Exclude<Paging, 'none'>): void {
    const mode = MODE_OF[paging];
    const space = new AddressSpace(this.views, this.frames, mode);
    const nx = this.config.plan.features & FEAT_NX ? EFER_NXE : 0;
    const long = mode >= MODE_OF['4-level'];
    const steps = [
      cpu.writeCr4(BigInt((mode !== MODE_OF.legacy ? CR4_PAE : this.config.plan.features & FEAT_PSE ? CR4_PSE : 0) | (this.config.plan.features & FEAT_PGE ? CR4_PGE : 0) | (mode === MODE_OF['5-level'] ? CR4_LA57 : 0))),
      cpu.writeEfer(BigInt((long ? EFER_LME : 0) | (mode === MODE_OF.legacy ? 0 : nx))),
      cpu.writeCr3(BigInt(space.root)),
      cpu.writeCr0(BigInt((CR0_PE | CR0_ET | CR0_NE | CR0_WP | CR0_PG) >>> 0)),
    ];
    if (steps.some(fault => fault !== 0)) throw new ConfigError('features', `what ${paging} paging needs (pae, long, la57)`, this.config.plan.features);
    cpu.setCode64(long);
    this.spaces.set(BigInt(space.root), space);
  }
}
