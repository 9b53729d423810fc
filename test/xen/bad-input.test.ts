import { describe, expect, it } from 'vitest';
import { VCPU_CALL, VCPU_CALL_ARGS } from '../../src/layout/vcpu.ts';
import { HYPERVISOR_mmu_update, HYPERVISOR_mmuext_op, HYPERVISOR_multicall, MMUEXT_TLB_FLUSH_LOCAL } from '../../src/xen/numbers.ts';
import { holds, refused, state } from '../xsa/world.ts';
import { ARGS, Guest, entryOf, DATA, P, READ, TABLE, US } from './guest.ts';
import { lcg } from './lcg.ts';
import {
  adjust, EXCHANGE, INCREASE, LIST, memoryOp, OUT_LIST, pack, poke, POPULATE, putList, reservation, SELF as SELF_DOMAIN,
} from './memory-calls.ts';

const EFAULT = -14, ENOSYS = -38, SELF = 0x7ff0n;
const widths = [['64-bit', true], ['32-bit', false]] as const;

/** Words of 8 or 4 bytes at the end of a page, `inside` bytes of them in it, the rest in the next, past the hypervisor. @returns their address */
function across(g: Guest, mfn: number, bytes: 4 | 8, inside: number, ...words: bigint[]): bigint {
  const data = new Uint8Array(words.length * bytes), view = new DataView(data.buffer);
  words.forEach((word, k) => { if (bytes === 8) view.setBigUint64(k * 8, word, true); else view.setUint32(k * 4, Number(word), true); });
  g.machine.write(BigInt(mfn + 1) * 4096n - BigInt(inside), data);
  return g.va(mfn + 1) - BigInt(inside);
}

const call = (g: Guest, nr: number, ...args: bigint[]): number => Number(g.xen.hypercall(g.cpu, nr, ...args));
const mapped = (g: Guest, slot: number): number => Number(g.entry(g.level1[0]!, slot) >> 12n & 0xffffn);
const request = (g: Guest, slot: number, k: number): [bigint, bigint] => [entryOf(g.level1[0]!, BigInt(slot * 8)), entryOf(g.free(k), READ)];

function word(g: Guest, mfn: number, offset: number): number {
  const data = new Uint8Array(4);
  g.machine.read(BigInt(mfn) * 4096n + BigInt(offset), data);
  return new DataView(data.buffer).getUint32(0, true);
}

