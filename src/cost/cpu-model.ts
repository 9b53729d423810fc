/**
 * A processor as plain data: what its TLBs, paging-structure caches and data caches look like, and what they cost.
 *
 * Every number is a `Figure`: a plain number (a caller's own choice), or a number with where it comes from. The presets
 * use only the latter.
 */
import type { Switches } from './switches.ts';

/** One number and its standing. `estimate` means that nobody has shown it to us: a default to override. */
export interface Sourced {
  readonly value: number;
  readonly from: 'vendor' | 'measured' | 'estimate';
  /** The document, program or reason; for a fitted estimate the word `fitted` and to what. */
  readonly source: string;
  /** Of an estimate that is a sum: how much of the value its estimated parts are. Default: all of it. */
  readonly estimated?: number;
}

export type Figure = number | Sourced;

/** The number itself. */
export function figure(f: Figure): number {
  return typeof f === 'number' ? f : f.value;
}

/** How much of a number is an estimate: nothing of one that a caller gives. */
export function estimatedPart(f: Figure): number {
  if (typeof f === 'number' || f.from !== 'estimate') return 0;
  return f.estimated ?? f.value;
}

export type PageSize = '4k' | '2m' | '1g';
export type Replacement = 'lru' | 'tree-plru' | 'nru' | 'random';
export type Service = 'load' | 'store' | 'fetch';

/** A set-associative array of any number of sets and ways; fully associative is one set. */
export interface Geometry {
  readonly sets: Figure;
  readonly ways: Figure;
  readonly replacement: Replacement;
}

/**
 * One TLB structure. A page of a size that no structure of its level holds is not cached at that level, unless one `fractures` that size:
 * then it is held as fragments of the largest smaller size. The first level always fractures.
 */
export interface TlbStructure extends Geometry {
  /** Short name for tables: `dtlb-4k`. Unique within the model. */
  readonly name: string;
  readonly holds: readonly PageSize[];
  readonly serves: readonly Service[];
  /** Larger sizes whose translations it keeps as fragments. */
  readonly fractures?: readonly PageSize[];
}

/** A TLB level: structures searched side by side. No two of them hold the same size for the same service. */
export interface TlbLevel {
  /** Cycles that a hit at this level adds to the access; 0 at the first level of a pipelined processor. */
  readonly hitCycles: Figure;
  readonly structures: readonly TlbStructure[];
}

/** A level of the tag-only data-cache model. `cycles` is the whole load-to-use time of a hit there. */
export interface CacheLevel extends Geometry {
  readonly name: string;
  readonly cycles: Figure;
}

/** A processor: geometry and cost of everything between an access and its data. */
export interface CpuModel {
  /** Name as on the command line: lower case letters, digits, dashes. */
  readonly name: string;
  /** Name for people: `Intel Skylake (client)`. */
  readonly title: string;
  /** Decides rules that differ: AMD reserves bit 8 of PML4 and PML5 entries, Intel ignores it. */
  readonly vendor: 'intel' | 'amd';
  /** MAXPHYADDR, 32 to 52. */
  readonly physicalAddressBits: Figure;
  /** Clock while running, for converting cycles to nanoseconds in reports. */
  readonly clockGHz: Figure;
  /** Page sizes and levels the processor can walk. */
  readonly pages1g: boolean;
  readonly la57: boolean;
  /** TLB levels, first searched first; one to three. */
  readonly tlb: readonly TlbLevel[];
  /** Paging-structure caches; a missing one does not exist. An entry of the pde cache points at a page table. */
  readonly psc: {
    readonly pde?: Geometry;
    readonly pdpte?: Geometry;
    readonly pml4e?: Geometry;
    readonly pml5e?: Geometry;
  };
  /** Cycles that every walk costs before its loads: detecting the miss, starting and finishing the walker. */
  readonly walkCycles: Figure;
  /** Walks that can be under way at once. Informative: accesses are priced one after another. */
  readonly walkers: Figure;
  readonly caches: {
    readonly lineBytes: Figure;
    /** Nearest first; zero to three levels. */
    readonly levels: readonly CacheLevel[];
    /** Whole load-to-use time of a load from local memory. */
    readonly memoryCycles: Figure;
    /** Added for a load from memory of another NUMA node, per unit of distance above local (distance 10 = local, as in ACPI SLIT; 20 adds this once). */
    readonly remoteCycles: Figure;
  };
  /** Changes of privilege and of address space. They cost accesses nothing: prices of kernels and hypervisors are made of them. Default: `switchesDefault`. */
  readonly switches?: Switches;
}
