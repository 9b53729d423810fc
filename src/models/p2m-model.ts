/**
 * P2M: a paravirtualized domain. It numbers its memory by pseudo-physical frames and writes machine frames into its page tables; the
 * hypervisor's machine-to-physical table tells the way back, and is the truth here too.
 */
import { ConfigError } from '../errors.ts';
import type { Domain } from '../xen/domain.ts';
import type { Host } from '../xen/host.ts';
import type { Hypervisor } from '../xen/hypervisor.ts';
import type { MemoryModel } from './memory-model.ts';
import { NO_FRAME } from './translation.ts';

export class P2mModel implements MemoryModel {
  readonly name = 'P2M';
  private readonly host: Host;
  private readonly domain: Domain;
  private p2m = new Map<number, number>(); // as last found; every answer is checked

  /** @throws ConfigError - there is no such domain */
  constructor(xen: Hypervisor, domid: number) {
    const domain = xen.host.domain(domid);
    if (domain === undefined) throw new ConfigError('domid', 'the number of a domain', domid);
    this.host = xen.host;
    this.domain = domain;
  }

  machineFrame(pfn: number): number {
    const mfn = this.p2m.get(pfn) ?? NO_FRAME;
    if (mfn !== NO_FRAME && this.guestFrame(mfn) === pfn) return mfn;
    this.p2m = pseudoPhysical(this.host, this.domain);
    return this.p2m.get(pfn) ?? NO_FRAME;
  }

  guestFrame(mfn: number): number {
    return pfnOf(this.host, this.domain, mfn);
  }

  deviceFrame(pfn: number): number {
    return this.machineFrame(pfn);
  }
}

/** Pseudo-physical frame of a machine frame, -1: it is not the domain's, or has none. */
export function pfnOf({ frames, m2p }: Host, { id }: Domain, mfn: number): number {
  if (!frames.valid(mfn) || frames.refs(mfn) === 0 || frames.owner(mfn) !== id || frames.isXenHeap(mfn)) return NO_FRAME;
  return m2p.hi(mfn) === 0 && m2p.lo(mfn) >= 0 ? m2p.lo(mfn) : NO_FRAME;
}

/** Machine frames of a domain by pseudo-physical frame. */
export function pseudoPhysical(host: Host, domain: Domain): Map<number, number> {
  const p2m = new Map<number, number>();
  for (let mfn = 0; mfn < host.frames.count; mfn++) {
    const pfn = pfnOf(host, domain, mfn);
    if (pfn !== NO_FRAME) p2m.set(pfn, mfn);
  }
  return p2m;
}