describe.each(widths)('arguments of a %s guest', (_, wide) => {
  const page = 100, engines = [['TypeScript', 'ts'], ['wasm', 'wasm']] as const, step = wide ? 8 : 4;

  it.each(engines)('that cross into a page that is mapped are read (%s)', (_name, engine) => {
    for (const inside of [4, 8, 12, 20, 24]) {
      const g = new Guest({ wide, engine }), mfn = g.free(page), at = across(g, mfn, 8, inside, ...request(g, 200, 0), ...request(g, 201, 1));
      expect(call(g, HYPERVISOR_mmu_update, at, 2n, g.va(mfn + 1) + 2048n, SELF)).toBe(0);
      expect([mapped(g, 200), mapped(g, 201), word(g, mfn + 1, 2048)]).toEqual([g.free(0), g.free(1), 2]);
      holds(g);
    }
  });

  it.each(engines)('that cross into one that is not give -EFAULT at their entry, with those before done (%s)', (_name, engine) => {
    for (const inside of [1, 4, 8, 15, 16, 20, 31]) {
      const g = new Guest({ wide, engine }), mfn = g.free(page), done = Math.floor(inside / 16);
      const at = across(g, mfn, 8, inside, ...request(g, 200, 0), ...request(g, 201, 1)), before = [mapped(g, 200), mapped(g, 201)];
      expect(g.map(g.va(mfn + 1), 0n)).toBe(0);
      expect(call(g, HYPERVISOR_mmu_update, at, 2n, g.va(mfn + 2), SELF)).toBe(EFAULT);
      expect([mapped(g, 200), mapped(g, 201), word(g, mfn + 2, 0)]).toEqual([done > 0 ? g.free(0) : before[0], before[1], done]);
      holds(g);
    }
  });

  it('of mmuext_op and multicall too', () => {
    const size = 3 * step, entry = 8 * step;
    for (const inside of [step, size - 4, size, size + 4]) {
      const g = new Guest({ wide }), mfn = g.free(page), flush = [BigInt(MMUEXT_TLB_FLUSH_LOCAL), 0n, 0n];
      const at = across(g, mfn, step, inside, ...flush, ...flush);
      expect(call(g, HYPERVISOR_mmuext_op, at, 2n, g.va(mfn + 2), SELF)).toBe(0);
      expect(g.map(g.va(mfn + 1), 0n)).toBe(0);
      expect(call(g, HYPERVISOR_mmuext_op, at, 2n, g.va(mfn + 2), SELF)).toBe(EFAULT);
      expect(word(g, mfn + 2, 0)).toBe(Math.floor(inside / size));
    }
    for (const inside of [step, entry - 4, entry, entry + step]) {
      const g = new Guest({ wide }), mfn = g.free(page), unknown = [99n, 0x5555n, 0n, 0n, 0n, 0n, 0n, 0n];
      const at = across(g, mfn, step, inside, ...unknown, ...unknown);
      expect(g.map(g.va(mfn + 1), 0n)).toBe(0);
      expect(call(g, HYPERVISOR_multicall, at, 2n)).toBe(EFAULT);
      if (inside >= entry) expect(word(g, mfn, 4096 - inside + step) | 0).toBe(-38);
      else if (inside > step) expect(word(g, mfn, 4096 - inside + step)).toBe(0x5555);
    }
  });

  it('that are read-only are read, but results are not written', () => {
    const g = new Guest({ wide }), mfn = g.table(g.free(page)), [ptr, value] = request(g, 200, 0);
    const at = across(g, mfn - 1, 8, 0, ptr, value);
    expect(call(g, HYPERVISOR_mmu_update, at, 1n, g.va(mfn) + 64n, SELF)).toBe(0);
    expect([mapped(g, 200), word(g, mfn, 64)]).toEqual([g.free(0), 0]);
    // The first call of the list is made, its result cannot be written, and the second is not made.
    const update = (slot: number, k: number) => [14n, 0n, ...(wide ? [g.va(g.free(slot)), entryOf(g.free(k), READ), 0n, 0n, 0n, 0n] : [g.va(g.free(slot)), entryOf(g.free(k), READ), 0n, 0n, 0n, 0n])];
    across(g, mfn - 1, step, 0, ...update(10, 20), ...update(11, 21));
    expect(call(g, HYPERVISOR_multicall, g.va(mfn), 2n)).toBe(EFAULT);
    expect([mapped(g, 74), mapped(g, 75)]).toEqual([g.free(20), g.free(11)]);
    holds(g);
  });

  const bad: [what: string, at: bigint][] = wide
    ? [['not canonical', 0x8000_0000_0000n], ["the hypervisor's", 0xffff_8100_0000_0000n], ['not mapped', 0x1000n], ["one of the hypervisor's tables", 0xffff_8140_a050_2000n]]
    : [['not mapped', 0x1000n], ['at the end', 0xffff_fffcn]];
  it.each(bad)('that are %s are refused, and take no count', (_what, at) => {
    const g = new Guest({ wide });
    refused(g, EFAULT, () => call(g, HYPERVISOR_mmu_update, at, 1n, 0n, SELF));
    refused(g, EFAULT, () => call(g, HYPERVISOR_mmuext_op, at, 1n, 0n, SELF));
    refused(g, EFAULT, () => call(g, HYPERVISOR_multicall, at, 1n));
    const requests = g.words(8, ...request(g, 200, 0));
    expect(call(g, HYPERVISOR_mmu_update, requests, 1n, at, SELF)).toBe(0);
    const before = state(g);
    expect(call(g, HYPERVISOR_mmu_update, requests, 1n, at, SELF)).toBe(0); // that the count cannot be written is no error
    expect(Buffer.compare(before, state(g))).toBe(0);
    expect(call(g, HYPERVISOR_mmu_update, requests, 0x8000_0001n, at, SELF)).toBe(0);
  });

  it.runIf(!wide)('in the window that it may read are read as what is there, and never written', () => {
    const g = new Guest({ wide }), window = 0xf580_0000n;
    refused(g, -38, () => call(g, HYPERVISOR_mmu_update, window, 1n, 0n, SELF)); // all ones: no command
    refused(g, EFAULT, () => call(g, HYPERVISOR_mmuext_op, window, 1n, 0n, SELF));
    refused(g, EFAULT, () => call(g, HYPERVISOR_multicall, window, 1n));
    const requests = g.words(8, ...request(g, 200, 0)), name = g.xen.host.m2p.lo(g.free(5));
    expect(call(g, HYPERVISOR_mmu_update, requests, 1n, window + BigInt(g.free(5) * 4), SELF)).toBe(0);
    expect(g.xen.host.m2p.lo(g.free(5))).toBe(name);
    const before = state(g);
    expect(call(g, HYPERVISOR_mmu_update, requests, 1n, window + BigInt(g.free(5) * 4), SELF)).toBe(0);
    expect(Buffer.compare(before, state(g))).toBe(0);
  });

  it(`are ${wide ? 'of 64 bits: a number beyond 32 is that of no call' : 'of 32 bits: the upper halves of registers do not count'}`, () => {
    const g = new Guest({ wide }), { w } = g.machine.views, at = across(g, g.free(page), 8, 256, ...request(g, 200, 0));
    g.xen.setCall(g.cpu, HYPERVISOR_mmu_update, at, 1n, 0n, SELF);
    const first = (g.cpu.block + VCPU_CALL) >>> 2;
    if (!wide) for (let k = 0; k < 5; k++) w[((g.cpu.block + VCPU_CALL_ARGS) >>> 2) + k * 2 + 1] = 0x1234;
    w[first + 1] = 1;
    expect(g.xen.dispatch(g.cpu)).toBe(wide ? ENOSYS : 0);
    expect(call(g, HYPERVISOR_mmu_update + 2 ** 32, at, 1n, 0n, SELF)).toBe(wide ? ENOSYS : 0);
    expect(mapped(g, 200) === g.free(0)).toBe(!wide);
  });

  it('that are more than fit in the address space do not hang: each part ends with its budget', () => {
    const g = new Guest({ wide, budget: 1000 }), l1 = g.free(0), requests = g.free(1), l2 = g.tables[wide ? 2 : 4]!;
    // One page of good requests at every address of GiBs, by one level-1 table that all entries refer to.
    const data = new BigUint64Array(512);
    for (let k = 0; k < 256; k++) [data[k * 2], data[k * 2 + 1]] = request(g, 200 + (k & 1), k & 15);
    g.machine.write(BigInt(requests) * 4096n, new Uint8Array(data.buffer));
    g.table(l1, Array.from({ length: 512 }, (_, k) => [k, entryOf(requests, READ)]));
    const first = wide ? 100 : 0, last = wide ? 500 : 400;
    for (let slot = first; slot < last; slot++) expect(g.update([l2, slot, entryOf(l1, TABLE)])).toBe(0);
    const va = (wide ? g.base : 0xc000_0000n) + BigInt(first) * 0x200000n;
    g.xen.setCall(g.cpu, HYPERVISOR_mmu_update, va, 0x7fff_ffffn, g.va(g.free(2)), SELF);
    const count = () => g.machine.views.w[(g.cpu.block + VCPU_CALL_ARGS + 8) >>> 2]! & 0x7fff_ffff;
    let before = 0x7fff_ffff;
    for (let part = 0; part < 50; part++) {
      g.xen.dispatchPart(g.cpu);
      expect(g.xen.host.preempted).toBe(true);
      expect(before - count()).toBeGreaterThan(0);
      expect(before - count()).toBeLessThanOrEqual(1001);
      before = count();
      expect(word(g, g.free(2), 0)).toBe(0x7fff_ffff - before);
    }
    holds(g);
  });
});

