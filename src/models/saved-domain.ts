/** A saved domain, read back and checked: what can be known to be wrong before a domain is made of it. */
import { InputError } from '../errors.ts';
import { GUEST_LDT_BASE_LO, GUEST_LDT_ENTRIES } from '../layout/guest-vcpu.ts';
import { bytesWords, readImage, type ImageRecord } from '../memory/image.ts';
import { MOST_VCPUS } from '../xen/domain.ts';
import { XEN_DOMCTL_PFINFO_LPINTAB, XEN_DOMCTL_PFINFO_LTAB_SHIFT } from '../xen/numbers.ts';
import { localise } from './canonical.ts';
import {
  COPIED, DOMAIN, DOMAIN_FORM, DOMAIN_WORDS, GDT_FRAMES, PAGE, PAGE_RECORD_BYTES, SEGMENT_WORDS, TRAP_WORDS, TRAPS, VCPU, VCPU_COPIED, VCPU_GDT, VCPU_GDT_ENTRIES, VCPU_KERNEL,
  VCPU_ROOT, VCPU_SEGMENTS, VCPU_USER_ROOT, VCPU_WORDS, type DomainWords,
} from './domain-form.ts';
import { NO_FRAME } from './translation.ts';

/** A page: its type and its 1024 words, in canonical form. */
export interface SavedPage {
  readonly type: number;
  readonly words: Int32Array;
}

export interface SavedDomain {
  readonly words: DomainWords;
  readonly vcpus: readonly { readonly words: Int32Array; readonly traps: Int32Array }[];
  /** By pseudo-physical frame, in order. */
  readonly pages: ReadonlyMap<number, SavedPage>;
}

const SIZES: Readonly<Record<number, number>> = { [DOMAIN]: DOMAIN_WORDS.length * 4, [VCPU]: VCPU_WORDS * 4, [TRAPS]: TRAP_WORDS * 4, [PAGE]: PAGE_RECORD_BYTES };
const LEVELS = 7;
const DESCRIPTORS = 512; // in a frame
const LDT_MOST = 8192;

/** Level of a type as a page table, 0: it is none. @param type - XEN_DOMCTL_PFINFO_* */
export const tableLevel = (type: number): number => (type >>> XEN_DOMCTL_PFINFO_LTAB_SHIFT) & LEVELS;

/** @throws InputError - naming byte and field */
export function readDomain(image: Uint8Array, file: string): SavedDomain {
  const records = readImage(DOMAIN_FORM, image, file);
  const refuse = ({ at = 0, kind, number }: ImageRecord, offset: number, expected: string, got: string | number): never => {
    throw new InputError(file, `byte ${at + offset} (${DOMAIN_FORM.kinds[kind]} ${number})`, expected, String(got));
  };
  for (const record of records) if (record.payload.length !== SIZES[record.kind]) refuse(record, 0, `${SIZES[record.kind]} bytes`, record.payload.length);
  const first = records[0], of = (kind: number) => records.filter(record => record.kind === kind);
  if (first?.kind !== DOMAIN || of(DOMAIN).length !== 1) throw new InputError(file, 'byte 16 (record 0)', 'the one record of the domain');
  const values = bytesWords(first.payload), words = Object.fromEntries(DOMAIN_WORDS.map((name, k) => [name, values[k] >>> 0])) as DomainWords;
  for (const name of ['is32', 'privileged', 'm2pStrict'] as const) if (words[name] > 1) refuse(first, DOMAIN_WORDS.indexOf(name) * 4, `${name}: 0 or 1`, words[name]);
  if (words.maxVcpus > MOST_VCPUS) refuse(first, DOMAIN_WORDS.indexOf('maxVcpus') * 4, `maxVcpus: at most ${MOST_VCPUS}`, words.maxVcpus);
  if (words.vcpus > words.maxVcpus) refuse(first, DOMAIN_WORDS.indexOf('vcpus') * 4, `vcpus: at most ${words.maxVcpus}`, words.vcpus);
  const pages = readPages(of(PAGE), words, refuse);
  if (pages.size !== words.pages) refuse(first, DOMAIN_WORDS.indexOf('pages') * 4, `pages: ${pages.size}, as there are`, words.pages);
  const registers = of(VCPU), traps = of(TRAPS);
  for (const list of [registers, traps]) {
    list.forEach((record, k) => { if (record.number !== k) refuse(record, 0, `number ${k}`, record.number); });
    if (list.length !== words.vcpus) refuse(first, DOMAIN_WORDS.indexOf('vcpus') * 4, `vcpus: ${list.length}, as there are`, words.vcpus);
  }
  const vcpus = registers.map((record, k) => ({ words: readVcpu(record, pages, refuse), traps: bytesWords(traps[k].payload) }));
  return { words, vcpus, pages };
}

