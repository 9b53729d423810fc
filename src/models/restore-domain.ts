/**
 * A saved domain on other frames: its tables are given machine frames again, and validated and pinned by the hypercalls that a toolstack makes.
 *
 * Source: Xen 4.17, xg_sr_restore_x86_pv.c (pv_localise_page(), x86_pv_stream_complete(), pin_tables()); arch_set_info_guest()
 *         (xen/arch/x86/domain.c) for the vCPUs.
 */
import { ConfigError, InputError } from '../errors.ts';
import { PGT_PINNED } from '../layout/frame.ts';
import { GUEST_TRAPS } from '../layout/guest-vcpu.ts';
import { Vcpu } from '../machine/vcpu.ts';
import { wordBytes } from '../memory/image.ts';
import { useGdt } from '../xen/descriptor.ts';
import type { Domain } from '../xen/domain.ts';
import type { Host } from '../xen/host.ts';
import { Hypervisor } from '../xen/hypervisor.ts';
import { HYPERVISOR_mmuext_op, MMUEXT_PIN_L1_TABLE, MMUEXT_UNPIN_TABLE, XEN_DOMCTL_PFINFO_LPINTAB } from '../xen/numbers.ts';
import { pageType } from '../xen/page-info.ts';
import { newUserBase } from '../xen/root.ts';
import { localise } from './canonical.ts';
import { COPIED, GDT_FRAMES, SEGMENT_WORDS, VCPU_COPIED, VCPU_GDT, VCPU_GDT_ENTRIES, VCPU_KERNEL, VCPU_ROOT, VCPU_SEGMENTS, VCPU_USER_ROOT } from './domain-form.ts';
import { readDomain, tableLevel, type SavedDomain } from './saved-domain.ts';
import { NO_FRAME } from './translation.ts';

export interface RestoreOptions {
  readonly id: number;
  /** vCPUs of the machine for those of the domain that ran. */
  readonly cpus: readonly Vcpu[];
  /** A vCPU of a privileged domain, which makes the hypercalls, and a page of its kernel where their arguments are put: its linear address. */
  readonly toolstack: { readonly cpu: Vcpu; readonly arguments: bigint };
  /** Free machine frames, for the pseudo-physical ones in order. Default: the first that are free. */
  readonly frames?: readonly number[];
  /** Frame to share with it. Default: none. */
  readonly sharedInfo?: number;
  /** What errors call the image. */
  readonly file?: string;
}

/**
 * Restore a domain.
 *
 * @throws InputError - the image is cut short, damaged, of another version, or of a domain that there cannot be: the message names byte and
 *   field @throws ConfigError - an option. Nothing is changed then; a domain whose tables the hypervisor does not take is destroyed again
 */
export function restoreDomain(xen: Hypervisor, image: Uint8Array, options: RestoreOptions): Domain {
  checkArguments(xen, options);
  const { host } = xen, { id, cpus, file = 'domain' } = options, saved = readDomain(image, file), p2m = placeFrames(host, saved, options.frames);
  if (cpus.length < saved.vcpus.length) throw new ConfigError('cpus', `${saved.vcpus.length} vCPUs`, cpus.length);
  if (!xen.guestOf(options.toolstack.cpu).domain.privileged) throw new ConfigError('toolstack.cpu', 'a vCPU of a privileged domain', id);
  const { words, pages } = saved;
  const domain = xen.createDomain({
    id, privileged: words.privileged !== 0, is32: words.is32 !== 0, maxPages: words.maxPages, maxVcpus: words.maxVcpus, maxEventPort: words.maxEventPort,
    compatStart: words.compatStart, pirqs: words.pirqs, p2m: [...p2m].map(([pfn, mfn]) => [pfn, mfn, 1] as const),
    ...(options.sharedInfo === undefined ? {} : { sharedInfo: options.sharedInfo }),
  });
  const refuse = (what: string, expected: string, got: string): never => { throw new InputError(file, what, expected, got); };
  try {
    domain.assists = words.assists | 0;
    domain.m2pStrict = words.m2pStrict !== 0;
    for (const [pfn, page] of pages) fillPage(host, page.words, tableLevel(page.type), words.is32 !== 0, p2m.get(pfn)!, p2m);
    saved.vcpus.forEach((_, k) => { startVcpu(xen, domain, saved, k, cpus[k], p2m, refuse); });
    pin(xen, domain, saved, options.toolstack, p2m, refuse);
    for (const [pfn, { type }] of pages) {
      const found = pageType(host, domain, p2m.get(pfn)!);
      if (found !== type) refuse(`page ${pfn}`, `a frame of type 0x${type.toString(16)}`, `0x${found.toString(16)}`);
    }
  } catch (error) {
    xen.destroyDomain(id);
    throw error;
  }
  return domain;
}

