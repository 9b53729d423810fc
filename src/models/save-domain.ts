/** A paravirtualized domain as bytes: see domain-form.ts. */
import { ConfigError } from '../errors.ts';
import { PGT_PARTIAL } from '../layout/frame.ts';
import { GUEST_TRAPS } from '../layout/guest-vcpu.ts';
import { wordBytes, writeImage, type ImageRecord } from '../memory/image.ts';
import type { Domain, GuestVcpu } from '../xen/domain.ts';
import { frameOf } from '../xen/entry-flags.ts';
import type { Host } from '../xen/host.ts';
import { Hypervisor } from '../xen/hypervisor.ts';
import { pageType } from '../xen/page-info.ts';
import { canonicalise } from './canonical.ts';
import { COPIED, DOMAIN, DOMAIN_FORM, DOMAIN_WORDS, GDT_FRAMES, PAGE, SEGMENT_WORDS, TRAP_WORDS, TRAPS, VCPU, type DomainWords } from './domain-form.ts';
import { pfnOf, pseudoPhysical } from './p2m-model.ts';
import { tableLevel } from './saved-domain.ts';
import { NO_FRAME } from './translation.ts';

const TABLE_WORDS = 1024;

/**
 * Save a domain that does not run. It stays as it is.
 *
 * @throws ConfigError - there is no such domain; or it is not at rest, as Xen wants it of a guest that suspends: a hypercall is in progress, or
 *   its tables refer to frames that are not its own (grants, the shared info, devices)
 */
export function saveDomain(xen: Hypervisor, domid: number): Uint8Array {
  if (!(xen instanceof Hypervisor)) throw new ConfigError('xen', 'a Hypervisor', xen);
  const { host } = xen, domain = Number.isInteger(domid) ? host.domain(domid) : undefined;
  if (domain === undefined || domain.dying) throw new ConfigError('domid', 'the number of a domain that is not dying', domid);
  const p2m = [...pseudoPhysical(host, domain)].sort(([a], [b]) => a - b);
  checkRest(host, domain, p2m);
  const pages = p2m.map(([pfn, mfn]) => ({ kind: PAGE, number: pfn, payload: pageRecord(host, domain, pfn, mfn) }));
  const vcpus = domain.vcpus.flatMap(guest => vcpuRecords(host, guest));
  return writeImage(DOMAIN_FORM, [{ kind: DOMAIN, number: 0, payload: domainRecord(domain, pages.length) }, ...vcpus, ...pages]);
}

function checkRest(h: Host, domain: Domain, p2m: readonly (readonly [number, number])[]): void {
  const open = domain.vcpus.find(({ oldTable }) => oldTable !== NO_FRAME), partial = p2m.find(([, mfn]) => (h.frames.type(mfn) & PGT_PARTIAL) !== 0);
  if (open !== undefined) throw new ConfigError(`vcpus[${open.number}]`, 'no hypercall in progress', 'a table that is not put yet');
  if (partial !== undefined) throw new ConfigError(`pfn 0x${partial[0].toString(16)}`, 'no hypercall in progress', 'a table validated in part');
  if (p2m.length !== domain.totalPages) throw new ConfigError('domid', 'a domain whose frames all have a pseudo-physical number of their own', `${p2m.length} of ${domain.totalPages}`);
}

function domainRecord(domain: Domain, pages: number): Uint8Array {
  const { is32, privileged, maxPages, maxVcpus, maxEventPort, compatStart, pirqs, assists, m2pStrict, vcpus } = domain;
  const words: DomainWords = {
    is32: is32 ? 1 : 0, privileged: privileged ? 1 : 0, maxPages, maxVcpus, maxEventPort, compatStart, pirqs, assists, m2pStrict: m2pStrict ? 1 : 0, vcpus: vcpus.length, pages,
  };
  return wordBytes(DOMAIN_WORDS.map(name => words[name]));
}

function pageRecord(h: Host, domain: Domain, pfn: number, mfn: number): Uint8Array {
  const type = pageType(h, domain, mfn), level = tableLevel(type), at = h.table(mfn), words = h.s.w.slice(at, at + TABLE_WORDS);
  const foreign = level === 0 ? -1 : canonicalise(h, domain, mfn, level, words);
  if (foreign >= 0) {
    const frame = frameOf(words[foreign * 2], words[foreign * 2 + 1]);
    throw new ConfigError(`pfn 0x${pfn.toString(16)}, entry ${foreign}`, "one of the domain's own frames", `machine frame 0x${frame.toString(16)}`);
  }
  return wordBytes([type, ...words]);
}

function vcpuRecords(h: Host, guest: GuestVcpu): ImageRecord[] {
  const { w } = h.s, { domain, at, number } = guest, pfn = (mfn: number) => (mfn === NO_FRAME ? NO_FRAME : pfnOf(h, domain, mfn));
  const monitor = h.table(guest.root), root = domain.is32 ? frameOf(w[monitor], w[monitor + 1]) : guest.root;
  const gdt = Array.from({ length: GDT_FRAMES }, (_, k) => pfn(guest.gdt[k] ?? NO_FRAME));
  const words = [
    guest.kernelMode ? 1 : 0, pfn(root), pfn(guest.userRoot), ...COPIED.map(offset => w[at + (offset >>> 2)]), ...guest.segmentBases.subarray(0, SEGMENT_WORDS),
    guest.gdtEntries, ...gdt,
  ];
  const traps = w[at + (GUEST_TRAPS >>> 2)] >>> 2;
  return [{ kind: VCPU, number, payload: wordBytes(words) }, { kind: TRAPS, number, payload: wordBytes(w.slice(traps, traps + TRAP_WORDS)) }];
}
