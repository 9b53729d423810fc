/** What a domain is made with, and whether it can be. */
import { ConfigError } from '../errors.ts';
import { checkLimits, type GrantLimits } from './grant-table.ts';
import type { Host } from './host.ts';
import { MOST_PIRQS } from './pirqs.ts';

const PFN_LIMIT = 2 ** 32; //   beyond what the machine-to-physical table says of a frame
const FRAME_LIMIT = 2 ** 40; // frame numbers of a page-table entry
const PAGES_MOST = 2 ** 31 - 1;
/** The hypervisor's part of a 32-bit guest's address space begins in the fourth GiB, at a level-2 entry, and has the window on the machine-to-physical table. */
const COMPAT_FIRST = 0xc0000000, COMPAT_LAST = 0xffc00000, COMPAT_STEP = 0x200000;

/** What `createDomain()` takes. */
export interface DomainOptions {
  readonly id: number;
  readonly privileged?: boolean;
  /** 32-bit (PAE) guest. */
  readonly is32?: boolean;
  readonly maxPages?: number;
  /** Frames it owns from the start, as runs. */
  readonly p2m?: readonly (readonly [pfn: number, mfn: number, count: number])[];
  /** Frame that it shares with the hypervisor. */
  readonly sharedInfo?: number;
  /** Its grant table: limits, and frames of entries that it has from the start. Default: Xen's limits, and none. */
  readonly grants?: GrantLimits & { readonly frames?: readonly number[] };
  /** Frames that are no memory and that it may map: `[first, last]`. */
  readonly iomem?: readonly (readonly [first: number, last: number])[];
  readonly maxVcpus?: number;
  /** Highest event-channel port. Default: as many as the format has. */
  readonly maxEventPort?: number;
  /** Physical interrupts it may have numbers for. Default 0. */
  readonly pirqs?: number;
  /** 32-bit guests: where the hypervisor's part of their address space begins. */
  readonly compatStart?: number;
}

const isWhole = (value: number, limit: number): boolean => Number.isInteger(value) && value >= 0 && value < limit;

/** @throws ConfigError - an option that cannot be; nothing is changed then */
export function checkDomainOptions(h: Host, options: DomainOptions): void {
  const { maxPages = 0, maxEventPort = 0, pirqs = 0, compatStart = COMPAT_FIRST, iomem = [], grants = {} } = options;
  if (h.domains.has(options.id)) throw new ConfigError('id', 'a number that no domain has', options.id);
  checkFrames(h, options);
  if (!isWhole(maxPages, PAGES_MOST + 1)) throw new ConfigError('maxPages', `an integer from 0 to ${PAGES_MOST}`, maxPages);
  if (!isWhole(maxEventPort, PFN_LIMIT)) throw new ConfigError('maxEventPort', 'an integer of 32 bits', maxEventPort);
  if (!isWhole(pirqs, MOST_PIRQS + 1)) throw new ConfigError('pirqs', `an integer from 0 to ${MOST_PIRQS}`, pirqs);
  checkLimits(grants);
  if (!isWhole(compatStart, COMPAT_LAST + 1) || compatStart < COMPAT_FIRST || compatStart % COMPAT_STEP !== 0) {
    throw new ConfigError('compatStart', 'a multiple of 0x200000 from 0xc0000000 to 0xffc00000', compatStart);
  }
  for (const [k, [first, last]] of iomem.entries()) {
    if (!isWhole(first, FRAME_LIMIT) || !isWhole(last, FRAME_LIMIT) || first > last) throw new ConfigError(`iomem[${k}]`, 'frame numbers, the first no higher than the last', [first, last]);
    if (h.own.overlaps(first, last)) throw new ConfigError(`iomem[${k}]`, "frames that are not the hypervisor's own", [first, last]);
  }
}

/** Frames that it gets have to be free, and each can be named once. */
function checkFrames(h: Host, { p2m = [], sharedInfo, grants }: DomainOptions): void {
  const named = new Set<number>();
  const take = (field: string, mfn: number): void => {
    if (!isWhole(mfn, h.frames.count) || !h.frames.isFree(mfn) || named.has(mfn)) throw new ConfigError(field, 'a free frame, named once', mfn);
    named.add(mfn);
  };
  for (const [k, run] of p2m.entries()) {
    const [pfn, mfn, count] = run;
    if (!isWhole(pfn, PFN_LIMIT) || !isWhole(count, PAGES_MOST) || pfn + count > PFN_LIMIT) throw new ConfigError(`p2m[${k}]`, '[pfn, mfn, count] of 32 bits', run);
    for (let f = mfn; f < mfn + count || Number.isNaN(f); f++) take(`p2m[${k}]`, f);
  }
  if (sharedInfo !== undefined) take('sharedInfo', sharedInfo);
  for (const [k, mfn] of (grants?.frames ?? []).entries()) take(`grants.frames[${k}]`, mfn);
}
