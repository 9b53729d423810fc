// One vCPU of a shared machine in a worker thread, on the built package: what the jobs of races.test.ts run.
import { parentPort, workerData } from 'node:worker_threads';
import { attach } from '../../dist/accel/engine.js';
import { updateEntries } from '../../dist/frames/update.js';
import { dropEntries, validateEntries } from '../../dist/frames/validate.js';
import { FRAME_OWNER, FRAME_REFS, FRAME_STRIDE, FRAME_TYPE, PGC_ALLOCATED } from '../../dist/layout/frame.js';
import { HDR_FRAME_TABLE } from '../../dist/layout/header.js';
import { VCPU_OUT_LO, VCPU_OWED } from '../../dist/layout/vcpu.js';
import { runBatch } from '../../dist/machine/batch.js';
import { Views } from '../../dist/memory/views.js';
import { dropEverything } from '../../dist/mmu/invalidate.js';
import { translate } from '../../dist/mmu/translate.js';

const { memory, block, engine, index, workers, meeting, job, steps, table, frames } = workerData;
const s = new Views(memory), w = s.w, v = block >>> 2, wasm = engine === 'wasm' ? attach(s) : undefined;
const rows = w[HDR_FRAME_TABLE >>> 2] >>> 2;
let seed = 0x9e3779b1 * (index + 1) | 1;
const below = n => {
  seed ^= seed << 13;
  seed ^= seed >>> 17;
  seed ^= seed << 5;
  return (seed >>> 0) % n;
};

const access = wasm ? (va, kind) => wasm.translate(block, 0, va, kind) : (va, kind) => translate(s, v, 0, va, kind);
const forget = wasm ? () => wasm.dropEverything(block) : () => dropEverything(w, v);
const validate = wasm ? (t, n) => wasm.validateEntries(block, t, 0, n, 7, 0, 0) : (t, n) => validateEntries(s, v, t, 0, n, 7, 0, 0);
const drop = wasm ? (t, n) => wasm.dropEntries(block, t, 0, n, 7) : (t, n) => dropEntries(s, v, t, 0, n, 7);
const update = wasm ? (r, n) => wasm.updateEntries(block, r, n, 7, 0, 0) : (r, n) => updateEntries(s, v, r, n, 7, 0, 0);

/** Wait until all workers are here. */
function meet() {
  const round = Atomics.load(meeting, 1);
  if (Atomics.add(meeting, 0, 1) === workers - 1) {
    Atomics.store(meeting, 0, 0);
    Atomics.add(meeting, 1, 1);
    Atomics.notify(meeting, 1);
  } else while (Atomics.load(meeting, 1) === round) Atomics.wait(meeting, 1, round, 1000);
}

/** Wait a moment for the other worker to come to the same place, so that what follows happens at once. */
function together(place) {
  Atomics.store(meeting, 3 + index, place);
  for (let k = 0; k < 500 && Atomics.load(meeting, 4 - index) < place; k++);
  for (let k = below(16); k > 0; k--) Atomics.load(meeting, 2);
}

/** The entry that a run left, taken: its frame and whether R/W, or undefined. */
function owed() {
  const lo = w[v + (VCPU_OWED >>> 2)];
  w[v + (VCPU_OWED >>> 2)] = 0;
  return lo === 0 ? undefined : { frame: lo >>> 12, writable: (lo & 2) !== 0 };
}

