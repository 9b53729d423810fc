/** Rules of translation and invalidation, in both engines. */
import { mutantsOf, type Mutant } from './mutant.ts';

const WALK = ['walk', 'tlb', 'engines'], CACHED = ['tlb', 'stale', 'engines'];

export const PROCESSOR: readonly Mutant[] = [
  ...mutantsOf('src/mmu/walk.ts', WALK, [
    ['P of an entry is checked', 'if (!(lo & PTE_P)) return pageFault(w, v, access, 0);', ''],
    ['reserved high bits of an entry fault', 'if (hi & w[v + (VCPU_RSVD_HI >>> 2)] ||', 'if ('],
    ['PS is reserved above level 3', 'if (level > 3) return lo & w[v + (VCPU_RSVD_LO >>> 2)];', 'if (level > 3) return 0;'],
    ['address bits below a 1-GByte page are reserved', '? lo & 0x3fffe000 : PTE_PS', '? 0 : PTE_PS'],
    ['address bits below a 2-MByte page are reserved', 'return lo & 0x001fe000;', 'return lo & 0x001fc000;'],
    ['XD of every level counts', 'const acc = (above & lo & RIGHTS_ALL) | ((above | (hi >>> 31)) & 1);', 'const acc = (above & lo & RIGHTS_ALL) | ((hi >>> 31) & 1);'],
    ['R/W and U/S of every level count', 'const acc = (above & lo & RIGHTS_ALL)', 'const acc = (lo & RIGHTS_ALL)'],
    ['CR4.PSE decides on 4-MByte pages', 'if (legacy) return (w[v + (VCPU_CTL >>> 2)] & CTL_PSE) !== 0;', 'if (legacy) return true;'],
    ['protection keys are those of the leaf', 'data |= ((hi >>> PTE_HI_PKEY_SHIFT) & 15) << TLBD_PKEY_SHIFT', 'data |= ((hi >>> PTE_HI_PKEY_SHIFT) & 7) << TLBD_PKEY_SHIFT'],
    ['a shadow-stack page is below writable entries', 'if ((lo & (PTE_RW | PTE_D)) === PTE_D && above & TLBD_RW) data', 'if ((lo & (PTE_RW | PTE_D)) === PTE_D) data'],
    ['G counts only with CR4.PGE', 'lo & PTE_G && w[v + (VCPU_CTL >>> 2)] & CTL_PGE ? TAG_GLOBAL : 0', 'lo & PTE_G ? TAG_GLOBAL : 0'],
    ['D is set by writes only', 'const bits = level === leaf && access & ACCESS_WRITE ? a | d : a;', 'const bits = level === leaf ? a | d : a;'],
    ['A is set in every entry of a walk', 'for (let level = w[v + (VCPU_OUT_START >>> 2)]; level >= leaf; level--) {\n    const t = v + level - 1;\n    const bits', 'for (let level = leaf; level >= leaf; level--) {\n    const t = v + level - 1;\n    const bits'],
    ['a PDPTE register that is not present faults', 'return (w[register] & PTE_P) !== 0;', 'return true;'],
    ['I/D is told only where fetches are', 'access & ACCESS_FETCH && !(w[v + (VCPU_CTL >>> 2)] & CTL_FETCH_CODE) ? PFEC_I : 0', 'access & ACCESS_FETCH && false ? PFEC_I : 0'],
    ['a reserved bit is told in the error code', 'return pageFault(w, v, access, PFEC_P | PFEC_RSVD);', 'return pageFault(w, v, access, PFEC_P);'],
  ]),
  ...mutantsOf('src/mmu/rights.ts', WALK, [
    ['a user access needs U/S', 'let need = access & ACCESS_USER ? TLBD_US : 0;', 'let need = 0;'],
    ['CR0.WP makes the kernel heed R/W', "if (access & ACCESS_USER || w[v + (VCPU_CR0 >>> 2)] & CR0_WP) need |= TLBD_RW;", 'if (access & ACCESS_USER) need |= TLBD_RW;'],
    ['SMEP forbids the kernel to fetch user pages', 'return xd | (cr4 & CR4_SMEP ? noUserPage : 0);', 'return xd;'],
    ['EFLAGS.AC does not open SMAP to implicit accesses', 'const open = w[v + (VCPU_AC >>> 2)] && !(access & ACCESS_IMPLICIT);', 'const open = w[v + (VCPU_AC >>> 2)];'],
    ['SMAP', 'return cr4 & CR4_SMAP && !open ? noUserPage : 0;', 'return 0;'],
    ['WD of a key counts for the kernel with CR0.WP only', "(always || w[v + (VCPU_CR0 >>> 2)] & CR0_WP)", 'always'],
    ['keys are no matter of fetches', 'if (!on || access & ACCESS_FETCH) return 0;', 'if (!on) return 0;'],
    ['a change of rights forgets what was memorized', 'w[unplain] & ~UNPLAIN_KEYS : w[unplain] | UNPLAIN_KEYS;\n  memoDrop(w, v);', 'w[unplain] & ~UNPLAIN_KEYS : w[unplain] | UNPLAIN_KEYS;'],
  ]),
  ...mutantsOf('src/mmu/invalidate.ts', CACHED, [
    ['INVLPG removes what paging-structure caches have of the PCID', 'dropPage(w, v, vaHi, vaLo, pcid, true);\n  pscDropPcid(w, v, pcid);', 'dropPage(w, v, vaHi, vaLo, pcid, true);'],
    ['INVLPG removes global translations', 'dropPage(w, v, vaHi, vaLo, pcid, true);', 'dropPage(w, v, vaHi, vaLo, pcid, false);'],
    ['INVLPG removes the page from the fast table', 'pscDropPcid(w, v, pcid);\n  fastDropPage(w, v, vaHi, vaLo);', 'pscDropPcid(w, v, pcid);'],
    ['a fault removes what is cached for its address', 'dropPage(w, v, vaHi, vaLo, w[v + (VCPU_TAG_PCID >>> 2)], true);\n  pscDropAddress', 'pscDropAddress'],
    ['INVPCID of an address spares global translations', 'dropPage(w, v, vaHi, vaLo, tagPcid, false);', 'dropPage(w, v, vaHi, vaLo, tagPcid, true);'],
    ['fragments of a large page go with it', 'if (w[a + (ARR_FRAGMENTS >>> 2)]) dropFragments', 'if (false) dropFragments'],
    ['INVPCID with PCIDs off takes PCID 0 only', "if (named && pcid !== 0 && !(w[v + (VCPU_CR4 >>> 2)] & CR4_PCIDE)) return FAULT_GP;", ''],
    ['a flush of all but global translations empties paging-structure caches', '(hi & (TAG_CONTEXT | TAG_GLOBAL)) === context);\n  pscDropWhere(w, v, TAG_CONTEXT, context);', '(hi & (TAG_CONTEXT | TAG_GLOBAL)) === context);'],
  ]),
  ...mutantsOf('src/mmu/control.ts', CACHED, [
    ['a change of CR4.PGE flushes', 'if (changes & CR4_PGE || old & ~lo & CR4_PCIDE) dropEverything(w, v);', 'if (old & ~lo & CR4_PCIDE) dropEverything(w, v);'],
    ['CR4.PCIDE is set only with PCID 0', "(!(efer & EFER_LMA) || w[v + (VCPU_CR3_LO >>> 2)] & CR3_LO_PCID)) return FAULT_GP;", '!(efer & EFER_LMA)) return FAULT_GP;'],
    ['bit 63 of CR3 counts only with PCIDs', 'const keep = cr4 & CR4_PCIDE ? hi & CR3_HI_NOFLUSH : 0;', 'const keep = hi & CR3_HI_NOFLUSH;'],
    ['MOV to CR3 flushes the PCID that is loaded', 'else dropPcid(w, v, cr4 & CR4_PCIDE ? lo & CR3_LO_PCID : 0);', 'else dropPcid(w, v, 0);'],
    ['MOV to CR3 that keeps translations empties the fast table', 'if (keep) fastDropAll(w, v); // its rows have no PCID\n', 'if (keep) {}\n'],
    ['CR3 has no bits beyond the physical address', 'if (newHi & beyondAddress(w, v)) return FAULT_GP;', ''],
    ['setting SMEP flushes', 'else if (changes & CR4_PAE || lo & ~old & CR4_SMEP) dropPcidAndGlobal', 'else if (changes & CR4_PAE) dropPcidAndGlobal'],
    ['paging goes off only without PCIDs', 'if (turnsOff && (cr4 & CR4_PCIDE ||', 'if (turnsOff && ('],
    ['a PDPTE with reserved bits is a #GP', 'if (lo & PTE_P && (lo & PDPTE_LO_RESERVED || hi & reservedHi)) return FAULT_GP;', ''],
  ]),
  ...mutantsOf('src/mmu/psc.ts', CACHED, [
    ['a walk that starts further down has the rights of what it skips', 'from.acc = w[d] & 0xfff;', 'from.acc = 6;'],
    ['paging-structure caches are filled by the entries above the leaf only', 'level > leaf; level--) {\n    const a', 'level >= Math.max(2, leaf); level--) {\n    const a'],
    ['a fault removes what paging-structure caches have for its address', 'if (i >= 0) drop(w, a, i);\n  }\n}', 'if (i >= 0 && level > 2) drop(w, a, i);\n  }\n}'],
    ['entries of paging-structure caches are of one PCID', "pscDropWhere(w, v, TAG_PCID | TAG_CONTEXT, tagPcid);", 'pscDropWhere(w, v, TAG_CONTEXT, tagPcid & TAG_CONTEXT);'],
  ]),
  ...mutantsOf('src/mmu/tlb.ts', CACHED, [
    ['an entry whose rights do not suffice is no hit in the first level', 'if (refused(w, v, data, access) !== 0) {\n      behind = true;\n      continue;\n    }', ''],
    ['what was found behind another entry is not memorized', 'if (behind) memoClear(w, v, slot);\n    else memoPut', 'memoPut'],
    ['a hit in a later level fills those before', 'for (let l = 1; l < level; l++) fillLevel', 'for (let l = 2; l < level; l++) fillLevel'],
    ['a global entry replaces those of other PCIDs', '(w[tags + i * 2 + 1] & ~TAG_PCID | TAG_GLOBAL) !== global) continue;', '(w[tags + i * 2 + 1] | TAG_GLOBAL) !== global) continue;'],
    ['fragments are noted', '& 7) || dataHi & TLBD_HI_4M) w[a + (ARR_FRAGMENTS >>> 2)] = 1;', '& 7)) w[a + (ARR_FRAGMENTS >>> 2)] = 1;'],
  ]),
  ...mutantsOf('src/mmu/translate.ts', CACHED, [
    ['who may write may read, and no more', 'if (access & ACCESS_WRITE) fastFill(w, v, table - FAST_WRITE + FAST_READ, vaHi, vaLo);', 'fastFill(w, v, table - FAST_WRITE + FAST_READ, vaHi, vaLo);'],
    ['a #PF leaves its address in CR2', 'w[v + (VCPU_CR2_HI >>> 2)] = vaHi;', ''],
    ['a stack access that is not canonical is a #SS', 'return access & ACCESS_STACK ? FAULT_SS : FAULT_GP;', 'return FAULT_GP;'],
  ]),
  ...mutantsOf('src/cache/array.ts', CACHED, [
    ['the stamp of a dropped entry goes', "if (w[a + (ARR_POLICY >>> 2)] === ARRP_LRU) w[(w[a + (ARR_REPL >>> 2)] >>> 2) + i] = 0;", ''],
    ['a dropped entry is no longer counted', 'w[a + (ARR_LIVE >>> 2) + ((old >>> SIZE_SHIFT) & 3)]--;\n  w[t] = w[t + 1] = 0;', 'w[t] = w[t + 1] = 0;'],
    ['the oldest entry is replaced', 'if (stamp < least) { least = stamp; best = i; }', 'if (stamp <= least) { least = stamp; best = i; }'],
    ['when all are referenced, only the last stays so', 'for (let n = 0; n < words; n++) w[bits + n] = 0;', ''],
  ]),
];