type Refuse = (record: ImageRecord, offset: number, expected: string, got: string | number) => never;

function readPages(records: readonly ImageRecord[], { is32 }: DomainWords, refuse: Refuse): Map<number, SavedPage> {
  const pages = new Map<number, SavedPage>(), identity = new Map<number, number>(), highest = is32 ? 3 : 4;
  let last = -1;
  for (const record of records) {
    if (record.number <= last || record.number > 0x7fffffff) refuse(record, 0, 'a pseudo-physical frame after the one before', record.number);
    last = record.number;
    const all = bytesWords(record.payload), type = all[0] >>> 0, level = tableLevel(type);
    if (level > highest || type !== (level << XEN_DOMCTL_PFINFO_LTAB_SHIFT) + (type >= XEN_DOMCTL_PFINFO_LPINTAB ? XEN_DOMCTL_PFINFO_LPINTAB : 0)) refuse(record, 0, 'a type of frame', `0x${type.toString(16)}`);
    pages.set(record.number, { type, words: all.subarray(1) });
    identity.set(record.number, record.number);
  }
  for (const record of records) {
    const { type, words } = pages.get(record.number)!, level = tableLevel(type);
    const bad = level === 0 ? -1 : localise(words.slice(), is32 !== 0, level, identity);
    if (bad >= 0) refuse(record, 4 + bad * 8, `entry ${bad}: a frame of the domain`, `0x${(words[bad * 2] >>> 0).toString(16)}`);
  }
  return pages;
}

/** What arch_set_info_guest() refuses (xen/arch/x86/domain.c), too. */
function readVcpu(record: ImageRecord, pages: ReadonlyMap<number, SavedPage>, refuse: Refuse): Int32Array {
  const words = bytesWords(record.payload), fields = [VCPU_ROOT, VCPU_USER_ROOT, ...Array.from({ length: GDT_FRAMES }, (_, k) => VCPU_GDT + k)];
  for (const field of fields) {
    if (!pages.has(words[field]) && (words[field] !== NO_FRAME || field === VCPU_ROOT)) refuse(record, field * 4, 'a frame of the domain', words[field]);
  }
  const frames = words.subarray(VCPU_GDT).filter(pfn => pfn !== NO_FRAME).length, ldt = (offset: number) => VCPU_COPIED + COPIED.findIndex(copied => copied === offset);
  const check = (field: number, most: number, what: string) => { if (words[field] >>> 0 > most) refuse(record, field * 4, `${what}: at most ${most}`, words[field] >>> 0); };
  check(VCPU_KERNEL, 1, 'kernel mode');
  check(VCPU_GDT_ENTRIES, frames * DESCRIPTORS, 'entries of the GDT');
  check(ldt(GUEST_LDT_ENTRIES), LDT_MOST, 'entries of the LDT');
  if ((words[ldt(GUEST_LDT_BASE_LO)] & 0xfff) !== 0) refuse(record, ldt(GUEST_LDT_BASE_LO) * 4, 'base of the LDT: a page', words[ldt(GUEST_LDT_BASE_LO)]);
  for (let field = VCPU_SEGMENTS + 1; field < VCPU_SEGMENTS + SEGMENT_WORDS; field += 2) {
    if ((words[field] << 16) >> 16 !== words[field]) refuse(record, field * 4, 'a segment base: a canonical address', `0x${(words[field] >>> 0).toString(16)}`);
  }
  return words;
}
