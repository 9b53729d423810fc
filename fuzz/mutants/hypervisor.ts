/** Rules of page types, counts, grants, events and memory. */
import { mutantsOf, type Mutant } from './mutant.ts';

const TABLES = ['mmu-update', 'mmuext', 'domains'], GRANTS = ['grants', 'domains'], EVENTS = ['events', 'domains'], MEMORY = ['memory-op', 'domains'];

const PAGE_TYPES: readonly Mutant[] = [
  ...mutantsOf('src/xen/page-type.ts', TABLES, [
    ['a frame in use as one type is not given another', "} else if ((old & (PGT_TYPE_MASK | PGT_PAE_XEN_L2)) !== type) {\n      return -XEN_EINVAL;\n    } else", '} else'],
    ['a type count does not overflow', 'if ((now & PGT_COUNT) === 0) return -XEN_EINVAL;', ''],
    ['a change of type flushes', 'if (changed) h.flushStale(frames.owner(mfn), frames.stampOf(mfn), RETYPED);', 'if (changed) {}'],
    ['PGT_PARTIAL holds a reference', 'frames.getAgain(mfn);\n    frames.setType(mfn, frames.type(mfn) | PGT_PARTIAL);\n  } else {\n    frames.setType(mfn, 0);', 'frames.setType(mfn, frames.type(mfn) | PGT_PARTIAL);\n  } else {\n    frames.setType(mfn, 0);'],
    ['who finishes a partial table puts its reference', 'if ((old & PGT_PARTIAL) !== 0) frames.putPage(mfn);\n  return rc;\n}\n\nfunction validate', 'return rc;\n}\n\nfunction validate'],
    ['the linear count goes with a linear entry', 'if (isLinear(h, old, parent)) putLinear(h, mfn, parent);', ''],
    ['the last type reference undoes the validation', "if ((old & PGT_COUNT) === 1 && levelOf(old) <= HIGHEST_TABLE", 'if ((old & PGT_COUNT) === 0 && levelOf(old) <= HIGHEST_TABLE'],
    ['a deferred reference is put with its general one', 'h.frames.putPage(mfn);\n  deferPut(h, NO_FRAME', 'deferPut(h, NO_FRAME'],
  ]),
  ...mutantsOf('src/xen/l1-entry.ts', TABLES, [
    ['flags that no entry may have', "if (disallowed(tableOwner, 1, lo, hi)) return -XEN_EINVAL;", ''],
    ['a writable entry takes a type reference', 'if (writable && getPageType(h, mfn, PGT_WRITABLE) !== 0) return refused(h, mfn);', ''],
    ['a frame that is refused has its reference put', 'h.frames.putPage(mfn);\n  return -XEN_EBUSY;', 'return -XEN_EBUSY;'],
    ['only frames of its owner are mapped', 'if (owner !== frameOwner.id && (frameOwner === tableOwner || !frameOwner.privileged)) return refused(h, mfn);', ''],
    ['a writable entry puts its type reference', 'if ((lo & PTE_RW) !== 0) putPageType(h, mfn);\n  h.frames.putPage(mfn);\n}', 'h.frames.putPage(mfn);\n}'],
    ["pages of the hypervisor's are not mapped uncached", "if ((lo & CACHE_ATTRS) !== 0 && h.frames.isXenHeap(mfn)) {", 'if (false) {'],
    ['device memory is mapped by permission', 'if (!permitted) return mfn === LARGEST_FRAME ? -XEN_EINVAL : -XEN_EPERM;', ''],
  ]),
  ...mutantsOf('src/xen/table-entry.ts', TABLES, [
    ['a linear entry is read-only', 'if (!h.behaviour.linearPageTables || (lo & PTE_RW) !== 0) return false;', 'if (!h.behaviour.linearPageTables) return false;'],
    ['a table is not at both ends of linear entries', 'if (entries < 0 || entries === LINEAR_MOST || uses > 0 ||', 'if (entries === LINEAR_MOST ||'],
    ['a linear entry takes a type count', 'frames.setType(mfn, type + 1);\n  return true;', 'return true;'],
    ['an entry that fails puts its general reference', 'if (!kept) h.frames.putPage(mfn);', ''],
    ['flags that no table entry may have', "if (disallowed(owner, level, lo, hi)) return -XEN_EINVAL;", ''],
  ]),
  ...mutantsOf('src/xen/mod-entry.ts', TABLES, [
    ['flags are checked when an entry is changed to the same frame', 'if (disallowed(owner, level, lo, hi)) return -XEN_EINVAL;', ''],
    ["the hypervisor's slots are not the guest's", 'if (!guestSlot(owner, level, type, slot)) return level === 2 ? -XEN_EPERM : -XEN_EINVAL;', ''],
    ['the old level-1 entry has its references put', 'store(h, at, newLo ^ flip, newHi, command);\n  }\n  putFromL1(h, oldLo, oldHi);', 'store(h, at, newLo ^ flip, newHi, command);\n  }'],
    ['the old table entry has its references put', 'putFromTable(h, oldLo, oldHi, table, false, true);\n', ''],
    ['PRESERVE_AD keeps A and D', 'lo | (old & AD), hi);', 'lo, hi);'],
    ['the fourth entry of a 32-bit root does not change', 'if (level === 3 && owner.is32 && slot >= LAST_COMPAT_ENTRY) return -XEN_EINVAL;', ''],
  ]),
  ...mutantsOf('src/xen/promote.ts', TABLES, [
    ['a table that fails to be validated has its references put', 'while (i-- > 0) putFromL1(h, w[at + i * 2], w[at + i * 2 + 1]);', ''],
    ['a 32-bit root has its fourth entry', 'if ((lo & PTE_P) === 0 || disallowed(owner, 3, lo, hi)) return -XEN_EINVAL;', 'if (disallowed(owner, 3, lo, hi)) return -XEN_EINVAL;'],
    ["the hypervisor's slots of a root are filled", 'if (level === 4) fillRootSlots(h, owner, mfn, at);', ''],
  ]),
  ...mutantsOf('src/xen/demote.ts', TABLES, [
    ["entries are put without those of the hypervisor's slots", 'const rc = guestSlot(owner, level, type, i) ? putFromTable(h, w[at + i * 2], w[at + i * 2 + 1], mfn, held) : 0;', 'const rc = putFromTable(h, w[at + i * 2], w[at + i * 2 + 1], mfn, held);'],
    ['where a demotion was interrupted is remembered', 'frames.setValidated(mfn, i, true);\n      return rc;', 'return rc;'],
  ]),
  ...mutantsOf('src/xen/mmuext-op.ts', TABLES, [
    ['a frame is pinned once', 'return pinned ? -XEN_EINVAL : 0;', 'return 0;'],
    ['unpinning puts the references', 'const rc = putPageAndType(h, mfn);\n  if (rc !== 0) deferPut', 'const rc = 0 as number;\n  if (rc !== 0) deferPut'],
    ['only what is pinned is unpinned', 'if ((type & PGT_PINNED) === 0) {\n    frames.putPage(mfn);\n    return -XEN_EINVAL;\n  }', ''],
    ['a page is cleared only if it can be writable', 'if (getPageType(h, mfn, PGT_WRITABLE) === 0) return true;\n  h.frames.putPage(mfn);\n  return false;', 'return getPageType(h, mfn, PGT_WRITABLE) === 0 || true;'],
    ['operations on others need control', 'if (!h.mayControl(owner)) return -XEN_EPERM;', ''],
    ['only the caller itself is flushed', 'return owner === h.current.domain ? ownOperation(h, op) : -XEN_EPERM;', 'return ownOperation(h, op);'],
  ]),
  ...mutantsOf('src/xen/mmu-update.ts', TABLES, [
    ['an update needs control of both domains', 'if (!permitted) return -XEN_EPERM;', ''],
    ['a table of another level than the first is changed by its owner', 'if (level > 4 || frameOwner !== tableOwner) return -XEN_EINVAL;', 'if (level > 4) return -XEN_EINVAL;'],
    ['a plain frame is written only if it can be writable', "if (getPageType(h, mfn, PGT_WRITABLE) !== 0) return -XEN_EINVAL;\n  h.counters", 'getPageType(h, mfn, PGT_WRITABLE);\n  h.counters'],
    ['changes of higher levels flush', 'flush ||= level > 1;', ''],
    ['a request puts the reference of its table', 'const rc = change(h, mfn, h.table(mfn) + ((ptrLo & 0xff8) >>> 2), lo, hi, command, tableOwner, frameOwner);\n  h.frames.putPage(mfn);', 'const rc = change(h, mfn, h.table(mfn) + ((ptrLo & 0xff8) >>> 2), lo, hi, command, tableOwner, frameOwner);'],
  ]),
  ...mutantsOf('src/xen/table-write.ts', TABLES, [
    ['only level-1 tables are written by emulation', '(type & PGT_COUNT) !== 0 && levelOf(type) === 1;', '(type & PGT_COUNT) !== 0;'],
    ['an emulated write puts what the old entry held', 'putFromL1(h, oldLo, oldHi);\n  return true;', 'return true;'],
    ['a write is emulated for a read-only page', 'if (pte < 0 || (w[pte] & (PTE_P | PTE_RW)) !== PTE_P ||', 'if (pte < 0 || (w[pte] & PTE_P) !== PTE_P ||'],
  ]),
  ...mutantsOf('src/xen/root.ts', TABLES, [
    ['a new root puts the old one', 'return old === NO_FRAME ? 0 : putRoot(h, old);\n}\n\nfunction newCompatBase', 'return 0;\n}\n\nfunction newCompatBase'],
    ['a new root is walked with nothing cached', 'switchRoot(guest);\n  h.flush(guest, ASKED);', 'switchRoot(guest);'],
  ]),
  ...mutantsOf('src/frames/references.ts', TABLES, [
    ["a run takes references of the owner's frames only", "if ((w[row + (FRAME_OWNER >>> 2)] & 0xffff) !== owner || ((refs - 1) & REFS_BEYOND) !== 0", 'if (((refs - 1) & REFS_BEYOND) !== 0'],
    ['a run does not put the last reference', '((refs - 2) & REFS_BEYOND) !== 0 || (writable && !inUse(type))', '((refs - 1) & REFS_BEYOND) !== 0 || (writable && !inUse(type))'],
    ['a run does not make a page table writable', 'return type === 0 || ((type ^ PGT_WRITABLE) & WRITABLE_MASK) === 0;', 'return type === 0 || (type & PGT_COUNT_MOST) === 0;'],
  ]),
  ...mutantsOf('src/frames/update.ts', TABLES, [
    ['only flags that matter to no one change freely', 'const MATTER_LO = ~(PTE_US | AD | PTE_G | AVAIL);', 'const MATTER_LO = ~(PTE_US | AD | PTE_G | AVAIL | 2);'],
    ['an entry that is replaced has its references put', 'if (same || (oldLo & PTE_P) === 0) return DONE;', 'if (same || (oldLo & PTE_P) !== 0) return DONE;'],
  ]),
];