const BOTH = ['engines'];

export const WASM: readonly Mutant[] = [
  ...mutantsOf('wasm/walk.ts', BOTH, [
    ['wasm: R/W and U/S of every level count', 'acc = (acc & lo & RIGHTS_ALL) | ((acc | (hi >>> 31)) & 1);', 'acc = (lo & RIGHTS_ALL) | ((acc | (hi >>> 31)) & 1);'],
    ['wasm: D is set by writes only', 'const bits = level == leaf && access & ACCESS_WRITE ? PTE_A | PTE_D : PTE_A;', 'const bits = level == leaf ? PTE_A | PTE_D : PTE_A;'],
    ['wasm: reserved bits of a 4-MByte page', 'const m = load<i32>(v, VCPU_FEATURES) & FEAT_PSE36 ? min(40, load<i32>(v, VCPU_PABITS)) : 32;', 'const m = min(40, load<i32>(v, VCPU_PABITS));'],
    ['wasm: G counts only with CR4.PGE', 'lo & PTE_G && load<i32>(v, VCPU_CTL) & CTL_PGE ? TAG_GLOBAL : 0', 'lo & PTE_G ? TAG_GLOBAL : 0'],
  ]),
  ...mutantsOf('wasm/invalidate.ts', BOTH, [
    ['wasm: INVLPG removes global translations', 'dropPage(v, va, pcid, true);\n  pscDropPcid(v, pcid);', 'dropPage(v, va, pcid, false);\n  pscDropPcid(v, pcid);'],
    ['wasm: a fault removes what paging-structure caches have for its address', 'pscDropAddress(v, va);\n', ''],
    ['wasm: INVPCID with PCIDs off takes PCID 0 only', 'if (named && pcid != 0 && !(load<i32>(v, VCPU_CR4) & CR4_PCIDE)) return FAULT_GP;', ''],
  ]),
  ...mutantsOf('wasm/translate.ts', BOTH, [
    ['wasm: a hit in a later level fills those before', 'for (let l = 1; l < level; l++) fillLevel', 'for (let l = 2; l < level; l++) fillLevel'],
    ['wasm: what was found behind another entry is not memorized', 'if (behindOther(found)) memoClear(v, slot);\n  else memoPut', 'memoPut'],
    ['wasm: a fault is counted', 'count(v, CNT_FAULTS, 1);\n  if (fault >>> 16', 'if (fault >>> 16'],
  ]),
  ...mutantsOf('wasm/tlb.ts', BOTH, [
    ['wasm: a global entry replaces those of other PCIDs', '(row + (k << 3)) & ~PCID) | GLOBAL) != global', '(row + (k << 3))) | GLOBAL) != global'],
  ]),
];