/** One of the operations beside those on page tables. @returns as the guest sees it, but -1 where none of what it asked for was done */
function others(g: Guest, r: (below: number) => number, some: number, table: number, value: bigint): number {
  const w = g.wide ? 8 : 4, halves = (x: bigint) => (g.wide ? [x] : [x & 0xffffffffn, x >> 32n]), one = { count: 1, list: g.va(LIST) };
  const foreign = () => [0n, 1n, 9n, 0x7ff0n, 0x7ff1n, 0x7ff2n][r(6)]!;
  switch (r(9)) {
    case 0: return call(g, 10, ...halves(entryOf(table, BigInt(r(512) * (r(4) ? 8 : 4)))), ...halves([0x00cf93000000ffffn, 0x00008b0000000067n, 0x0000ec00e0080000n, 0n][r(4)]!));
    case 1: return call(g, 2, g.words(w, BigInt(table), BigInt(some)), BigInt([0, 1, 512, 513, 7169, 0x10000][r(6)]!));
    case 2: return g.ext(13, g.va(some) + BigInt(r(2) * 8), BigInt([0, 512, 8192, 8193][r(4)]!));
    case 3: return Math.min(g.xen.descriptor(g.cpu, r(4096) * 8 + 7, new Int32Array(2)), 1) * -1;
    case 4: return call(g, 22, g.va(some), ...halves(value), BigInt(r(3)), foreign());
    case 5: return call(g, HYPERVISOR_mmu_update, g.words(8, entryOf(table, BigInt((300 + r(3)) * 8 + r(8))), value), 1n, 0n, foreign() | (BigInt(r(4)) << 16n));
    case 6:
      putList(g, [r(2) ? table : 0x350]);
      return adjust(g, INCREASE + r(2) * POPULATE, { ...one, order: 20, domid: r(2) ? SELF_DOMAIN : 5 }) === 0 ? -1 : 0;
    case 7: {
      putList(g, [table]);
      putList(g, [3000], g.va(OUT_LIST));
      const body = [reservation(g, { ...one, order: r(2) }), reservation(g, { ...one, list: g.va(OUT_LIST) }), pack([w, 0])], bytes = new Uint8Array(body.reduce((n, part) => n + part.length, 0));
      let at = 0;
      for (const part of body) {
        bytes.set(part, at);
        at += part.length;
      }
      poke(g, g.va(ARGS), bytes);
      return memoryOp(g, EXCHANGE, g.va(ARGS));
    }
    default: return memoryOp(g, [2 | (1 << 6), 8, 10, 13, 20, 28][r(6)]!, 0x1000n);
  }
}

