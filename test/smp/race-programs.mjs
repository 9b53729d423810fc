// Programs that do one thing each, against another that does what it may not meet half-way. On the built package.
import { GNTMAP_host_map, GTF_permit_access, GTF_reading, GTF_writing } from '../../dist/xen/grant-numbers.js';
import { wordOf } from '../../dist/memory/extents.js';
import { Guest, random } from './guest-program.mjs';
import { DATA, DATA_FRAME, entryOf, READ, SPARE_PAGE, SPARE_TABLE } from './world.mjs';

const FLUSH_ALL = 6n; // UVMF_INVLPG | UVMF_ALL

/**
 * Until all have done their steps, and seen enough: `meeting` counts those who have. However seldom a thread runs, it meets the others.
 *
 * @param seen - counts that have to be more than `data.enough`
 */
function* together({ data: { meeting, steps, enough = 10, parties = 2 } }, step, seen = () => []) {
  for (let k = 0, done = false; !done || Atomics.load(meeting, 0) < parties; k++) {
    step(k);
    if (!done && k >= steps && seen().every(count => count > enough)) {
      done = true;
      Atomics.add(meeting, 0, 1);
    }
    yield;
  }
}

/** One pins and unpins a table, the other changes its entries: it is a table with references, or a page that is written. */
export function* pin(context) {
  const g = new Guest(context), table = BigInt(g.frame(SPARE_TABLE)), counts = [0, 0];
  yield* together(context, () => {
    if (g.ext(0, table) === 0) counts[0]++;
    if (g.ext(4, table) === 0) counts[1]++;
  }, () => counts);
  return { wrong: g.wrong, counts };
}

export function* update(context) {
  const g = new Guest(context), r = random(context.number), counts = [0, 0];
  yield* together(context, () => {
    const rc = g.update([g.frame(SPARE_TABLE), r(64), r(3) ? entryOf(g.frame(DATA_FRAME + r(8)), r(2) ? DATA : READ) : 0n]);
    counts[rc === 0 ? 0 : 1]++;
  }, () => [counts[0]]);
  return { wrong: g.wrong, counts };
}

/** One maps a page, gives its frame back and takes one again; the other uses it: never a frame that is not its domain's. */
export function* remap(context) {
  const g = new Guest(context), page = SPARE_PAGE;
  let given = 0;
  yield* together(context, k => {
    const mfn = g.frame(DATA_FRAME + (k % 16));
    if (g.map(page, entryOf(mfn, DATA), FLUSH_ALL) !== 0) return;
    g.map(page, 0n, FLUSH_ALL);
    if (k % 8 === 7 && g.churn(page + 1)) given++;
  }, () => [given]);
  return { wrong: g.wrong, counts: [given] };
}

export function* use(context) {
  const g = new Guest(context), counts = [0, 0];
  yield* together(context, k => { counts[g.use(SPARE_PAGE + (k >>> 1) % 2, k % 2 ? 4 : 6) === 0 ? 0 : 1]++; }, () => counts);
  return { wrong: g.wrong, counts };
}

/** One sends to a port, the other moves the peer between its vCPUs and takes the events: the last one sent is found in the end. */
export function* send(context) {
  const g = new Guest(context), { port } = context.data;
  let sent = 0;
  yield* together(context, () => { if (g.event(4, port) === 0) sent++; });
  return { wrong: g.wrong, counts: [sent] };
}

export function* move(context) {
  const g = new Guest(context), { port } = context.data;
  let moved = 0, taken = 0;
  yield* together(context, k => {
    if (g.event(8, port, k % g.guest.cpus.length) === 0) moved++;
    if (k % 8 === 0) taken += takeAll(g);
  }, () => [moved, taken]);
  return { wrong: g.wrong, counts: [moved, taken] };
}

/** Take all events of all vCPUs of a guest, as its kernel does by the selectors. @returns how many */
export function takeAll(g) {
  const { w } = g.s, shared = wordOf(g.s, 0, g.guest.sharedInfo << 12);
  let taken = 0;
  for (let vcpu = 0; vcpu < g.guest.cpus.length; vcpu++) {
    const info = shared + vcpu * 16;
    Atomics.and(w, info, ~0xff);
    const { is32 } = g.guest, select = info + (is32 ? 1 : 2), each = is32 ? 1 : 2; // a bit of the selector stands for a word of the guest's width
    for (let half = 0; half < each; half++) {
      const selected = Atomics.exchange(w, select + half, 0);
      for (let n = 0; n < 32; n++) {
        if ((selected & (1 << n)) === 0) continue;
        for (let word = 0; word < each; word++) {
          let bits = Atomics.exchange(w, shared + 0x200 + (half * 32 + n) * each + word, 0);
          for (; bits !== 0; bits &= bits - 1) taken++;
        }
      }
    }
  }
  return taken;
}

const PENDING = 1 << 31, LINKED = 1 << 29, LINK = 0x1ffff, HEADS = 2, READY = 0;

