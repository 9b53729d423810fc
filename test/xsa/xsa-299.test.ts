/**
 * XSA-299, "Issues with restartable PV type change operations" (CVE-2019-18421).
 *
 * Taking and putting the type of a level-2 to level-4 table is preempted and goes on later; in between the table is partial, and an entry of it may
 * hold a reference to a table that is partial itself. The attacker sees to it that such an operation is interrupted, and does something else
 * with the tables from another vCPU: takes the type again, pins, unpins, gives other entries, uses a linear entry to a table that is half undone.
 * Where it was unclear who held which reference, one was put twice or never, and a frame became free or writable in use.
 *
 * Between any two parts of a call, whatever other vCPUs do then, all counts must be those of the tables (audit), a partial table must not
 * be written nor become anything else, and in the end, when all is undone, every frame must be as free as at the start. Both widths.
 */
import { describe, expect, it } from 'vitest';
import { PGT_PARTIAL } from '../../src/layout/frame.ts';
import { HYPERVISOR_mmuext_op, MMUEXT_NEW_BASEPTR, MMUEXT_PIN_L1_TABLE, MMUEXT_UNPIN_TABLE } from '../../src/xen/numbers.ts';
import { ARGS, DATA, entryOf, P, READ, RW, TABLE, US, type Guest } from '../xen/guest.ts';
import { attacker, EBUSY, EINVAL, holds, WIDTHS } from './world.ts';

const BUDGET = 89; // entries a part: few enough that every table is interrupted, and all at different entries
const GUARD = 5000; // parts

/** An operation of vCPU 0 in parts, the other vCPU acting in between. @returns its result, and how many parts it took */
function inParts(g: Guest, command: number, mfn: number, between: (part: number) => void): { rc: number; parts: number } {
  // The other vCPU's arguments are at the start of the page.
  const at = g.va(ARGS) + 2048n, step = g.wide ? 8 : 4, data = new Uint8Array(3 * step), view = new DataView(data.buffer);
  view.setUint32(0, command, true);
  view.setUint32(step, mfn, true);
  g.machine.write(BigInt(ARGS) * 4096n + 2048n, data);
  g.xen.setCall(g.cpu, HYPERVISOR_mmuext_op, at, 1n, 0n, 0x7ff0n);
  for (let parts = 1; parts < GUARD; parts++) {
    const rc = g.xen.dispatchPart(g.cpu);
    if (!g.xen.host.preempted) return { rc, parts };
    holds(g);
    between(parts);
    holds(g);
  }
  throw new Error('a call without end');
}

/** The second vCPU's operation, to its end. */
function other(g: Guest, command: number, mfn: number): number {
  const at = g.wide ? g.words(8, BigInt(command), BigInt(mfn), 0n) : g.words(4, BigInt(command), BigInt(mfn), 0n);
  return Number(g.xen.hypercall(g.machine.vcpus[1]!, HYPERVISOR_mmuext_op, at, 1n, 0n, 0x7ff0n));
}

interface Tree { readonly g: Guest; readonly top: number; readonly level: number; readonly l2: number; readonly all: number[] }

/** A tree of tables, not pinned: some level-2 tables of some level-1 tables each, with a linear entry. */
function tree(wide: boolean): Tree {
  const g = attacker({ wide, vcpus: 2, budget: BUDGET }), level = wide ? 4 : 3, all: number[] = [];
  const take = (entries: readonly (readonly [number, bigint])[]) => {
    const mfn = g.free(all.length);
    g.table(mfn, entries);
    all.push(mfn);
    return mfn;
  };
  const l1 = [0, 1, 2].map(k => take([[0, entryOf(g.free(100 + k), READ)], [1, entryOf(g.free(110 + k), DATA)]]));
  const leaf = l1.map((mfn, k) => [k, entryOf(mfn, TABLE)] as const);
  const seconds = [0, 1].map(() => take(leaf));
  const l2 = take([...leaf, [3, entryOf(g.free(all.length), P | US)], [4, entryOf(seconds[0]!, P | US)]]);
  if (!wide) {
    const last = take(leaf);
    return { g, level, l2, all, top: take([...[...seconds, l2, last].map((mfn, k) => [k, entryOf(mfn, P)] as const)]) };
  }
  const thirds = [take([[0, entryOf(seconds[0]!, TABLE)], [1, entryOf(l2, TABLE)]]), take([[1, entryOf(seconds[1]!, TABLE)], [2, entryOf(l2, TABLE)]])];
  return { g, level, l2, all, top: take(thirds.map((mfn, k) => [k + 1, entryOf(mfn, TABLE)] as const)) };
}

/** All of the tables can become data again. */
function allFree({ g, all }: Tree): void {
  for (const mfn of all) expect(g.map(g.va(mfn), entryOf(mfn, DATA)), `0x${mfn.toString(16)}`).toBe(0);
  holds(g);
}

const partial = (g: Guest, mfn: number) => (g.xen.host.frames.type(mfn) & PGT_PARTIAL) !== 0;

