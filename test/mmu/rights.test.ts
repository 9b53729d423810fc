import { describe, expect, it } from 'vitest';
import {
  ACCESS_FETCH, ACCESS_IMPLICIT, ACCESS_READ, ACCESS_SHADOW_STACK, ACCESS_USER, ACCESS_WRITE, PFEC_PK,
} from '../../src/arch/fault.ts';
import { CR0_WP, CR4_PKE, CR4_PKS, CR4_SMAP, CR4_SMEP, EFER_LMA, EFER_NXE } from '../../src/arch/registers.ts';
import { TLBD_D, TLBD_PKEY_SHIFT, TLBD_RW, TLBD_SSTK, TLBD_US, TLBD_XD } from '../../src/layout/tlb.ts';
import { VCPU_AC, VCPU_BYTES, VCPU_CR0, VCPU_CR4, VCPU_EFER, VCPU_PKRS, VCPU_PKRU } from '../../src/layout/vcpu.ts';
import { recomputeRights, refused } from '../../src/mmu/rights.ts';
import { keyRefuses, permitted, type Case } from './rights-oracle.ts';

const w = new Int32Array(VCPU_BYTES >>> 2);

interface Control { cr0?: number; cr4?: number; efer?: number; pkru?: number; pkrs?: number; ac?: number }

function control(c: Control): void {
  w[VCPU_CR0 >>> 2] = c.cr0 ?? 0;
  w[VCPU_CR4 >>> 2] = c.cr4 ?? 0;
  w[VCPU_EFER >>> 2] = c.efer ?? 0;
  w[VCPU_PKRU >>> 2] = c.pkru ?? 0;
  w[VCPU_PKRS >>> 2] = c.pkrs ?? 0;
  w[VCPU_AC >>> 2] = c.ac ?? 0;
  recomputeRights(w, 0);
}

// One row per sentence of "Determination of Access Rights".
const KR = ACCESS_READ, KW = ACCESS_WRITE, KX = ACCESS_FETCH, KS = ACCESS_SHADOW_STACK;
const UR = ACCESS_USER, UW = ACCESS_USER | ACCESS_WRITE, UX = ACCESS_USER | ACCESS_FETCH, US = ACCESS_USER | ACCESS_SHADOW_STACK;
const W = TLBD_RW, U = TLBD_US, X = TLBD_XD, S = TLBD_SSTK, K1 = 1 << TLBD_PKEY_SHIFT;
const WP = { cr0: CR0_WP }, SMAP = { cr4: CR4_SMAP }, SMEP = { cr4: CR4_SMEP }, NXE = { efer: EFER_NXE };
const PKE = { cr4: CR4_PKE, efer: EFER_LMA }, PKS = { cr4: CR4_PKS, efer: EFER_LMA };

it.each<[number, number, Control, boolean, string]>([
  [KR,       0,      {},                           true,  'supervisor reads a supervisor page'],
  [KR,       U,      SMAP,                         false, 'SMAP stops a supervisor read of a user page'],
  [KR,       U,      { ...SMAP, ac: 1 },           true,  'AC lifts SMAP'],
  [KR | ACCESS_IMPLICIT, U, { ...SMAP, ac: 1 },    false, 'not for implicit accesses'],
  [KW,       0,      WP,                           false, 'WP protects read-only pages from the supervisor'],
  [KW,       0,      {},                           true,  'without WP the supervisor writes anywhere'],
  [KX,       U,      SMEP,                         false, 'SMEP stops a supervisor fetch from a user page'],
  [KX,       U,      { ...SMAP },                  true,  'SMAP does not concern fetches'],
  [KX,       X,      NXE,                          false, 'XD stops a fetch'],
  [KR,       X,      NXE,                          true,  'XD does not stop a read'],
  [KX,       X,      {},                           true,  'XD means nothing while NXE = 0'],
  [UR,       0,      {},                           false, 'user never reads a supervisor page'],
  [UW,       U,      {},                           false, 'user write needs R/W even without WP'],
  [UW,       U | W,  { ...WP, ...SMAP },           true,  'SMAP does not concern user accesses'],
  [UX,       U,      { ...NXE, ...SMEP },          true,  'SMEP does not concern user fetches'],
  [UR,       U,      { ...PKE, pkru: 1 << 0 },     false, 'AD of key 0 stops a user read'],
  [UR,       U | K1, { ...PKE, pkru: 1 << 0 },     true,  'AD of another key does not'],
  [UR,       U | K1, { ...PKE, pkru: 1 << 2 },     false, 'AD of key 1 stops a page with key 1'],
  [UW,   U | W | K1, { ...PKE, pkru: 1 << 3 },     false, 'WD stops a user write without WP'],
  [KW,   U | W | K1, { ...PKE, pkru: 1 << 3 },     true,  'but not a supervisor write'],
  [KW,   U | W | K1, { ...PKE, ...WP, pkru: 8 },   false, 'unless WP = 1'],
  [UX,       U | K1, { ...PKE, pkru: 0xffffffff }, true,  'keys do not concern fetches'],
  [UR,       U | K1, { cr4: CR4_PKE, pkru: -1 },   true,  'nor anything outside long mode'],
  [KR,       K1,     { ...PKE, pkru: -1 },         true,  'PKRU does not concern supervisor pages'],
  [KR,       K1,     { ...PKS, pkrs: 1 << 2 },     false, 'IA32_PKRS does'],
  [UR,       U | K1, { ...PKS, pkrs: -1 },         true,  'IA32_PKRS does not concern user pages'],
  [KW,       W | K1, { ...PKS, pkrs: 1 << 3 },     true,  'WD of IA32_PKRS needs WP'],
  [KW,       W | K1, { ...PKS, ...WP, pkrs: 8 },   false, '... and has it'],
  [KS,       S,      WP,                           true,  'supervisor shadow stack'],
  [KS | KW,  S,      WP,                           true,  'a shadow-stack write needs no R/W'],
  [KS,       W,      WP,                           false, 'a shadow-stack access needs a shadow-stack page, even to read'],
  [KW,       S,      WP,                           false, 'a plain write to a shadow-stack page'],
  [KR,       S,      WP,                           true,  'a plain read of a shadow-stack page'],
  [KS,       S | U,  { ...WP, ac: 1 },             false, 'supervisor shadow-stack access to a user page, SMAP or not'],
  [US,       S,      WP,                           false, 'user shadow-stack access to a supervisor page'],
  [US | UW,  S | U,  WP,                           true,  'user shadow stack'],
  [US,   S | U | K1, { ...PKE, pkru: 1 << 2 },     false, 'keys concern shadow stacks'],
])('access %i, page %i, %j -> %s: %s', (access, page, registers, ok) => {
  control(registers);
  expect(refused(w, 0, page | TLBD_D, access) === 0).toBe(ok);
});