/** @throws ConfigError - an argument that is none */
function checkArguments(xen: Hypervisor, options: RestoreOptions): void {
  if (!(xen instanceof Hypervisor)) throw new ConfigError('xen', 'a Hypervisor', xen);
  if (typeof options !== 'object' || options === null) throw new ConfigError('options', 'an object with id, cpus and toolstack', options);
  const { cpus, toolstack } = options;
  if (!Array.isArray(cpus) || !cpus.every(cpu => cpu instanceof Vcpu)) throw new ConfigError('cpus', 'a list of vCPUs', typeof cpus);
  if (typeof toolstack !== 'object' || toolstack === null) throw new ConfigError('toolstack', 'an object with cpu and arguments', toolstack);
  if (!(toolstack.cpu instanceof Vcpu)) throw new ConfigError('toolstack.cpu', 'a vCPU', typeof toolstack.cpu);
  if (typeof toolstack.arguments !== 'bigint') throw new ConfigError('toolstack.arguments', 'a linear address (bigint)', toolstack.arguments);
}

/** Choose machine frames. @returns by pseudo-physical frame */
function placeFrames({ frames }: Host, { pages }: SavedDomain, given?: readonly number[]): Map<number, number> {
  const free = given ?? Array.from({ length: frames.count }, (_, mfn) => mfn).filter(mfn => frames.isFree(mfn));
  if (free.length < pages.size || new Set(free).size !== free.length) throw new ConfigError('frames', `${pages.size} frames, each once`, free.length);
  const bad = free.find(mfn => !Number.isInteger(mfn) || !frames.valid(mfn) || !frames.isFree(mfn));
  if (bad !== undefined) throw new ConfigError('frames', 'free frames', bad);
  return new Map([...pages.keys()].map((pfn, k) => [pfn, free[k]]));
}

function fillPage(h: Host, words: Int32Array, level: number, is32: boolean, mfn: number, p2m: ReadonlyMap<number, number>): void {
  const own = words.slice();
  if (level > 0) localise(own, is32, level, p2m);
  h.s.w.set(own, h.table(mfn));
}

type Refuse = (what: string, expected: string, got: string) => never;

function startVcpu(xen: Hypervisor, domain: Domain, saved: SavedDomain, k: number, cpu: Vcpu, p2m: ReadonlyMap<number, number>, refuse: Refuse): void {
  const { words, traps } = saved.vcpus[k], { host } = xen, { w } = host.s, mfn = (pfn: number) => p2m.get(pfn)!;
  let guest;
  try {
    guest = xen.startVcpu(domain, cpu, mfn(words[VCPU_ROOT]));
  } catch (error) {
    if (!(error instanceof ConfigError) || error.field !== 'root') throw error;
    return refuse(`vcpu ${k}, root`, error.expected, String(error.got));
  }
  COPIED.forEach((offset, i) => { w[guest.at + (offset >>> 2)] = words[VCPU_COPIED + i]; });
  guest.segmentBases.set(words.subarray(VCPU_SEGMENTS, VCPU_SEGMENTS + SEGMENT_WORDS));
  w.set(traps, w[guest.at + (GUEST_TRAPS >>> 2)] >>> 2);
  const gdt = [...words.subarray(VCPU_GDT, VCPU_GDT + GDT_FRAMES)].filter(pfn => pfn !== NO_FRAME).map(mfn);
  if (useGdt(host, guest, gdt, words[VCPU_GDT_ENTRIES]) !== 0) refuse(`vcpu ${k}, GDT`, 'frames of descriptors that can be validated', `${gdt.length} frames`);
  if (words[VCPU_USER_ROOT] !== NO_FRAME) {
    const rc = newUserBase(host, mfn(words[VCPU_USER_ROOT]));
    if (rc !== 0) refuse(`vcpu ${k}, user root`, 'a root table that can be validated', String(rc));
  }
  if (words[VCPU_KERNEL] === 0) xen.setMode(cpu, 'user');
}

/** Pin what was pinned, the highest tables first, and nothing else. */
function pin(xen: Hypervisor, domain: Domain, { pages }: SavedDomain, { cpu, arguments: at }: RestoreOptions['toolstack'], p2m: ReadonlyMap<number, number>, refuse: Refuse): void {
  const { host } = xen, compat = xen.guestOf(cpu).domain.is32;
  const operation = (command: number, mfn: number): number => {
    const fault = xen.write(cpu, at, wordBytes(compat ? [command, mfn, 0] : [command, 0, mfn, 0, 0, 0]));
    if (fault !== 0) throw new ConfigError('toolstack.arguments', 'a page that its kernel can write', at);
    return Number(xen.hypercall(cpu, HYPERVISOR_mmuext_op, at, 1n, 0n, BigInt(domain.id)));
  };
  const isPinned = (mfn: number) => (host.frames.type(mfn) & PGT_PINNED) !== 0;
  const tables = [...pages].filter(([, { type }]) => tableLevel(type) > 0).sort(([, a], [, b]) => tableLevel(b.type) - tableLevel(a.type));
  for (const [pfn, { type }] of tables) {
    const mfn = p2m.get(pfn)!;
    if (type < XEN_DOMCTL_PFINFO_LPINTAB || isPinned(mfn)) continue;
    const rc = operation(MMUEXT_PIN_L1_TABLE + tableLevel(type) - 1, mfn);
    if (rc !== 0) refuse(`page ${pfn}`, `a table of level ${tableLevel(type)} that can be validated`, String(rc));
  }
  for (const [pfn, { type }] of tables) if (type < XEN_DOMCTL_PFINFO_LPINTAB && isPinned(p2m.get(pfn)!)) operation(MMUEXT_UNPIN_TABLE, p2m.get(pfn)!);
}