const SHARED: readonly Mutant[] = [
  ...mutantsOf('src/xen/grant-map.ts', GRANTS, [
    ['a grant is for one domain', 'if (before !== 0 && (active.domid(ref) !== mapper.id || pinOverflows(before, pins) ||', 'if (before !== 0 && (pinOverflows(before, pins) ||'],
    ['a mapping that fails puts its types', 'while (types-- > 0) putPageType(h, mfn);', ''],
    ['a mapping that fails puts its references', 'while (refs-- > 0) frames.putPage(mfn);', ''],
    ['a mapping that fails takes its pins back', 'active.setPin(ref, active.pin(ref) - pins);\n  reduceStatus', 'reduceStatus'],
    ['a mapping that fails gives its handle back', 'maptrack.give(handle);\n    return status;', 'return status;'],
    ['the first write use is flagged', "if (before === 0 || (!readonly && (before & GNTPIN_writing) === 0)) {", 'if (before === 0) {'],
  ]),
  ...mutantsOf('src/xen/grant-unmap.ts', GRANTS, [
    ['unmapping ends the pins', 'grants.active.setPin(ref, grants.active.pin(ref) - pinsOf(done));', ''],
    ['unmapping clears the flags', 'reduceStatus(h, grants, ref, (done & GNTMAP_readonly) !== 0);\n', ''],
    ['unmapping flushes before references are put', 'h.flushAll(h.current.domain.id, GRANTS);\n    for (let k = 0; k < i; k++) complete', 'for (let k = 0; k < i; k++) complete'],
    ['unmapping puts the type of a writable mapping', 'if (writable) putPageType(h, mfn);\n    h.frames.putPage(mfn);', 'h.frames.putPage(mfn);'],
    ["a device's address is compared", 'return GNTST_bad_dev_addr;\n  let left', '{}\n  let left'],
    ['a handle that is done with is given back', 'if (!inUse) maptrack.give(handle);', ''],
  ]),
  ...mutantsOf('src/xen/grant-pte.ts', GRANTS, [
    ['the entry that is unmapped is as the mapping made it (XSA-234)', '|| (w[at] & (PTE_P | PTE_RW)) !== expected) {', '|| (w[at] & PTE_P) === 0) {'],
    ['a mapping is made in a level-1 table', "if ((type & PGT_VALIDATED) === 0 || (type & PGT_COUNT) === 0 || levelOf(type) !== 1) return NOWHERE;", 'if ((type & PGT_VALIDATED) === 0 || (type & PGT_COUNT) === 0) return NOWHERE;'],
    ['what was mapped before has its references put', 'putFromL1(h, oldLo, oldHi);\n  return GNTST_okay;', 'return GNTST_okay;'],
    ["a mapping is made in the caller's own table", 'h.frames.refs(table) === 0 || h.frames.owner(table) !== domain.id) return NOWHERE;', 'h.frames.refs(table) === 0) return NOWHERE;'],
  ]),
  ...mutantsOf('src/xen/grant-entry.ts', GRANTS, [
    ['an entry names who it is for', "(entry & mask) !== GTF_permit_access || entry >>> 16 !== domid)) return", '(entry & mask) !== GTF_permit_access)) return'],
    ['a read-only grant is not written', 'if (!readonly && (entry & GTF_readonly) !== 0) return GNTST_general_error;', ''],
    ['what is read no more is not flagged', '(pin === 0 ? GTF_reading : 0) |', '0 |'],
  ]),
  ...mutantsOf('src/xen/grant-claim.ts', GRANTS, [
    ['the end of a copy ends the use', 'active.setPin(ref, pin);\n  reduceStatus', 'reduceStatus'],
    ['a grant of a grant ends with it', 'if (other !== granter.id) releaseGrant(h, h.domain(other)!', 'if (false) releaseGrant(h, h.domain(other)!'],
    ['a grant of a grant is not passed on again', ': GNTST_general_error;\n  else if (begins)', ': passOn(h, granter, ref, user, readonly, claim);\n  else if (begins)'],
  ]),
  ...mutantsOf('src/xen/grant-copy.ts', GRANTS, [
    ['a copy stays in the part that is granted', 'if (to < dest.offset || to + length > dest.offset + dest.length) return GNTST_general_error;', ''],
    ['a copy writes only what can be writable', "if (getPageType(h, this.mfn, PGT_WRITABLE) !== 0) return GNTST_general_error;\n      this.hasType = true;", ''],
    ['a copy by number is of the own frames', 'if (!own && !h.behaviour.checkEachCopy) return GNTST_permission_denied;', ''],
    ['a copy ends in its frame', 'if (from + length > FRAME_BYTES || to + length > FRAME_BYTES) return GNTST_bad_copy_arg;', ''],
  ]),
  ...mutantsOf('src/xen/grant-version.ts', GRANTS, [
    ['the version does not change while grants are in use', 'if (grants.active.pin(ref) !== 0) return -XEN_EBUSY;', '{}'],
    ['entries in use are not exchanged', 'if (grants.active.pin(a) !== 0 || grants.active.pin(b) !== 0) return GNTST_eagain;', ''],
    ['a change of version clears the table', 'for (const mfn of grants.frames) clearFrame(h, mfn);', ''],
  ]),
  ...mutantsOf('src/xen/grant-transfer.ts', GRANTS, [
    ['who gives has a page less', 'giver.totalPages--;', ''],
    ['a frame is taken by who has said so', 'if (entry !== expected) return false;', 'if ((entry & 3) !== GTF_accept_transfer) return false;'],
    ['a domain has no more pages than it may', 'const room = !taker.dying && taker.totalPages < taker.maxPages;', 'const room = !taker.dying;'],
  ]),
  ...mutantsOf('src/xen/event-bind.ts', EVENTS, [
    ['a port is bound by whom it is for', "if (!peer || peer.state !== ECS_UNBOUND || peer.remoteDomid !== d.id) return -XEN_EINVAL;", 'if (!peer || peer.state !== ECS_UNBOUND) return -XEN_EINVAL;'],
    ['a port is bound once', "if (!peer || peer.state !== ECS_UNBOUND || peer", 'if (!peer || peer'],
    ['closing lets the other end go', 'peer.state = ECS_UNBOUND;\n  peer.remoteDomid = d.id;', ''],
    ['a VIRQ has one port', 'if (events.virqPort(vcpu, virq) !== 0) return -XEN_EEXIST;', ''],
    ['closing clears the pending bit', 'clear(h, d, port);\n  port.free();', 'port.free();'],
    ['ports are bound to vCPUs that there may be', 'if (vcpu >= d.maxVcpus) return -XEN_ENOENT;\n  const port = d.events.find(number);', 'const port = d.events.find(number);'],
    ["others' ports need control", 'if (number >= 0 && !h.mayControl(d)) return -XEN_EPERM;', ''],
  ]),
  ...mutantsOf('src/xen/event-fifo.ts', EVENTS, [
    ['a frame of the event array is the own', "if (hi !== 0 || !h.frames.getPage(lo >>> 0, d.id)) return false;", 'if (hi !== 0 || h.frames.getOwner(lo >>> 0) < 0) return false;'],
    ['a frame of the event array is writable', 'if (getPageType(h, lo >>> 0, PGT_WRITABLE) === 0) return true;', 'return true;'],
    ['a reset puts the frames of the event array', 'for (const frame of events.fifo ?? []) putPageAndType(h, frame);', ''],
    ['a control block is given once', 'if (fifo.control >= 0 || !takeFrame(h, d, hi, lo)) return -XEN_EINVAL;', 'if (!takeFrame(h, d, hi, lo)) return -XEN_EINVAL;'],
    ['a queue that has lost its tail is empty', 'if (old.tail(port.lastPriority) === number) old.setTail(port.lastPriority, 0);', ''],
  ]),
  ...mutantsOf('src/xen/event-2l.ts', EVENTS, [
    ['a masked port tells no one', "if (!testBit(s, pending + toMask(wide), bit)) select(h, d, vcpu, number, wide);\n  wakePollers", 'select(h, d, vcpu, number, wide);\n  wakePollers'],
    ['unmasking tells of what is pending', '&& testBit(h.s, pending, bit)) select(h, d, vcpu', ') select(h, d, vcpu'],
  ]),
  ...mutantsOf('src/xen/heap.ts', MEMORY, [
    ['a frame in use is not stolen', 'frames.refs(mfn) !== 1 || frames.owner(mfn) !== domain.id) return -XEN_EINVAL;', 'frames.owner(mfn) !== domain.id) return -XEN_EINVAL;'],
    ['a domain is given no more frames than it may have', 'if (domain.dying || domain.totalPages + count > domain.maxPages) return NO_FRAME;', 'if (domain.dying) return NO_FRAME;'],
    ['a frame that is given is counted', 'domain.totalPages += count;', ''],
    ['what is freed is flushed before it is used again', 'h.flushFreed();\n  return first;', 'return first;'],
  ]),
  ...mutantsOf('src/xen/exchange.ts', MEMORY, [
    ['a chunk that fails is as it was', 'for (const mfn of stolen) h.frames.assign(mfn, c.domain.id);', ''],
    ['a chunk that fails gives its new frames back', 'for (const mfn of taken) freeHeld(h, mfn, x.output.order);', ''],
    ['an exchange needs control', 'if (!h.mayControl(domain)) return late(-XEN_EPERM);', ''],
  ]),
  ...mutantsOf('src/xen/reservation.ts', MEMORY, [
    ["only the own frames are given back", "if (!h.frames.getPage(first + k, domain.id)) return false;", 'if (h.frames.getOwner(first + k) < 0) return false;'],
    ['frames that are given back lose their allocation', 'h.frames.putAllocated(first + k);', ''],
    ['new frames are named', 'nameFrames(h, first, r.order, lo, hi);\n  return r.extents', 'return r.extents'],
  ]),
  ...mutantsOf('src/xen/destroy.ts', ['domains'], [
    ['a domain that dies lets go of its mappings', '  releaseMappings,\n', ''],
    ['a domain that dies closes its ports', '  destroyEvents,\n', ''],
    ['a domain that dies puts its roots', '  putAllRoots,\n', ''],
    ['a domain that dies unpins its tables', 'if (!unpin(h, mfn)) return mfn;', ''],
  ]),
  ...mutantsOf('src/xen/host.ts', ['domains', 'grants'], [
    ["another's memory is cleared before it is used again", 'if (clear || this.behaviour.scrubDomheap) {', 'if (this.behaviour.scrubDomheap) {'],
    ['a freed frame is counted', 'if (owner) owner.totalPages--;', ''],
  ]),
];

export const HYPERVISOR: readonly Mutant[] = [...PAGE_TYPES, ...SHARED];
