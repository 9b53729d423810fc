/**
 * Accesses of any length: each page they touch is checked before the first is used, so that an access that faults anywhere has done nothing.
 *
 * Source: Intel SDM vol. 3A, "Page-Fault Exceptions" (CR2 is the address of the part that faults); vol. 1, "Canonical Addressing".
 */
import { FAULT_NONE } from '../arch/fault.ts';
import { MODE_4LEVEL, VCPU_MODE, VCPU_OUT_CYCLES, VCPU_OUT_HI, VCPU_OUT_LO, VCPU_TIMED } from '../layout/vcpu.ts';
import { charge } from '../cost/charge.ts';
import type { Views } from '../memory/views.ts';
import { canonical } from '../mmu/invalidate.ts';
import { peek } from '../mmu/peek.ts';
import { translate } from '../mmu/translate.ts';

/** Translate and price one access inside a 4K page. @returns FAULT_NONE or a fault */
export function access(s: Views, v: number, vaHi: number, vaLo: number, kind: number): number {
  const fault = translate(s, v, vaHi, vaLo, kind);
  if (s.w[v + (VCPU_TIMED >>> 2)]) charge(s, v, fault !== FAULT_NONE);
  return fault;
}

/** Pieces of an access, one for each page: physical address and bytes. */
export interface Span {
  fault: number;
  cycles: number;
  readonly pieces: { readonly pa: number; readonly bytes: number }[];
}

interface Door {
  access(vaHi: number, vaLo: number, kind: number): number;
}

/** What of an access is in one 4K page. */
interface Part {
  readonly hi: number;
  readonly lo: number;
  readonly bytes: number;
}

/** The part whose fault the access takes: one that is not canonical comes before any #PF. */
function firstBad(s: Views, v: number, parts: readonly Part[], kind: number): [Part] | undefined {
  if (parts.length < 2) return undefined;
  const bad = parts.find(p => !canonical(s.w, v, p.hi)) ?? parts.find(p => peek(s, v, p.hi, p.lo, kind, 'cached') !== FAULT_NONE);
  return bad && [bad];
}

/**
 * Translate every page of an access of `bytes` bytes.
 *
 * @param door - makes the accesses: the vCPU, by its engine
 *
 * All pages are peeked at first; the first that would fault is then really translated, for its fault and its CR2, and nothing else is.
 * A and D are set only if every page permits the access.
 */
export function accessSpan(s: Views, v: number, door: Door, va: bigint, bytes: number, kind: number): Span {
  const width = s.w[v + (VCPU_MODE >>> 2)] >= MODE_4LEVEL ? 64 : 32;
  const span: Span = { fault: FAULT_NONE, cycles: 0, pieces: [] };
  const parts: Part[] = [];
  for (let done = 0; done < bytes;) {
    const at = BigInt.asUintN(width, va + BigInt(done));
    const n = Math.min(bytes - done, 4096 - Number(at & 0xfffn));
    parts.push({ hi: Number(at >> 32n) | 0, lo: Number(at & 0xffffffffn) | 0, bytes: n });
    done += n;
  }
  for (const p of firstBad(s, v, parts, kind) ?? parts) {
    span.fault = door.access(p.hi, p.lo, kind);
    span.cycles += s.w[v + (VCPU_OUT_CYCLES >>> 2)];
    if (span.fault !== FAULT_NONE) {
      span.pieces.length = 0;
      return span;
    }
    span.pieces.push({ pa: s.w[v + (VCPU_OUT_HI >>> 2)] * 2 ** 32 + (s.w[v + (VCPU_OUT_LO >>> 2)] >>> 0), bytes: p.bytes });
  }
  return span;
}
