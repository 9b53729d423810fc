import { expect, it } from 'vitest';
import { dirtyFrames } from '../../src/models/dirty-log.ts';
import { IdentityModel } from '../../src/models/identity-model.ts';
import { migrate } from '../../src/models/live-migration.ts';
import { P2mModel } from '../../src/models/p2m-model.ts';
import { ShadowLog, type ShadowRounds } from '../../src/models/shadow-log.ts';
import { FIRST, Guest } from '../xen/guest.ts';

/** Rounds as shadows keep them, without the shadows. */
class Rounds implements ShadowRounds {
  on = false;
  made = 3;
  bits = new Uint8Array(1024);
  startLogDirty(): void { this.on = true; this.cleanLogDirty(); }
  stopLogDirty(): void { this.on = false; }
  peekLogDirty(): Uint8Array { return this.bits.slice(); }
  cleanLogDirty(): Uint8Array { const { bits } = this; this.bits = new Uint8Array(1024); return bits; }
  written(address: number): void { this.write(address / 4096); }
  counters() { return { logDirty: this.made }; }
  write(frame: number): void {
    if (!this.on || this.bits[frame >>> 3]! & 1 << (frame & 7)) return;
    this.bits[frame >>> 3]! |= 1 << (frame & 7);
    this.made++;
  }
}

it('a log that shadows keep is peeked, cleaned and counted like every other', () => {
  const guest = new Rounds(), log = new ShadowLog(guest, 64);
  expect(() => log.peek()).toThrow('log: ');
  log.enable();
  expect(() => log.enable()).toThrow('log: ');
  for (const frame of [5, 40, 5, 63]) guest.write(frame);
  log.mark(7);
  log.mark(5);
  for (let peeks = 0; peeks < 2; peeks++) {
    const pages = log.peek();
    expect([dirtyFrames(pages.bitmap), pages.dirty, pages.faults, log.fault()]).toEqual([[5, 7, 40, 63], 4, 3, false]);
  }
  expect(log.clean()).toMatchObject({ dirty: 4, faults: 3 });
  expect(log.clean()).toMatchObject({ dirty: 0, faults: 0 });
  guest.write(5);
  expect([dirtyFrames(log.peek().bitmap), log.peek().faults]).toEqual([[5], 1]);
  log.disable();
  expect(guest.on).toBe(false);
  expect(() => log.clean()).toThrow('log: ');
  log.mark(9);
  expect(guest.made).toBe(3 + 5);
});

it('of a guest with machine frames in its tables, the bitmap is of pseudo-physical ones, and what is not its own is left out', () => {
  const { xen } = new Guest(), guest = new Rounds(), log = new ShadowLog(guest, 1024, new P2mModel(xen, 0));
  log.enable();
  for (const frame of [FIRST + 9, FIRST + 1023, 3]) guest.write(frame);
  log.mark(10);
  log.mark(5000);
  expect(dirtyFrames(log.peek().bitmap)).toEqual([9, 10, 1023]);
  expect([...guest.bits.entries()].filter(([, byte]) => byte).map(([k]) => k)).toEqual([0, (FIRST + 9) >>> 3, (FIRST + 1023) >>> 3]);
  log.disable();
  const sent: (readonly number[])[] = [];
  expect(migrate({ log, pages: [...Array(1024).keys()], send: gfns => sent.push(gfns), run: round => { guest.write(FIRST + round); } })).toMatchObject({ reason: 'few dirty', downtimePages: 1, rounds: [{ sent: 1024, dirty: 1, faults: 1 }] });
  expect(sent[1]).toEqual([1]);
});

it('of a guest whose frames are the machine\'s, the bitmap is of those, and what is not its own is left out', () => {
  const guest = new Rounds(), log = new ShadowLog(guest, 64, new IdentityModel(16, 40));
  log.enable();
  for (const frame of [15, 16, 33, 55, 56]) guest.write(frame);
  log.mark(34);
  log.mark(60);
  expect(dirtyFrames(log.peek().bitmap)).toEqual([16, 33, 34, 55]);
  expect(dirtyFrames(log.clean().bitmap)).toEqual([16, 33, 34, 55]);
  expect(log.clean().dirty).toBe(0);
});