const jobs = {
  /**
   * Worker 0 loads from every page, worker 1 stores to it; both mark entries like a kernel that uses the bits left to it. At the end of a
   * round every entry has all of it.
   */
  marks() {
    const lost = [], n = 64, kind = index === 0 ? 4 : 6;
    for (let round = 0; round < steps; round++) {
      if (index === 0) for (let k = 0; k < n; k++) Atomics.store(s.q, (table >>> 3) + k, BigInt(w[(table >>> 2) + k * 2] & ~0xe60 | 0) & 0xffffffffn);
      forget();
      meet();
      for (let k = 0; k < n; k++) {
        together(round * n + k + 1);
        if ((k + index) & 1) Atomics.or(w, (table >>> 2) + k * 2, 0x200);
        else Atomics.or(w, (table >>> 2) + k * 2 + 1, 1 << 30);
        const fault = access(k << 12, kind);
        if (fault !== 0) lost.push(`fault ${fault}`);
      }
      meet();
      if (index === 0) {
        for (let k = 0; k < n; k++) {
          const at = (table >>> 2) + k * 2;
          if ((w[at] & 0x260) !== 0x260 || (w[at + 1] & 0x40000000) === 0) lost.push(`round ${round}, entry ${k}: ${(w[at] >>> 0).toString(16)}`);
        }
      }
    }
    return { lost: lost.slice(0, 5), count: lost.length };
  },

  /** Worker 1 changes an entry as a whole, between two pages that differ in both words; worker 0 walks, and meets one of the two. */
  whole() {
    const values = [0x5067n, 0x1_0000_6067n], seen = [0, 0], wrong = [];
    if (index === 1) {
      for (let k = 0; Atomics.load(meeting, 2) === 0; k++) Atomics.store(s.q, table >>> 3, values[k & 1]);
      return {};
    }
    for (let step = 0; step < steps; step++) {
      forget();
      const fault = access(0, 4), lo = w[v + (VCPU_OUT_LO >>> 2)] | 0x67, hi = w[v + (VCPU_OUT_LO >>> 2) + 1];
      const which = fault === 0 ? values.indexOf(BigInt(hi) << 32n | BigInt(lo)) : -1;
      if (which < 0) wrong.push(`${fault}: ${hi.toString(16)}:${lo.toString(16)}`);
      else seen[which]++;
    }
    Atomics.store(meeting, 2, 1);
    return { both: seen.every(n => n > 0), wrong: wrong.slice(0, 5), count: wrong.length };
  },

  /** The same for batches, over 32 pages that the entry maps, in one set of the TLB. */
  wholes() {
    const n = 64, data = frames.requests;
    if (index === 1) {
      for (let k = 0; Atomics.load(meeting, 2) === 0; k++) Atomics.store(s.q, table >>> 3, k & 1 ? 0x5067n : 0x1_0000_6067n);
      return {};
    }
    const at = (Type, offset, length) => new Type(memory.buffer, data + offset, length);
    const columns = { va: at(Int32Array, 0, n * 2), pa: at(Int32Array, 1024, n * 2), size: at(Uint16Array, 2048, n).fill(4), kind: at(Uint8Array, 3072, n) };
    const wrong = [];
    for (let k = 0; k < n; k++) columns.va[k * 2] = (k % 32) << 21;
    for (let step = 0; step < steps; step++) {
      columns.pa.fill(0);
      const done = wasm ? wasm.runBatch(block, data, data + 3072, data + 2048, data + 1024, 0, n, 4) : runBatch(s, v, columns, 0, n, 4);
      if (done !== n) wrong.push(`stopped at ${done}`);
      for (let k = 0; k < n; k++) {
        const lo = columns.pa[k * 2], hi = columns.pa[k * 2 + 1];
        if (!(lo === 0x5000 && hi === 0) && !(lo === 0x6000 && hi === 1)) wrong.push(`${hi.toString(16)}:${lo.toString(16)}`);
      }
    }
    Atomics.store(meeting, 2, 1);
    return { wrong: wrong.slice(0, 5), count: wrong.length };
  },

  /** Own tables are validated and given up, a common one is updated, on the same few frames. */
  frames() {
    const own = table + (1 + index) * 4096, requests = frames.requests + index * 4096, word = own >>> 2;
    let done = 0;
    const random = () => (frames.first + below(frames.count)) << 12 | 5 | (below(2) << 1);
    for (let step = 0; step < steps; step++) {
      for (let k = 0; k < 16; k++) w[word + k * 2] = random();
      const n = validate(own, 16);
      for (let k = 0; k < 4; k++) w.set([frames.table << 12 | below(8) << 3 | 2 * below(2), 0, below(4) ? random() : 0, 0], (requests >>> 2) + k * 4);
      for (let k = 0; k < 4;) {
        const m = update(requests + k * 16, 4 - k);
        done += m;
        k += m || (below(64) === 0 ? 1 : 0); // the table was locked: again
      }
      if (n !== 16 || drop(own, 16) !== 0 || owed()) return { failed: `step ${step}: ${n} entries` };
    }
    return { done };
  },

  /** Worker 0 gives frames back and takes them for others; worker 1 maps them as long as they are its own, and frees what it put last. */
  hands() {
    const row = f => rows + f * (FRAME_STRIDE >>> 2);
    let left = 0, mapped = 0, foreign = 0;
    /** Put a general reference; whoever puts the last one gives the frame to `owner`. */
    const put = (f, owner) => {
      if (Atomics.sub(w, row(f) + (FRAME_REFS >>> 2), 1) !== 1) return;
      Atomics.store(w, row(f) + (FRAME_TYPE >>> 2), 0);
      Atomics.store(w, row(f) + (FRAME_OWNER >>> 2), owner);
      Atomics.store(w, row(f) + (FRAME_REFS >>> 2), 1);
      Atomics.store(w, row(f) + (FRAME_OWNER >>> 2), owner | PGC_ALLOCATED << 16);
    };
    const settle = () => {
      const e = owed();
      if (e === undefined) return;
      left++;
      put(e.frame, 7);
    };
    if (index === 0) {
      while (Atomics.load(meeting, 2) === 0) {
        const f = frames.first + below(frames.count), at = row(f) + (FRAME_OWNER >>> 2), now = Atomics.load(w, at);
        if (now >>> 16 & PGC_ALLOCATED && Atomics.compareExchange(w, at, now, now & 0xffff) === now) put(f, (now & 0xffff) === 7 ? 8 : 7);
      }
      return {};
    }
    for (let step = 0; step < steps; step++) {
      for (let k = 0; k < 16; k++) w[(table >>> 2) + k * 2] = (frames.first + below(frames.count)) << 12 | 5 | (below(2) << 1);
      let n = validate(table, 16);
      settle();
      mapped += n;
      for (let k = 0; k < n; k++) if ((Atomics.load(w, row(w[(table >>> 2) + k * 2] >>> 12) + (FRAME_OWNER >>> 2)) & 0xffff) !== 7) foreign++;
      while (n > 0) {
        n = drop(table, n);
        settle();
        if (n === 0) break;
        const e = w[(table >>> 2) + (n - 1) * 2], f = e >>> 12; // the last reference: this is the hypervisor's own code
        if (e & 2) Atomics.sub(w, row(f) + (FRAME_TYPE >>> 2), 1);
        put(f, 7);
        n--;
      }
    }
    Atomics.store(meeting, 2, 1);
    return { left, mapped, foreign };
  },
};

meet();
parentPort.postMessage(jobs[job]());
