// Loads and stores of vCPUs that share memory: what the x86 memory model permits them to see of each other. On the built package.
const LOAD = 0, STORE = 2;

/** Loads and stores of 2, 4 or 8 bytes at linear addresses, as numbers. */
function cells({ cpu }) {
  const bytes = { 2: new Uint8Array(2), 4: new Uint8Array(4), 8: new Uint8Array(8) };
  const view = Object.fromEntries(Object.entries(bytes).map(([n, b]) => [n, new DataView(b.buffer)]));
  return {
    load(va, n = 4) {
      if (cpu.read(BigInt(va), bytes[n], LOAD) !== 0) throw new Error(`load at ${va}`);
      return n === 8 ? view[8].getBigUint64(0, true) : n === 4 ? view[4].getUint32(0, true) : view[2].getUint16(0, true);
    },
    store(va, value, n = 4) {
      if (n === 8) view[8].setBigUint64(0, value, true);
      else if (n === 4) view[4].setUint32(0, value, true);
      else view[2].setUint16(0, value, true);
      if (cpu.write(BigInt(va), bytes[n], STORE) !== 0) throw new Error(`store at ${va}`);
    },
  };
}

/** Wait until `parties` threads are at round `k`. */
function meet(meeting, parties, k) {
  Atomics.add(meeting, 0, 1);
  Atomics.notify(meeting, 0);
  for (let tries = 0, now; (now = Atomics.load(meeting, 0)) < parties * (k + 1); tries++) if (tries > 2000) Atomics.wait(meeting, 0, now, 1);
}

/** Message passing: data, then flag; whoever sees the flag sees the data. */
export function* passMessages(context) {
  const { data: { x, y, steps } } = context, { store } = cells(context);
  for (let k = 1; k <= steps; k++) {
    store(x, k);
    store(y, k);
    if (k % 64 === 0) yield;
  }
  return {};
}

export function* takeMessages(context) {
  const { data: { x, y, steps } } = context, { load } = cells(context);
  let wrong = 0, between = 0;
  for (let flag = 0, last = 0; flag < steps;) {
    flag = load(y);
    const message = load(x);
    if (message < flag || flag < last) wrong++; // the data older than the flag; or a flag older than one seen before
    if (message > flag) between++;
    last = flag;
    yield;
  }
  return { wrong, between };
}

/** Load buffering: each loads what the other stores after its own load. Both never see the other's. And store buffering, which is permitted. */
export function* buffers(context) {
  const { data: { mine, other, results, meeting, parties, steps }, number } = context, { load, store } = cells(context);
  for (let k = 0; k < steps; k++) {
    meet(meeting, parties, k);
    const loaded = load(other + (k % 16) * 8);
    store(mine + (k % 16) * 8, k + 1);
    results[k * 2 + number] = loaded === k + 1 ? 1 : 0;
    if (k % 16 === 15) yield;
  }
  return {};
}

/** Independent reads of independent writes: two that store, two that load both in different orders and agree. */
export function* storeOne(context) {
  const { data: { mine, meeting, parties, steps } } = context, { store } = cells(context);
  for (let k = 0; k < steps; k++) {
    meet(meeting, parties, k);
    store(mine, k + 1);
    yield;
  }
  return {};
}

export function* loadBoth(context) {
  const { data: { first, second, meeting, parties, steps } } = context, { load } = cells(context), seen = [];
  for (let k = 0; k < steps; k++) {
    meet(meeting, parties, k);
    const a = load(first), b = load(second);
    seen.push((a === k + 1 ? 2 : 0) | (b === k + 1 ? 1 : 0));
    yield;
  }
  return seen;
}

/** Stores of 8 bytes that are all the same; loads of them; and neighbours of 2 bytes in one word, which do not disturb each other. */
export function* whole(context) {
  const { data: { x, near, steps }, number } = context, { load, store } = cells(context), own = near + number * 2;
  let torn = 0, disturbed = 0;
  for (let k = 1; k <= steps; k++) {
    store(x, BigInt(k % 251) * 0x0101010101010101n, 8);
    const value = load(x, 8);
    if (value !== (value & 0xffn) * 0x0101010101010101n) torn++;
    store(own, k & 0xffff, 2);
    if (load(own, 2) !== (k & 0xffff)) disturbed++;
    if (k % 64 === 0) yield;
  }
  return { torn, disturbed };
}
