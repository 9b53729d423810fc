/** Random histories of grants and events: domains that grant, map, copy, transfer, bind, send and die, audited after every call. */
import { describe, expect, it } from 'vitest';
import { PGT_TYPE_MASK, PGT_WRITABLE } from '../../src/layout/frame.ts';
import {
  GNTMAP_contains_pte, GNTTABOP_setup_table, GNTTABOP_swap_grant_ref, GNTTABOP_unmap_and_replace, GTF_accept_transfer, GTF_permit_access, GTF_readonly,
  GTF_sub_page, GTF_transitive,
} from '../../src/xen/grant-numbers.ts';
import { ECS_UNBOUND, type Port } from '../../src/xen/event-port.ts';
import { DOMID_SELF } from '../../src/xen/numbers.ts';
import { struct, UNMAP_STATUS, unmapOp, type CopySide } from './grant-struct.ts';
import { DATA, entryOf, READ } from './guest.ts';
import { DATA_FRAME, SPARE, Tenants, type Tenant, type TenantsOptions } from './tenants.ts';

const STEPS = 400;
const REFS = 6, PAGES = 6, PORTS = 10; // few, so that they meet

/** A generator of numbers, the same for the same seed. */
function lcg(seed: number): (below: number) => number {
  let x = seed;
  return below => {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    return Math.floor((x / 2 ** 32) * below);
  };
}

interface Granted { readonly owner: Tenant; readonly ref: number; readonly to: number; readonly kind: number }
interface Mapped { readonly by: Tenant; readonly at: bigint; readonly bus: number; readonly handle: number }

const ports = (t: Tenant): Port[] => Array.from({ length: t.domain.events.valid }, (_, n) => t.domain.events.port(n)).filter(({ usable }) => usable);

class History {
  readonly world: Tenants;
  readonly results: number[] = [];
  private readonly r: (below: number) => number;
  private mapped: Mapped[] = [];
  private granted: Granted[] = [];
  private nextId = 10;

  constructor(seed: number, options: TenantsOptions) {
    this.r = lcg(seed);
    this.world = new Tenants({ domains: 2 + (seed % 3), maxVcpus: 2, grants: { maxFrames: 4, maxMaptrackFrames: 1 }, ...options });
  }

  private one<T>(list: readonly T[]): T { return list[this.r(list.length)]; }
  private ref(): number { return this.r(40) === 0 ? this.one([0, 511, 512, 5000, 0xffffffff]) : 6 + this.r(REFS); }
  private id(): number { return this.r(12) === 0 ? this.one([DOMID_SELF, this.nextId - 1, 77]) : this.one(this.world.list).id; }
  private page(): number { return this.r(4) === 0 ? DATA_FRAME + this.r(PAGES) : SPARE + this.r(PAGES); }

  /** An entry as it is written now, that may do for a domain; mostly. @returns `[domain, reference]` */
  private offer(t: Tenant, transfer = false): [id: number, ref: number] {
    const offers = this.granted.filter(({ to, kind }) => to === t.id && (kind === GTF_accept_transfer) === transfer);
    if (offers.length === 0 || this.r(8) === 0) return [this.id(), this.ref()];
    const { owner, ref } = this.one(offers);
    return [owner.id, ref];
  }

  private frame(t: Tenant): number {
    const other = this.one(this.world.list);
    return this.r(6) === 0 ? this.one([t.level1, other.frame(DATA_FRAME), other.domain.grants.frames[0], t.sharedInfo, 0x50, 0x9ff, 0x7fffffff]) : t.frame(DATA_FRAME + this.r(PAGES));
  }

  step(): number {
    const t = this.one(this.world.list);
    switch (this.r(16)) {
      case 0: case 1: return this.entry(t);
      case 2: case 3: case 4: return this.map(t);
      case 5: case 6: return this.unmap(t);
      case 7: case 8: return this.copy(t);
      case 9: return this.own(t);
      case 10: return this.table(t);
      case 11: return this.r(4) === 0 ? this.die() : this.scribble(t);
      default: return this.event(t);
    }
  }

