/** The references of a walk through a second stage, read back from the list that it left. */
import { NEST_EPT, NEST_FORMAT, NEST_REF_COUNT, NEST_REFS, REF_BYTES, REF_GUEST, REF_HOST, REF_PA_HI, REF_PA_LO, REF_VALUE_HI, REF_VALUE_LO } from '../layout/nested.ts';
import { VCPU_NEST } from '../layout/vcpu.ts';
import { joinWords } from './address.ts';
import type { Reference } from './explain.ts';

/** A row of the list. `guest`: level of the guest entry, 0 = the page; `host`: level of the second-stage entry, 0 = the guest's own. */
export interface Row {
  readonly guest: number;
  readonly host: number;
  readonly paHi: number;
  readonly paLo: number;
  readonly value: bigint;
}

/** @param v - word index of the vCPU block */
export function readReferences(w: Int32Array, v: number): Row[] {
  const n = w[v + (VCPU_NEST >>> 2)] >>> 2, first = w[n + (NEST_REFS >>> 2)] >>> 2;
  return Array.from({ length: w[n + (NEST_REF_COUNT >>> 2)] }, (_, k) => {
    const row = first + k * (REF_BYTES >>> 2), at = (field: number) => w[row + (field >>> 2)];
    return { guest: at(REF_GUEST), host: at(REF_HOST), paHi: at(REF_PA_HI), paLo: at(REF_PA_LO), value: joinWords(at(REF_VALUE_HI), at(REF_VALUE_LO)) };
  });
}

/** A full walk reads each entry once, so its two levels name it. */
export const keyOf = (row: Row): number => row.guest * 8 + row.host;

/** @param names - of the guest's entries, by level - 1 */
export function nestedReference(w: Int32Array, v: number, row: Row, names: readonly string[], needed: boolean, where: string): Reference {
  const { guest, host, paHi, paLo, value } = row, seen = { needed, where, paddr: joinWords(paHi, paLo), value };
  if (host === 0) return { level: guest, stage: 'guest', name: names[guest - 1], ...seen };
  const format = w[(w[v + (VCPU_NEST >>> 2)] >>> 2) + (NEST_FORMAT >>> 2)] === NEST_EPT ? 'EPT' : 'NPT';
  return { level: host, stage: 'host', towards: guest, name: `${format} ${HOST_NAMES[host - 1]}`, ...seen };
}

const HOST_NAMES = ['PTE', 'PDE', 'PDPTE', 'PML4E', 'PML5E'];
