/** Making a domain: its block, its frames, and what else it has from the start. */
import { ConfigError } from '../errors.ts';
import type { Domain } from './domain.ts';
import { checkDomainOptions, type DomainOptions } from './domain-options.ts';
import { disownMappings } from './grant-release.ts';
import type { Host } from './host.ts';

/** @throws ConfigError - an option; nothing is changed then */
export function makeDomain(host: Host, options: DomainOptions): Domain {
  const { frames } = host, { sharedInfo, p2m: runs = [] } = options;
  checkDomainOptions(host, options);
  const owned = runs.reduce((sum, [, , count]) => sum + count, 0);
  const domain = host.domains.add({
    id: options.id, privileged: options.privileged ?? false, is32: options.is32 ?? false, maxPages: options.maxPages ?? owned,
    maxVcpus: options.maxVcpus ?? 1, grants: options.grants ?? {},
  });
  try {
    furnish(host, domain, options);
  } catch (error) {
    host.domains.delete(domain);
    throw error;
  }
  domain.totalPages = owned;
  for (const [pfn, mfn, count] of runs) {
    for (let k = 0; k < count; k++) {
      frames.assign(mfn + k, domain.id);
      host.m2p.set(mfn + k, pfn + k, 0);
    }
  }
  if (sharedInfo !== undefined) {
    domain.sharedInfo = sharedInfo;
    host.shareFrame(domain, sharedInfo);
  }
  domain.grants.add(host, domain, options.grants?.frames ?? []);
  disownMappings(host, domain.id);
  return domain;
}

/** Let a new domain have what takes memory of the hypervisor's. @throws ConfigError - there is none */
function furnish(host: Host, domain: Domain, { iomem = [], maxEventPort, compatStart, pirqs, grants = {} }: DomainOptions): void {
  for (const [first, last] of iomem) if (!domain.iomem.add(first, last)) throw new ConfigError('own.frames', 'frames for ranges of iomem', host.own.frames);
  domain.maxEventPort = maxEventPort ?? domain.maxEventPort;
  domain.compatStart = compatStart ?? domain.compatStart;
  domain.pirqs = pirqs ?? 0;
  if (!domain.grants.reserve(grants.frames?.length ?? 0)) throw new ConfigError('grants.frames', `at most ${domain.grants.maxFrames} frames, and memory for what is known of them`, grants.frames?.length);
}
