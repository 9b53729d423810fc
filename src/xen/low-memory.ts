/**
 * How much low memory, which its kernel maps for good, a 32-bit domain 0 has, and what becomes of it.
 *
 * The kernel's window ends where the hypervisor begins, and vmalloc takes its part of the rest. What describes all frames up to the highest (the
 * page array, the list of machine frames) has to be in low memory too, also for frames that no memory has: RAM in the place of an MMIO
 * hole is remapped above 4 GiB, and the hole keeps its frame numbers.
 *
 * Source: Xen 4.17, __HYPERVISOR_VIRT_START_PAE 0xF5800000 (xen/include/public/arch-x86/xen-x86_32.h): 168 MiB; Linux 2.6.18,
 *         include/asm-i386/page.h (__PAGE_OFFSET 3 GiB, __VMALLOC_RESERVE 128 MiB, MAXMEM), include/linux/mm.h (struct page: 32 bytes in
 *         32-bit kernels); mach-xen phys_to_machine_mapping: 4 bytes a frame.
 */
import { ConfigError } from '../errors.ts';

const ADDRESSES_MIB = 4096;
const FRAMES_PER_MIB = 256;

/** All sizes in MiB. */
export interface LowMemoryOptions {
  /** Memory of the domain. */
  readonly memory: number;
  /** Where the kernel's addresses begin. Default 3072. */
  readonly window?: number;
  /** What the hypervisor takes at the top. Default 168. */
  readonly hypervisorHole?: number;
  /** Default 128. */
  readonly vmalloc?: number;
  /** Bytes a frame of what the kernel knows of each. Default 36: 32 in the page array, 4 in the list of machine frames. */
  readonly frameBytes?: number;
  /** Physical addresses below 4 GiB that belong to devices: `[from, to]`. Default: none. */
  readonly mmioHoles?: readonly (readonly [from: number, to: number])[];
}

/** All sizes in MiB. */
export interface LowMemory {
  /** Addresses for memory that is mapped for good, and how much of the domain's that is. */
  readonly most: number;
  readonly low: number;
  /** The rest, mapped page by page when it is needed. */
  readonly high: number;
  /** Memory that is above 4 GiB because a hole is in its place. */
  readonly remapped: number;
  /** Where physical addresses of memory end. */
  readonly end: number;
  /** What describes the frames, and what that is for each GiB of them. */
  readonly metadata: number;
  readonly metadataPerGib: number;
  /** Low memory that is left; negative: such a domain cannot start. */
  readonly left: number;
}

const FIELDS: readonly string[] = ['memory', 'window', 'hypervisorHole', 'vmalloc', 'frameBytes', 'mmioHoles'] satisfies (keyof LowMemoryOptions)[];

/** @throws ConfigError - a field that there is not, a size that cannot be, holes that overlap or are not below 4 GiB */
export function lowMemory(options: LowMemoryOptions): LowMemory {
  if (typeof options !== 'object' || options === null) throw new ConfigError('options', 'an object with memory', options);
  for (const field of Object.keys(options)) if (!FIELDS.includes(field)) throw new ConfigError(field, `one of ${FIELDS.join(', ')}`, field);
  const { memory, window = 3072, hypervisorHole = 168, vmalloc = 128, frameBytes = 36, mmioHoles = [] } = options;
  for (const [field, size] of Object.entries({ memory, window, hypervisorHole, vmalloc, frameBytes })) {
    if (!Number.isFinite(size) || size < 0) throw new ConfigError(field, 'a number from 0', size);
  }
  const most = ADDRESSES_MIB - window - hypervisorHole - vmalloc;
  if (most <= 0) throw new ConfigError('vmalloc', `less than ${ADDRESSES_MIB - window - hypervisorHole}`, vmalloc);
  checkHoles(mmioHoles);
  const { end, remapped } = layHoles(memory, mmioHoles), metadataPerGib = (1024 * FRAMES_PER_MIB * frameBytes) / 2 ** 20;
  const metadata = (end / 1024) * metadataPerGib, low = Math.min(memory, most);
  return { most, low, high: memory - low, remapped, end, metadata, metadataPerGib, left: low - metadata };
}

/** @throws ConfigError - holes that are none, overlap or are not below 4 GiB: of two that overlap, the one that is given later */
function checkHoles(holes: unknown): void {
  if (!Array.isArray(holes)) throw new ConfigError('mmioHoles', 'a list of ranges', holes);
  holes.forEach((hole: unknown, k) => {
    const [from, to] = Array.isArray(hole) && hole.length === 2 ? hole as unknown[] : [];
    const isRange = Number.isFinite(from) && Number.isFinite(to) && (from as number) >= 0 && (to as number) > (from as number) && (to as number) <= ADDRESSES_MIB;
    const isFree = isRange && (holes.slice(0, k) as (readonly [number, number])[]).every(([first, last]) => (to as number) <= first || (from as number) >= last);
    if (!isFree) throw new ConfigError(`mmioHoles[${k}]`, 'a range below 4096 that overlaps no other', hole);
  });
}

/** Memory from address 0 up, but around the holes: what a hole displaces goes above 4 GiB. */
function layHoles(memory: number, holes: readonly (readonly [number, number])[]): { end: number; remapped: number } {
  let from = 0, below = 0; // of the gap between holes; memory that fits into gaps
  for (const [first, last] of [...holes].sort((a, b) => a[0] - b[0])) {
    if (memory <= below + first - from) return { end: from + memory - below, remapped: 0 };
    below += first - from;
    from = last;
  }
  if (holes.length === 0 || memory <= below + ADDRESSES_MIB - from) return { end: from + memory - below, remapped: 0 };
  below += ADDRESSES_MIB - from;
  const remapped = Math.min(memory - below, ADDRESSES_MIB - below);
  return { end: ADDRESSES_MIB + memory - below, remapped };
}