it('sends a write back to the tables while the cached D is 0', () => {
  control({});
  expect(refused(w, 0, TLBD_RW, ACCESS_WRITE)).not.toBe(0);
  expect(refused(w, 0, TLBD_RW | TLBD_D, ACCESS_WRITE)).toBe(0);
  expect(refused(w, 0, TLBD_RW, ACCESS_READ)).toBe(0);
});

it('finds the two bits of each of 16 keys', () => {
  for (let key = 0; key < 16; key++) for (let bit = 0; bit < 32; bit++) {
    control({ ...PKE, cr4: CR4_PKE | CR4_PKS, cr0: CR0_WP, pkru: 1 << bit, pkrs: 1 << bit });
    for (const user of [TLBD_US, 0]) {
      const page = user | TLBD_RW | TLBD_D | (key << TLBD_PKEY_SHIFT);
      const by = user ? ACCESS_USER : 0;
      expect(refused(w, 0, page, by) !== 0).toBe(bit === 2 * key);
      expect(refused(w, 0, page, by | ACCESS_WRITE) !== 0).toBe(bit >>> 1 === key);
    }
  }
});

const WHO = [['user', ACCESS_USER], ['supervisor', 0], ['implicit', ACCESS_IMPLICIT]] as const;
const KINDS = [
  ['read', ACCESS_READ], ['write', ACCESS_WRITE], ['fetch', ACCESS_FETCH], ['shadow read', ACCESS_SHADOW_STACK],
  ['shadow write', ACCESS_SHADOW_STACK | ACCESS_WRITE],
] as const;
const PAGES = [0, TLBD_RW, TLBD_SSTK].flatMap(rw => [0, TLBD_US].flatMap(us => [0, TLBD_XD].map(xd => rw | us | xd)));
const KEY = 5;

it('has no keys outside long mode, whatever the registers say', () => {
  for (let keys = 0; keys < 16; keys++) {
    control({ cr0: CR0_WP, cr4: CR4_PKE | CR4_PKS, pkru: (keys & 3) << (2 * KEY), pkrs: (keys >>> 2) << (2 * KEY) });
    for (const us of [0, TLBD_US]) expect(refused(w, 0, us | TLBD_RW | TLBD_D | (KEY << TLBD_PKEY_SHIFT), (us ? ACCESS_USER : 0) | ACCESS_WRITE)).toBe(0);
  }
});

describe('every combination', () => {
  it('agrees with the oracle on all 368640 cases', { timeout: 30_000 }, () => {
    let cases = 0, refusals = 0;
    const wrong: string[] = [];
    for (let n = 0; n < 1 << 11; n++) {
      const bit = (i: number) => ((n >>> i) & 1) === 1;
      const c = {
        wp: bit(0), smep: bit(1), smap: bit(2), ac: bit(3), nxe: bit(4), pke: bit(5), pks: bit(6),
        pkruAd: bit(7), pkruWd: bit(8), pkrsAd: bit(9), pkrsWd: bit(10),
      };
      control({
        cr0: bit(0) ? CR0_WP : 0, ac: bit(3) ? 1 : 0, efer: (bit(4) ? EFER_NXE : 0) | EFER_LMA,
        cr4: (bit(1) ? CR4_SMEP : 0) | (bit(2) ? CR4_SMAP : 0) | (bit(5) ? CR4_PKE : 0) | (bit(6) ? CR4_PKS : 0),
        pkru: ((n >>> 7) & 3) << (2 * KEY), pkrs: ((n >>> 9) & 3) << (2 * KEY),
      });
      for (const page of PAGES) for (const [by, who] of WHO) for (const [kind, what] of KINDS) {
        const one: Case = { ...c, by, kind, userAddress: (page & U) !== 0, writable: (page & W) !== 0, xd: (page & X) !== 0, shadowStack: (page & S) !== 0 };
        const why = refused(w, 0, page | TLBD_D | (KEY << TLBD_PKEY_SHIFT), who | what);
        cases++;
        if (why !== 0) refusals++;
        if ((why === 0) !== permitted(one) || (why !== 0 && (why & PFEC_PK) !== 0) !== (!permitted(one) && keyRefuses(one))) wrong.push(JSON.stringify(one));
      }
    }
    expect(wrong.slice(0, 5)).toEqual([]);
    expect(cases).toBe(368640);
    expect(refusals).toBeGreaterThan(150_000);
    expect(refusals).toBeLessThan(300_000);
  });
});