describe.each(WIDTHS)('XSA-299: a %s guest', (_, wide) => {
  it('pins and unpins a tree in parts', () => {
    const t = tree(wide), { g, top, level } = t;
    let seen = 0;
    const look = () => { seen += t.all.filter(mfn => partial(g, mfn)).length; };
    const pinned = inParts(g, MMUEXT_PIN_L1_TABLE + level - 1, top, look);
    expect([pinned.rc, pinned.parts > 5]).toEqual([0, true]);
    const unpinned = inParts(g, MMUEXT_UNPIN_TABLE, top, look);
    expect([unpinned.rc, unpinned.parts > 5, seen > 10]).toEqual([0, true, true]);
    allFree(t);
  });

  it('writes partial tables, or makes something else of them, and is refused', () => {
    const t = tree(wide), { g, top, level, all } = t;
    const attack = () => {
      for (const mfn of all.filter(f => partial(g, f))) {
        expect(g.map(g.va(mfn), entryOf(mfn, DATA))).toBe(EBUSY);
        expect(g.update([mfn, 0, entryOf(g.tables[0]!, P | RW)])).toBe(EINVAL);
        expect(g.ext(16, BigInt(mfn))).toBe(EINVAL); // clear
        expect(other(g, MMUEXT_PIN_L1_TABLE, mfn)).toBe(EINVAL);
        expect(other(g, MMUEXT_UNPIN_TABLE, mfn)).toBe(EINVAL);
      }
    };
    // Calls by vCPU 0 itself would go on with what it has still to put: the attack is vCPU 1's.
    const attackByOther = () => { const { cpu } = g; (g as { cpu: typeof cpu }).cpu = g.machine.vcpus[1]!; attack(); (g as { cpu: typeof cpu }).cpu = cpu; };
    expect(inParts(g, MMUEXT_PIN_L1_TABLE + level - 1, top, () => { const args = save(g); attackByOther(); restore(g, args); }).rc).toBe(0);
    expect(inParts(g, MMUEXT_UNPIN_TABLE, top, () => { const args = save(g); attackByOther(); restore(g, args); }).rc).toBe(0);
    allFree(t);
  });

  it.each(['the tree', 'a level-2 table'])('validates %s from another vCPU while it is partial, and undoes it', what => {
    for (let when = 1; when < 20; when += 3) {
      const t = tree(wide), { g, top, level, l2 } = t, [mfn, at] = what === 'the tree' ? [top, level] : [l2, 2];
      let pins = 0;
      const meddle = (part: number) => {
        if (part === when) pins += other(g, MMUEXT_PIN_L1_TABLE + at - 1, mfn) === 0 ? 1 : 0;
        if (part === when + 2 && pins > 0) pins -= other(g, MMUEXT_UNPIN_TABLE, mfn) === 0 ? 1 : 0;
      };
      const { rc } = inParts(g, MMUEXT_PIN_L1_TABLE + level - 1, top, meddle);
      expect([0, EINVAL]).toContain(rc);
      if (rc === 0 || (pins > 0 && mfn === top)) expect(inParts(g, MMUEXT_UNPIN_TABLE, top, () => {}).rc).toBe(0);
      if (pins > 0 && mfn !== top) expect(other(g, MMUEXT_UNPIN_TABLE, mfn)).toBe(0);
      allFree(t);
    }
  });

  it.each(['the tree', 'a level-2 table'])('pins %s again while it is being undone', what => {
    for (let when = 1; when < 20; when += 3) {
      const t = tree(wide), { g, top, level, l2 } = t, [mfn, at] = what === 'the tree' ? [top, level] : [l2, 2];
      expect(inParts(g, MMUEXT_PIN_L1_TABLE + level - 1, top, () => {}).rc).toBe(0);
      let pins = 0;
      expect(inParts(g, MMUEXT_UNPIN_TABLE, top, part => { if (part === when) pins += other(g, MMUEXT_PIN_L1_TABLE + at - 1, mfn) === 0 ? 1 : 0; }).rc).toBe(0);
      if (pins > 0) expect(other(g, MMUEXT_UNPIN_TABLE, mfn)).toBe(0);
      allFree(t);
    }
  });

  it('gives a tree that fails in its last entry: all is undone, in parts', () => {
    for (let when = 1; when < 12; when += 3) {
      const t = tree(wide), { g, top, level, l2 } = t;
      g.map(g.va(l2), entryOf(l2, DATA));
      g.xen.write(g.cpu, g.va(l2) + 400n, new Uint8Array(8).fill(0xff, 0, 2)); // entry 50: flags that are refused
      g.map(g.va(l2), entryOf(l2, READ));
      const { rc } = inParts(g, MMUEXT_PIN_L1_TABLE + level - 1, top, part => { if (part === when) expect(other(g, MMUEXT_PIN_L1_TABLE + 1, l2)).toBe(EINVAL); });
      expect(rc).toBe(EINVAL);
      allFree(t);
    }
  });

  it('leaves its root while it is undone', () => {
    const t = tree(wide), { g, top, all } = t, root = g.tables[0]!;
    if (!wide) return expect(inParts(g, MMUEXT_NEW_BASEPTR, top, () => {}).rc).toBeLessThanOrEqual(0);
    g.map(g.va(top), entryOf(top, DATA));
    g.xen.write(g.cpu, g.va(top) + 4088n, new Uint8Array(new BigUint64Array([entryOf(g.tables[1]!, TABLE)]).buffer));
    g.map(g.va(top), entryOf(top, READ));
    expect(inParts(g, MMUEXT_NEW_BASEPTR, top, () => {}).rc).toBe(0);
    const { rc, parts } = inParts(g, MMUEXT_NEW_BASEPTR, root, () => { for (const mfn of all) if (partial(g, mfn)) expect(g.entry(root, 511)).not.toBe(0n); });
    expect([rc, parts > 3]).toEqual([0, true]);
    allFree(t);
  });
});

/** The page of arguments, which vCPU 0 will read again. */
function save(g: Guest): Uint8Array {
  const page = new Uint8Array(4096);
  g.machine.read(BigInt(ARGS) * 4096n, page);
  return page;
}

function restore(g: Guest, page: Uint8Array): void {
  g.machine.write(BigInt(ARGS) * 4096n, page);
}
