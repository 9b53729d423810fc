// Programs of vCPUs of a cluster: random calls of every kind, and accesses of what they have mapped.
import { GNTMAP_host_map, GNTMAP_readonly, GTF_permit_access, GTF_readonly } from '../../dist/xen/grant-numbers.js';
import { FRAME_OWNER, FRAME_REFS, FRAME_STRIDE } from '../../dist/layout/frame.js';
import { HDR_FRAME_TABLE } from '../../dist/layout/header.js';
import {
  HYPERVISOR_event_channel_op, HYPERVISOR_grant_table_op, HYPERVISOR_memory_op, HYPERVISOR_mmu_update, HYPERVISOR_mmuext_op, HYPERVISOR_multicall,
  HYPERVISOR_sched_op, HYPERVISOR_update_va_mapping,
} from '../../dist/xen/numbers.js';
import { wordOf } from '../../dist/memory/extents.js';
import { ARGS, DATA, DATA_FRAME, entryOf, OWNED, PAGES_EACH, READ, REFS, SPARE_PAGE, SPARE_TABLE, SPARE_TABLES, TABLE } from './world.mjs';

const SELF = 0x7ff0n, WRITE = 6, LOAD = 4, USER = 4;
const LAST_DATA = 64;

/** A generator of numbers, the same for the same seed. */
export function random(seed) {
  let x = Math.imul(seed + 1, 0x9e3779b1) | 1;
  return below => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % below;
  };
}

/** A guest's vCPU: how it makes calls. */
export class Guest {
  constructor({ machine, cpu, xen, data }) {
    Object.assign(this, { machine, cpu, xen, ...data });
    this.s = machine.views;
    this.args = ARGS + this.vcpu;
    this.at = wordOf(this.s, 0, (this.guest.first + this.args) << 12);
    this.view = new DataView(this.s.memory.buffer, this.at * 4, 4096);
    this.handles = [];
    this.wrong = [];
    this.flags = 6n; // UVMF_INVLPG | UVMF_ALL
    this.good = {};
    this.pool = Array.from({ length: 4 }, (_, k) => this.frame(64 + this.vcpu * 4 + k)); // frames that it gives back
    this.done = 0;
  }

  va(page) { return this.guest.base + BigInt(page * 4096); }
  get argsVa() { return this.va(this.args); }
  frame(k) { return this.guest.first + k; }

  call(nr, ...args) {
    this.done++;
    const rc = Number(this.xen.hypercall(this.cpu, nr, ...args));
    if (rc >= 0) this.good[nr] = (this.good[nr] ?? 0) + 1;
    return rc;
  }

  /** Arguments of update_va_mapping. */
  mapping(page, value, flags) { return this.guest.is32 ? [this.va(page), value & 0xffffffffn, value >> 32n, flags] : [this.va(page), value, flags]; }

  map(page, value, flags = this.flags) { return this.call(HYPERVISOR_update_va_mapping, ...this.mapping(page, value, flags)); }

  update(...requests) { return this.updateOf(SELF, ...requests); }

  /** mmu_update. @param owners - of the frames, and in the high half of the tables, + 1 */
  updateOf(owners, ...requests) {
    requests.forEach(([table, slot, value, command = 0], k) => {
      this.view.setBigUint64(k * 16, (BigInt(table) << 12n) | BigInt(slot * 8 + command), true);
      this.view.setBigUint64(k * 16 + 8, value, true);
    });
    return this.call(HYPERVISOR_mmu_update, this.argsVa, BigInt(requests.length), 0n, owners);
  }

  ext(command, argument = 0n, owner = SELF) {
    [BigInt(command), argument, 0n].forEach((value, k) => this.word(k, value));
    return this.call(HYPERVISOR_mmuext_op, this.argsVa, 1n, 0n, owner);
  }

  /** Write a word of the guest's width. */
  word(k, value) {
    if (this.guest.is32) this.view.setUint32(k * 4, Number(value), true);
    else this.view.setBigUint64(k * 8, value, true);
  }

  /** Write an entry of the own grant table, as a guest may at any time. */
  grant(ref, flags, to, k) {
    const { w } = this.s, at = wordOf(this.s, 0, this.guest.grantFrame << 12) + ref * 2;
    Atomics.store(w, at + 1, this.frame(k));
    Atomics.store(w, at, flags | (to << 16));
  }

  mapGrant(page, flags, ref, from) {
    this.view.setBigUint64(0, this.va(page), true);
    this.view.setUint32(8, flags, true);
    this.view.setUint32(12, ref, true);
    this.view.setUint32(16, from, true);
    const rc = this.call(HYPERVISOR_grant_table_op, 0n, this.argsVa, 1n), status = this.view.getInt16(18, true);
    if (status === 0) this.good.mapped = (this.good.mapped ?? 0) + 1;
    if (rc === 0 && status === 0) this.handles.push({ handle: this.view.getUint32(20, true), page });
    return status;
  }

