/** A small guest under shadow paging, whose tables a test writes entry by entry. */
import { expect } from 'vitest';
import { ACCESS_READ } from '../../../src/arch/fault.ts';
import { Machine, presets } from '../../../src/index.ts';
import type { ShadowPolicy } from '../../../src/virt/shadow/policy.ts';
import { ShadowedGuest, type ShadowOptions } from '../../../src/virt/shadow/shadowed-guest.ts';

export const FRAMES = 2048, POOL = { first: 1, frames: 100 }, P2M_FIRST = 512;
export const P = 1n, RW = 2n, US = 4n, A = 0x20n, D = 0x40n, PS = 0x80n, USER_PAGE = P | RW | US;
export const ROOT = 1, L3 = 2, L2 = 3, L1 = 4, OTHER_L1 = 5, MAP_L2 = 6, MAP_L3 = 7, DATA = 1024;
export const MAP = 0xffff_8000_0000_0000n;

/** A 4-level guest, its machine frames in reverse, all of its memory at MAP by 4-Kbyte pages of one table and large ones. */
export class Guest {
  readonly machine = Machine.create({ memory: '32M', cpu: presets.skylake, paging: 'none' });
  readonly p2m = Int32Array.from({ length: FRAMES }, (_, gfn) => P2M_FIRST + FRAMES - 1 - gfn);
  readonly shadow: ShadowedGuest;
  readonly cpu;

  constructor(policy: Partial<ShadowPolicy> = {}, more: Partial<ShadowOptions> = {}) {
    this.shadow = ShadowedGuest.create({ machine: this.machine, vcpus: this.machine.vcpus, p2m: this.p2m, pool: POOL, policy, ...more });
    this.cpu = this.shadow.vcpus[0]!;
    this.put(ROOT, 0, L3, USER_PAGE);
    this.put(L3, 0, L2, USER_PAGE);
    this.put(L2, 0, L1, USER_PAGE);
    this.put(L2, 1, OTHER_L1, USER_PAGE);
    this.put(ROOT, 256, MAP_L3, P | RW);
    this.put(MAP_L3, 0, MAP_L2, P | RW);
    for (let k = 0; k < 4; k++) this.put(MAP_L2, k, k * 512, P | RW | PS);
    for (let k = 0; k < 16; k++) this.put(L1, k, DATA + k, USER_PAGE);
    const faults = [this.cpu.writeCr4(0x20n), this.cpu.writeEfer(0x900n), this.cpu.writeCr3(BigInt(ROOT * 4096)), this.cpu.writeCr0(0x8001_0031n)];
    expect(faults).toEqual([0, 0, 0, 0]);
    this.cpu.setCode64(true);
  }

  put(gfn: number, index: number, target: number, flags: bigint): void {
    this.poke(gfn, index, BigInt(target) << 12n | flags);
  }

  poke(gfn: number, index: number, value: bigint): void {
    this.machine.write(BigInt(this.p2m[gfn]! * 4096 + index * 8), bytesOf(value));
    this.shadow.written(gfn * 4096 + index * 8, 8);
  }

  entry(gfn: number, index: number): bigint {
    const out = new Uint8Array(8);
    this.machine.read(BigInt(this.p2m[gfn]! * 4096 + index * 8), out);
    return new DataView(out.buffer).getBigUint64(0, true);
  }

  /** The guest's kernel stores an entry. */
  store(gfn: number, index: number, value: bigint): void {
    expect(this.cpu.write(MAP + BigInt(gfn * 4096 + index * 8), bytesOf(value), ACCESS_READ)).toBe(0);
  }

  /** What an action did to the counters. */
  counting(act: () => void): Record<string, number> {
    this.shadow.resetCounters();
    act();
    expect(this.shadow.audit()).toEqual([]);
    return Object.fromEntries(Object.entries(this.shadow.counters()).filter(([, n]) => n !== 0));
  }
}

export const bytesOf = (value: bigint): Uint8Array => {
  const data = new Uint8Array(8);
  new DataView(data.buffer).setBigUint64(0, value, true);
  return data;
};
export const page = (k: number): bigint => BigInt(k * 4096);