  private entry(t: Tenant): number {
    const kind = this.one([GTF_permit_access, GTF_permit_access, GTF_permit_access, GTF_permit_access | GTF_readonly, GTF_accept_transfer, GTF_transitive, GTF_permit_access | GTF_sub_page, 0]);
    const to = this.one(this.world.list).id, ref = 6 + this.r(REFS);
    this.granted = [...this.granted.filter(entry => entry.owner !== t || entry.ref !== ref), { owner: t, ref, to, kind }];
    if (t.domain.grants.version === 1) t.grant(ref, kind, to, this.frame(t));
    else if (kind === GTF_transitive) t.grant2(ref, kind, to, this.id(), this.ref());
    else t.grant2(ref, kind, to, this.one([0, 100 | (200 << 16), 4000 | (96 << 16), 4000 | (97 << 16), -1 >>> 0]), this.frame(t));
    return 0;
  }

  private map(t: Tenant): number {
    const k = this.page(), by = this.r(4) === 0 ? GNTMAP_contains_pte : 0, at = this.r(10) === 0 ? 0n : by ? t.entryAddress(k) : t.va(k), [from, ref] = this.offer(t);
    const { status, handle } = t.mapGrant(at, this.one([0, 1, 2, 3, 4, 5, 2, 2, 3, 6, 6, 7, 14, 0x50002]) | by, ref, from);
    if (status === 0) this.mapped.push({ by: t, at, bus: this.world.xen.host.domain(from)!.grants.active.mfn(ref) * 4096, handle });
    return status;
  }

  private unmap(t: Tenant): number {
    const mine = this.mapped.filter(({ by }) => by === t), known = mine.length > 0 && this.r(8) !== 0 ? this.one(mine) : undefined;
    const at = known && this.r(10) !== 0 ? known.at : this.one([0n, t.va(this.page())]), handle = known?.handle ?? this.one([this.r(4), 255, 256, 0xffffffff]);
    const device = known && this.r(3) !== 0 ? known.bus : 0;
    if (this.r(6) !== 0) return t.unmapGrant(at, device, handle);
    return t.grantOp(GNTTABOP_unmap_and_replace, unmapOp(at, this.one([0n, t.va(this.page())]), handle)).out[0].getInt16(UNMAP_STATUS, true);
  }

  private side(t: Tenant): CopySide {
    const offset = this.one([0, 100, 100, 4000]);
    return this.r(3) === 0 ? ['frame', this.frame(t), this.r(10) === 0 ? this.id() : DOMID_SELF, offset] : this.sideOf(t, offset);
  }

  private sideOf(t: Tenant, offset: number): CopySide {
    const [id, ref] = this.offer(t);
    return ['ref', ref, id, offset];
  }

  private copy(t: Tenant): number {
    return t.copy(...Array.from({ length: 1 + this.r(3) }, () => [this.side(t), this.side(t), this.one([0, 1, 8, 64, 96, 4096])] as const)).reduce((sum, status) => sum * 16 + status, 0);
  }

  /** What a domain does with its own pages: maps over, pins as a table, gives away. */
  private own(t: Tenant): number {
    const k = this.page(), frame = t.frame(DATA_FRAME + this.r(PAGES));
    switch (this.r(5)) {
      case 0: return t.map(k, 0n);
      case 1: return t.map(k, entryOf(frame, this.r(2) ? DATA : READ));
      case 2: return t.map(frame - t.first, entryOf(frame, READ)) || t.ext(0, frame); // pin as a level-1 table
      case 3: return t.ext(4, frame);
      default: {
        const given = 24 + this.r(32);
        return this.r(8) === 0 ? t.transfer(frame, ...this.offer(t, true)) : t.map(given, 0n) || t.transfer(t.frame(given), ...this.offer(t, true));
      }
    }
  }

  private table(t: Tenant): number {
    switch (this.r(4)) {
      case 0: case 1: return t.setVersion(1 + this.r(2));
      case 2: return t.grantOp(GNTTABOP_swap_grant_ref, struct([[4, this.ref()], [4, this.ref()], [2, 0], [2, 0]])).out[0].getInt16(8, true);
      default: {
        const size = this.world.wide ? 8 : 4, pad: [number, number][] = this.world.wide ? [[4, 0]] : [], frames = this.one([1, 2, 3, 4, 5]);
        const list = t.va(63) + 2048n;
        return t.grantOp(GNTTABOP_setup_table, struct([[2, DOMID_SELF], [2, 0], [4, frames], [2, 0], [2, 0], ...pad, [size, list]])).out[0].getInt16(8, true);
      }
    }
  }