  unmapGrant({ handle, page }) {
    this.view.setBigUint64(0, this.va(page), true);
    this.view.setBigUint64(8, 0n, true);
    this.view.setUint32(16, handle, true);
    this.call(HYPERVISOR_grant_table_op, 1n, this.argsVa, 1n);
    return this.view.getInt16(20, true);
  }

  copy(toRef, from, ref, k, length) {
    const word = this.guest.is32 ? 4 : 8, last = word * 4; // a side is a word, and 4 bytes in as many
    const side = (at, value, domid) => {
      this.word(at / word, BigInt(value));
      this.word(at / word + 1, BigInt(domid));
    };
    const [own, granted] = toRef ? [0, word * 2] : [word * 2, 0];
    side(own, this.frame(k), 0x7ff0);
    side(granted, ref, from);
    this.view.setUint32(last, length | ((toRef ? 2 : 1) << 16), true);
    this.view.setUint32(last + 4, 0, true);
    this.call(HYPERVISOR_grant_table_op, 5n, this.argsVa, 1n);
    return this.view.getInt16(last + 4, true);
  }

  event(command, ...words) {
    words.forEach((word, k) => this.view.setInt32(k * 4, word, true));
    return this.call(HYPERVISOR_event_channel_op, BigInt(command), this.argsVa);
  }

  /** memory_op of one extent. @returns extents done */
  reservation(command, mfn) {
    const word = this.guest.is32 ? 4 : 8;
    this.word(64 / word, BigInt(mfn));
    this.word(0, this.argsVa + 64n);
    this.word(1, 1n);
    [0, 0, 0x7ff0].forEach((value, k) => this.view.setUint32(word * 2 + k * 4, value, true));
    return this.call(HYPERVISOR_memory_op, BigInt(command), this.argsVa);
  }

  /** Give a frame back, and take another. `pool`: frames that no page maps; in `page` each is used before. @returns whether it did */
  churn(page) {
    const mfn = this.pool.shift();
    if (mfn === undefined) return false;
    if (mfn >= this.guest.first && mfn < this.guest.first + OWNED && this.map(mfn - this.guest.first, 0n, 0n) !== 0) return false; // where the kernel saw it at first
    this.map(page, entryOf(mfn, DATA), 6n);
    this.use(page, WRITE);
    this.map(page, 0n, 6n);
    if (this.reservation(1, mfn) !== 1) return false;
    if (this.reservation(0, 0) === 1) this.pool.push(this.view.getUint32(64, true));
    return true;
  }

  multicall(...calls) {
    calls.forEach(([nr, ...args], k) => {
      const at = (this.guest.is32 ? 512 : 256) + k * 8; // in words
      this.word(at, BigInt(nr));
      for (let i = 0; i < 6; i++) this.word(at + 2 + i, BigInt.asUintN(64, args[i] ?? 0n));
    });
    return this.call(HYPERVISOR_multicall, this.argsVa + 2048n, BigInt(calls.length));
  }

  /** Access a page, as its kernel: of 64 bits in ring 3, of 32 in ring 1. What it reaches is its domain's, or granted to it: no frame that went to someone else, or is free. */
  use(page, kind) {
    const va = this.va(page), fault = this.cpu.access(Number(va >> 32n), Number(va & 0xffffffffn), this.guest.is32 ? kind & ~USER : kind);
    if (fault !== 0) return fault;
    const mfn = (this.cpu.paddrLo >>> 12) + this.cpu.paddrHi * 0x100000, { w } = this.s, row = (w[HDR_FRAME_TABLE >>> 2] >>> 2) + mfn * (FRAME_STRIDE >>> 2);
    const owner = Atomics.load(w, row + (FRAME_OWNER >>> 2)) & 0xffff, refs = Atomics.load(w, row + (FRAME_REFS >>> 2));
    if (refs < 1 || !this.guests.some(({ id }) => id === owner)) this.wrong.push(`page ${page} reaches frame 0x${mfn.toString(16)} of domain ${owner} with ${refs} references`);
    return 0;
  }

  /** Look at all events, as a kernel does: clear what is pending. */
  takeEvents() {
    const { w } = this.s, shared = wordOf(this.s, 0, this.guest.sharedInfo << 12), info = shared + this.vcpu * 16;
    Atomics.and(w, info, ~0xff);
    const selected = Atomics.exchange(w, info + (this.guest.is32 ? 1 : 2), 0);
    if (selected !== 0) for (let k = 0; k < 4; k++) Atomics.exchange(w, shared + 0x200 + k, 0);
  }
}

