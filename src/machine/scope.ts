/** What an invalidation is to remove, and removing it from one vCPU. */
import type { Accelerator } from '../accel/engine.ts';
import { ConfigError } from '../errors.ts';
import { HDR_FLUSH_CLOCK } from '../layout/header.ts';
import {
  MAIL_FLUSHED, SCOPE_ASID, SCOPE_EVERYTHING, SCOPE_NON_GLOBAL, SCOPE_PAGES, SCOPE_PCID, SCOPE_PCID_PAGES, SCOPE_VPID, SCOPE_VPID_PAGES,
} from '../layout/mailbox.ts';
import { TAG_PCID_SHIFT } from '../layout/tlb.ts';
import { VCPU_MAIL, VCPU_NEST } from '../layout/vcpu.ts';
import type { Views } from '../memory/views.ts';
import { dropEverything, dropNonGlobal, dropPcid, dropPcidPage, invlpg } from '../mmu/invalidate.ts';
import { contextOf } from '../mmu/mode.ts';
import { flushAsid, INVVPID_ADDRESS, INVVPID_SINGLE, invvpid, TLB_FLUSH_GUEST } from '../virt/invalidate.ts';
import { check64, hiWord, loWord } from './address.ts';

/** An invalidation: `kind` is SCOPE_*, `id` a PCID, VPID or ASID. */
export interface Scope {
  kind: number;
  id: number;
  hi: number;
  lo: number;
  pages: number;
}

export const EVERYTHING: Readonly<Scope> = { kind: SCOPE_EVERYTHING, id: 0, hi: 0, lo: 0, pages: 0 };

/** Pages beyond which everything is invalidated instead: so many INVLPGs cost more (Linux: tlb_single_page_flush_ceiling). */
export const PAGES_MOST = 33;

/** What `Machine.invalidate()` takes: nothing of it is everything. At most one of `pcid`, `vpid`, `asid`. */
export interface ScopeOptions {
  /** First linear address of a range. */
  readonly va?: bigint;
  /** 4K pages of it. Default 1. */
  readonly pages?: number;
  readonly pcid?: number;
  readonly vpid?: number;
  readonly asid?: number;
  /** Are global translations removed too? Default true; those of one PCID never are. */
  readonly global?: boolean;
}

const FIELDS = ['va', 'pages', 'pcid', 'vpid', 'asid', 'global'];

/** @throws ConfigError - an option */
export function scopeOf(options: ScopeOptions): Scope {
  if (typeof options !== 'object' || options === null) throw new ConfigError('scope', 'an object', options);
  for (const key of Object.keys(options)) if (!FIELDS.includes(key)) throw new ConfigError(key, `one of ${FIELDS.join(', ')}`, key);
  const { va, pages = 1, pcid, vpid, asid, global = true } = options;
  if (typeof global !== 'boolean') throw new ConfigError('global', 'true or false', global);
  const named = Object.entries({ pcid: [pcid, 4095], vpid: [vpid, 65535], asid: [asid, 65535] } as const).filter(([, [id]]) => id !== undefined);
  for (const [field, [id, most]] of named) if (!Number.isInteger(id) || id! < 0 || id! > most) throw new ConfigError(field, `an integer from 0 to ${most}`, id);
  if (named.length > 1) throw new ConfigError(named[1][0], `no ${named[1][0]} beside ${named[0][0]}`, named[1][1][0]);
  if (!Number.isInteger(pages) || pages < 1) throw new ConfigError('pages', 'an integer from 1', pages);
  if (asid !== undefined && va !== undefined) throw new ConfigError('va', 'no address beside asid', va);
  const range = va !== undefined && pages <= PAGES_MOST, at = range ? check64(va, 'va') : 0n, id = pcid ?? vpid ?? asid ?? 0;
  const kind = vpid !== undefined ? range ? SCOPE_VPID_PAGES : SCOPE_VPID
    : asid !== undefined ? SCOPE_ASID
      : pcid !== undefined ? range ? SCOPE_PCID_PAGES : SCOPE_PCID
        : range ? SCOPE_PAGES : global ? SCOPE_EVERYTHING : SCOPE_NON_GLOBAL;
  return { kind, id, hi: hiWord(at), lo: loWord(at), pages: range ? pages : 0 };
}

/** Does a scope concern a second stage that the vCPU cannot have? */
const needsNest = (kind: number): boolean => kind >= SCOPE_VPID;

/** Remove from one vCPU what a scope says. @param v - word index of its block */
export function apply(s: Views, v: number, wasm: Accelerator | undefined, scope: Readonly<Scope>): void {
  const { w } = s, { kind, id } = scope;
  if (needsNest(kind) && w[v + (VCPU_NEST >>> 2)] === 0) return;
  switch (kind) {
    case SCOPE_EVERYTHING:
      if (wasm) wasm.dropEverything(v * 4);
      else dropEverything(w, v);
      if (s.atomic) w[v + ((VCPU_MAIL + MAIL_FLUSHED) >>> 2)] = tick(s);
      return;
    case SCOPE_NON_GLOBAL: return dropNonGlobal(w, v);
    case SCOPE_PCID: return dropPcid(w, v, id);
    case SCOPE_VPID: invvpid(w, v, INVVPID_SINGLE, id, 0, 0); return;
    case SCOPE_ASID: flushAsid(w, v, TLB_FLUSH_GUEST, id); return;
    default:
  }
  for (let k = 0, hi = scope.hi, lo = scope.lo; k < scope.pages; k++) {
    if (kind === SCOPE_PAGES) invlpg(w, v, hi, lo);
    else if (kind === SCOPE_PCID_PAGES) dropPcidPage(w, v, contextOf(w, v) | id << TAG_PCID_SHIFT, hi, lo);
    else invvpid(w, v, INVVPID_ADDRESS, id, hi, lo);
    lo = (lo + 0x1000) | 0;
    if (lo >>> 0 < 0x1000) hi = (hi + 1) | 0;
  }
}

/**
 * The clock of invalidations goes on. At its end it stays at 0, and nothing is filtered any more.
 *
 * Source: facts of Xen 4.17, pre_flush(), post_flush(), tlbflush_clock (xen/arch/x86/flushtlb.c).
 */
function tick(s: Views): number {
  const at = HDR_FLUSH_CLOCK >>> 2;
  for (let now = Atomics.load(s.w, at); ;) {
    if (now === 0) return 0;
    const found = Atomics.compareExchange(s.w, at, now, (now + 1) | 0);
    if (found === now) return (now + 1) | 0;
    now = found;
  }
}

/**
 * May a vCPU have cached since `stamp` what it could use then? Source: facts of Xen 4.17, NEED_FLUSH() (xen/arch/x86/include/asm/flushtlb.h).
 *
 * @param stamp - tick at which it could be used last
 */
export function mayHold(s: Views, v: number, stamp: number): boolean {
  const now = Atomics.load(s.w, HDR_FLUSH_CLOCK >>> 2), flushed = s.w[v + ((VCPU_MAIL + MAIL_FLUSHED) >>> 2)];
  return now === 0 || flushed >>> 0 <= stamp >>> 0;
}
