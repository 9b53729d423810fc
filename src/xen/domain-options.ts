/** What a domain is made of, and whether it can be. */
import { ConfigError } from '../errors.ts';
import { checkLimits, type GrantLimits } from './grant-table.ts';
import type { Host } from './host.ts';
import { MOST_PIRQS } from './pirqs.ts';

const MOST = 2 ** 32 - 1;

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

/** @throws ConfigError - an option that no domain can be made with: frames that are not free or named twice, limits */
export function checkDomain(host: Host, { p2m = [], sharedInfo, grants = {}, iomem = [], maxEventPort = 0, pirqs = 0, compatStart = 0 }: DomainOptions): void {
  const taken = new Set<number>();
  const take = (field: string, mfn: number): void => {
    if (!Number.isInteger(mfn) || !host.frames.valid(mfn) || !host.frames.isFree(mfn) || taken.has(mfn)) throw new ConfigError(field, 'free frames, each once', mfn);
    taken.add(mfn);
  };
  p2m.forEach(([, mfn, count], k) => { for (let f = mfn; f < mfn + count; f++) take(`p2m[${k}]`, f); });
  if (sharedInfo !== undefined) take('sharedInfo', sharedInfo);
  (grants.frames ?? []).forEach((mfn, k) => take(`grants.frames[${k}]`, mfn));
  checkLimits(grants);
  for (const [k, [first, last]] of iomem.entries()) {
    if (host.own.overlaps(first, last)) throw new ConfigError(`iomem[${k}]`, "frames that are not the hypervisor's own", [first, last]);
  }
  for (const [field, value, most] of [['maxEventPort', maxEventPort, MOST], ['pirqs', pirqs, MOST_PIRQS], ['compatStart', compatStart, MOST]] as const) {
    if (!Number.isInteger(value) || value < 0 || value > most) throw new ConfigError(field, `an integer from 0 to ${most}`, value);
  }
}