  private event(t: Tenant): number {
    const command = this.r(15), id = this.id(), mine = ports(t), wild = this.r(20) === 0;
    const port = wild ? this.one([0, 1 + this.r(PORTS), 4095, 0x1ffff, -1]) : (this.one(mine)?.number ?? 1);
    const open = this.world.list.flatMap(owner => ports(owner).filter(({ state, remoteDomid }) => state === ECS_UNBOUND && remoteDomid === t.id).map(({ number }) => [owner.id, number]));
    if (command === 6 && mine.length > PORTS) return t.event(3, port).rc;
    const words: Record<number, () => number[]> = {
      0: () => (wild || open.length === 0 ? [id, port] : this.one(open)), 1: () => [this.r(25), this.r(3)], 2: () => [this.r(3), 0], 5: () => [id, port],
      6: () => [(this.r(6) === 0 ? id : DOMID_SELF) | (this.id() << 16)],
      7: () => [this.r(3)], 8: () => [port, this.r(3)], 10: () => [this.r(8) === 0 ? DOMID_SELF : 77], 11: () => [this.frame(t), 0, this.r(8) * 8, this.r(3)],
      12: () => [this.frame(t), 0], 13: () => [port, this.r(17)],
    };
    return t.event(command, ...(words[command]?.() ?? [port])).rc;
  }

  /** A guest writes what it likes into the pages that it shares. */
  private scribble(t: Tenant): number {
    const mfn = this.one([t.sharedInfo, t.frame(DATA_FRAME + this.r(PAGES))]), data = Uint8Array.from({ length: 16 }, () => this.r(256));
    if ((this.world.xen.host.frames.type(mfn) & PGT_TYPE_MASK) === PGT_WRITABLE) this.world.machine.write(BigInt(mfn * 4096 + 8 * this.r(40)), data);
    return 0;
  }

  private die(): number {
    const index = this.r(this.world.list.length), dead = this.world.list[index];
    this.world.replace(index, this.nextId++, this.r(2) === 0);
    this.mapped = this.mapped.filter(({ by }) => by !== dead);
    this.granted = this.granted.filter(({ owner }) => owner !== dead);
    return this.world.xen.host.domains.size;
  }
}

function live(seed: number, options: TenantsOptions): { readonly results: number[]; readonly state: Buffer; readonly deaths: number } {
  const history = new History(seed, options), { world } = history;
  let deaths = 0;
  for (let k = 0; k < STEPS; k++) {
    const before = [...world.list];
    try {
      history.results.push(history.step());
    } catch (error) {
      throw new Error(`seed ${seed}, step ${k}: ${String(error)}`, { cause: error });
    }
    if (world.list.some((t, place) => t !== before[place])) deaths++;
  }
  const state = world.state(), ids = [...world.xen.host.domains.keys()];
  for (const id of ids) if (world.xen.host.domain(id)?.dying === false) world.xen.destroyDomain(id);
  expect(world.xen.audit()).toEqual([]);
  expect([...world.xen.host.domains.keys()]).toEqual([]); // all that they had mapped is gone with them
  return { results: history.results, state, deaths };
}

describe.each([['64-bit', true], ['32-bit', false]] as const)('a random history of %s domains', (_, wide) => {
  it.each([1, 2, 3])('with seed %i holds the audit, leaves nothing, and comes to the same in the other engine, preempted', seed => {
    const one = live(seed, { wide });
    expect(new Set(one.results).size).toBeGreaterThan(12);
    expect(one.results.filter(rc => rc === 0).length).toBeGreaterThan(STEPS / 5);
    expect(one.deaths).toBeGreaterThan(0);
    const two = live(seed, { wide, engine: 'wasm', budget: 1 });
    expect(two.results).toEqual(one.results);
    expect(Buffer.compare(two.state, one.state)).toBe(0);
  }, 60_000);
});