/** FIFO event channels: one takes events off the queues, by the public protocol, while others put them there. */
export function* consume(context) {
  const g = new Guest(context), { w } = g.s, { array, controls, taken } = context.data, at = wordOf(g.s, 0, array << 12), heads = new Int32Array(16);
  const counts = {};
  const take = () => {
    for (const frame of controls) {
      const control = wordOf(g.s, 0, frame << 12), ready = Atomics.exchange(w, control + READY, 0);
      for (let q = 0; q < 16; q++) {
        if ((ready & (1 << q)) === 0) continue;
        heads[q] = Atomics.exchange(w, control + HEADS + q, 0);
        for (let port = heads[q], hops = 0; port !== 0; hops++) {
          if (hops > 100_000) { g.wrong.push(`a queue of priority ${q} without an end`); return; }
          let word = Atomics.load(w, at + port), next = word & LINK;
          if ((word & LINKED) === 0) { g.wrong.push(`port ${port} is in a queue and not linked`); return; }
          while (Atomics.compareExchange(w, at + port, word, word & ~(LINKED | LINK)) !== word) { word = Atomics.load(w, at + port); next = word & LINK; }
          if ((Atomics.and(w, at + port, ~PENDING) & PENDING) !== 0) counts[port] = (counts[port] ?? 0) + 1;
          port = next;
        }
      }
    }
  };
  yield* together(context, k => { take(); if (k % 16 === 0) yieldTime(); }, () => taken.map(port => counts[port] ?? 0));
  for (; Atomics.load(context.data.meeting, 1) < context.data.parties - 1; yield) take();
  take();
  return { wrong: g.wrong, counts };
}

const pause = new Int32Array(new SharedArrayBuffer(4));
const yieldTime = () => Atomics.wait(pause, 0, 0, 0.05);

export function* sendMany(context) {
  const g = new Guest(context), { ports } = context.data, r = random(context.number), sent = {};
  yield* together(context, () => {
    const port = ports[r(ports.length)];
    if (g.event(4, port.local) === 0) sent[port.peer] = (sent[port.peer] ?? 0) + 1;
  });
  Atomics.add(context.data.meeting, 1, 1);
  return { wrong: g.wrong, counts: sent };
}

/** One maps a grant and copies by it, the other takes it back: once it has, no use is in progress, and none begins. */
export function* useGrant(context) {
  const g = new Guest(context), { from, ref } = context.data;
  let mapped = 0, copied = 0;
  yield* together(context, k => {
    if (g.mapGrant(SPARE_PAGE + (k % 4), GNTMAP_host_map, ref, from) === 0) {
      mapped++;
      const status = g.unmapGrant(g.handles.pop());
      if (status !== 0) g.wrong.push(`unmap: ${status}`);
    }
    if (g.copy(k % 2 === 0, from, ref, DATA_FRAME, 64) === 0) copied++;
  }, () => [mapped, copied]);
  return { wrong: g.wrong, counts: [mapped, copied] };
}

export function* endGrant(context) {
  const g = new Guest(context), { user, ref } = context.data, { w } = g.s, at = wordOf(g.s, 0, g.guest.grantFrame << 12) + ref * 2;
  const { active } = context.xen.host.domain(g.guest.id).grants;
  let ended = 0, busy = 0;
  const end = () => {
    for (;;) {
      const entry = Atomics.load(w, at);
      if ((entry & (GTF_reading | GTF_writing)) !== 0) return false;
      if (Atomics.compareExchange(w, at, entry, 0) === entry) return true;
    }
  };
  yield* together(context, k => {
    if (Atomics.load(w, at) === 0) g.grant(ref, GTF_permit_access, user, DATA_FRAME + (k % 8));
    if (k % 3 === 0) yieldTime();
    if (!end()) { busy++; return; }
    ended++;
    for (let look = 0; look < 20; look++) if (Atomics.load(w, at) !== 0) g.wrong.push('the entry of a grant that was taken back has flags');
    if (active.pin(ref) !== 0) g.wrong.push(`a grant that was taken back is in use: ${active.pin(ref).toString(16)}`);
  }, () => [ended]);
  return { wrong: g.wrong, counts: [ended, busy] };
}

/** A number of times: a granted frame becomes a page table, if no one maps it. */
export function* pinOften(context) {
  const g = new Guest(context), table = BigInt(g.frame(SPARE_TABLE)), answers = [];
  g.grant(9, GTF_permit_access, 2, SPARE_TABLE);
  for (let k = 0; k < context.data.steps; k++) {
    answers.push(g.ext(0, table), g.ext(4, table));
    yield;
  }
  return answers;
}

/** ... it is mapped, if it is none. */
export function* mapOften(context) {
  const g = new Guest(context), answers = [];
  for (let k = 0; k < context.data.steps; k++) {
    answers.push(g.mapGrant(SPARE_PAGE, GNTMAP_host_map, 9, 1));
    for (const mapping of g.handles.splice(0)) answers.push(g.unmapGrant(mapping));
    yield;
  }
  return answers;
}