/** One random operation on few frames. */
function step(g: Guest, r: (below: number) => number): number {
  const some = g.free(r(10)), other = g.free(r(10));
  const table = r(2) ? some : g.tables[r(g.tables.length)]!;
  const value = [entryOf(other, P | US), entryOf(other, TABLE), entryOf(other, DATA), entryOf(g.tables[r(4)]!, DATA), entryOf(0x350, P), entryOf(other, TABLE | BigInt(r(4096))), 0n][r(7)]!;
  switch (r(11)) {
    case 7: case 8: case 9: return others(g, r, some, table, value);
    case 0: return g.map(g.va(some), entryOf(r(2) ? some : 0x350, r(2) ? DATA : READ), BigInt([0, 1, 2, 4, 5, 6][r(6)]!)); // other flags fail after the change
    case 1: case 2: return g.update([table, 300 + r(3), value, r(8)]);
    case 3: return g.pin(1 + r(g.wide ? 4 : 3), some);
    case 4: return g.unpin(some);
    case 5: return g.ext(r(24), BigInt(r(2) ? some : r(0x2000)), BigInt(other));
    default: {
      const data = new Uint8Array(8);
      new DataView(data.buffer).setBigUint64(0, value, true);
      return g.xen.write(g.cpu, g.va(some) + BigInt((300 + r(3)) * 8), data);
    }
  }
}

/**
 * What a refused operation may leave: flags of entries that validation passed before it failed, as the real Xen leaves them, and A and D of those
 * that lead to its arguments; a 32-bit guest's would-be root cleared behind its four entries; the type of a frame that no one uses as anything. No
 * reference, no count, no owner, no other byte.
 */
function trace(g: Guest, before: Buffer, after: Buffer): string[] {
  if (Buffer.compare(before, after) === 0) return [];
  const found: string[] = [], rows = 6144 * 4096, adjusted = 0x167n | (1n << 52n);
  const [newer, older] = [after, before].map(bytes => bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)) as [ArrayBuffer, ArrayBuffer];
  const now = new BigUint64Array(newer), then = new BigUint64Array(older), nowHalf = new Int32Array(newer), thenHalf = new Int32Array(older);
  for (let k = 0; k < rows / 8; k++) {
    if ((nowHalf[k * 2] === thenHalf[k * 2] && nowHalf[k * 2 + 1] === thenHalf[k * 2 + 1]) || (k >>> 9 >= 0x7fb && k >>> 9 <= 0x7ff)) continue; // the pages of arguments and lists
    if (!g.wide && (k & 511) >= 4 && now[k] === 0n && (before.readInt32LE(rows + (k >>> 9) * 16) & 0xffffff) === 0) continue;
    if ((then[k]! & P) === 0n || ((now[k]! ^ then[k]!) & ~adjusted) !== 0n) found.push(`0x${(k * 8).toString(16)}: 0x${then[k]!.toString(16)} -> 0x${now[k]!.toString(16)}`);
  }
  for (let row = rows; row < after.length; row += 16) {
    const type = before.readInt32LE(row), changed = type ^ after.readInt32LE(row), unused = (type & 0xffffff) === 0;
    if (before.compare(after, row + 8, row + 16, row + 8, row + 16) !== 0 || (changed !== 0 && (!unused || (changed & 0xffffff) !== 0))) found.push(`row of frame 0x${((row - rows) / 16).toString(16)}`);
  }
  return found.slice(0, 5);
}

describe.each(widths)('a refused operation of a %s guest', (_, wide) => {
  it.each([[1, 'ts'], [2, 'wasm'], [3, 'ts'], [4, 'wasm']] as const)('leaves no more than a trace (seed %i, %s)', (seed, engine) => {
    const g = new Guest({ wide, engine, leakPartialTables: false }), r = lcg(seed);
    let refusals = 0;
    for (let k = 0; k < 100; k++) {
      const before = state(g), rc = step(g, r);
      if (rc === 0) continue;
      refusals++;
      expect(trace(g, before, state(g)), `step ${k}: ${rc}`).toEqual([]);
    }
    expect(refusals).toBeGreaterThan(20);
    expect(refusals).toBeLessThan(90);
    holds(g);
  });
});