/** One random thing that a vCPU does. `area`: whether only pages and frames of its own are used. */
function step(g, r, own) {
  const page = SPARE_PAGE + (own ? g.vcpu * PAGES_EACH : 0) + r(own ? PAGES_EACH : 8);
  const data = own ? DATA_FRAME + g.vcpu * 4 + r(4) : DATA_FRAME + r(LAST_DATA - DATA_FRAME);
  const spare = SPARE_TABLE + (own ? g.vcpu % SPARE_TABLES : r(SPARE_TABLES)), port = g.guest.ports[r(g.guest.ports.length)];
  switch (r(28)) {
    case 0: case 1: case 2: return g.map(page, r(4) ? entryOf(g.frame(data), r(2) ? DATA : READ) : 0n);
    case 3: case 4: return g.update(...Array.from({ length: 1 + r(8) }, () => [g.guest.level1, SPARE_PAGE + (own ? g.vcpu * PAGES_EACH : 0) + r(own ? PAGES_EACH : 8), r(3) ? entryOf(g.frame(data), READ) : 0n, r(2) * 2]));
    case 5: return g.ext(r(4) ? 0 : 1 + r(3), BigInt(g.frame(spare)));
    case 6: return g.ext(4, BigInt(g.frame(spare)));
    case 7: return g.update([g.frame(spare), r(512), r(3) ? entryOf(g.frame(data), r(2) ? DATA : READ) : 0n]);
    case 8: return g.map(spare, entryOf(g.frame(spare), r(2) ? READ : DATA));
    case 9: return g.ext(r(2) ? 10 : 6);
    case 10: case 11: case 12: return g.use(page, r(2) ? WRITE : LOAD);
    case 13: return g.multicall([HYPERVISOR_update_va_mapping, ...g.mapping(page, entryOf(g.frame(data), READ), 0n)], [HYPERVISOR_update_va_mapping, ...g.mapping(page, 0n, 0n)], [HYPERVISOR_sched_op, 0n, 0n]);
    case 14: return g.event(9, port);
    case 15: return g.takeEvents();
    case 16: return g.ext(5, BigInt(g.guest.first));
    case 17: return g.update([g.guest.level2, 1 + spare - SPARE_TABLE, own || r(2) ? entryOf(g.frame(spare), TABLE) : 0n]); // a table that goes is put by a call that is alone
    default: return own ? g.map(page, 0n) : shared(g, r, page, data, port);
  }
}

/** What meets what other domains do. */
function shared(g, r, page, data, port) {
  const peer = g.guests[r(g.guests.length)], ref = 8 + r(REFS);
  switch (r(g.guest.isPrivileged ? 20 : 16)) {
    case 0: case 1: return g.grant(ref, [0, GTF_permit_access, GTF_permit_access, GTF_permit_access | GTF_readonly][r(4)], peer.id, data);
    case 2: case 3: return peer === g.guest ? 0 : g.mapGrant(page, GNTMAP_host_map | (r(2) ? GNTMAP_readonly : 0), ref, peer.id);
    case 4: case 5: return g.handles.length === 0 ? 0 : g.unmapGrant(g.handles.splice(r(g.handles.length), 1)[0]);
    case 6: case 7: return g.copy(r(2) === 0, peer.id, ref, data, r(512));
    case 8: case 9: case 10: return g.event(4, port);
    case 11: return g.event(8, port, r(g.guest.cpus.length));
    case 12: return g.fifo ? g.event(13, port, r(16)) : g.event(9, port);
    case 13: case 14: return g.churn(page);
    case 15: return g.ext(r(2) ? 10 : 11, g.va(page));
    default: return foreign(g, r, page, data, peer);
  }
}

/** What a privileged domain does with others' frames and tables, whatever their width. */
function foreign(g, r, page, data, peer) {
  const frame = peer.first + data, slot = SPARE_PAGE + r(8), entry = r(3) ? entryOf(frame, r(2) ? DATA : READ) : 0n;
  switch (r(3)) {
    case 0: return g.updateOf(BigInt(peer.id), [g.guest.level1, page, entry]);
    case 1: return g.updateOf(BigInt(peer.id | ((peer.id + 1) << 16)), [peer.level1, slot, entry], [peer.first + SPARE_TABLE, r(512), entry]);
    default: return g.ext(r(2) * 4, BigInt(peer.first + SPARE_TABLE + r(SPARE_TABLES)), BigInt(peer.id));
  }
}

/** Random steps. `data`: seed, steps, `own`: nothing that others use too. */
export function* run(context) {
  const g = new Guest(context), { seed, steps, own = false } = g, r = random(seed * 97 + context.number);
  for (let k = 0; k < steps && g.wrong.length === 0; k++) {
    try {
      step(g, r, own);
    } catch (error) {
      error.message += ` (step ${k} of vCPU ${context.number}) ${error.stack.split('\n').slice(1, 6).join(' ')}`;
      throw error;
    }
    yield;
  }
  return { done: g.done, wrong: g.wrong.slice(0, 3), good: g.good };
}
