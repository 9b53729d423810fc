import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/errors.ts';
import { BackRing, FrontRing } from '../../src/xen/ring.ts';

const ENTRY = 112;

function rings(): { words: Int32Array; front: FrontRing; back: BackRing } {
  const page = { buffer: new SharedArrayBuffer(8192), offset: 4096 };
  return { words: new Int32Array(page.buffer, 4096, 1024), front: new FrontRing(page, ENTRY), back: new BackRing(page, ENTRY) };
}

/** Make requests, or answer them: numbers in their first word. */
const ask = (front: FrontRing, ...ids: number[]) => {
  for (const id of ids) front.request().setUint32(0, id, true);
  return front.push();
};
const answer = (back: BackRing, many: number) => {
  for (let k = 0; k < many; k++) {
    const id = back.request().getUint32(0, true);
    back.response().setUint32(0, id + 100, true);
  }
  return back.push();
};

describe('a ring', () => {
  it('has the sizes of the public interfaces', () => {
    const size = (bytes: number) => new BackRing({ buffer: new ArrayBuffer(4096), offset: 0 }, bytes).size;
    expect([112, 108, 12, 8].map(size)).toEqual([32, 32, 256, 256]); // blkif of 64 and 32 bits, netif tx, rx
    expect([4032, 2016, 1].map(size)).toEqual([1, 2, 2048]);
    for (const bytes of [0, 4033, 1.5]) expect(() => size(bytes)).toThrow(ConfigError);
    expect(() => new BackRing({ buffer: new ArrayBuffer(4096), offset: 4 }, 8)).toThrow(ConfigError);
  });

  it('lies in the page as the public header says', () => {
    const { words, front, back } = rings();
    expect([...words.slice(0, 4)]).toEqual([0, 1, 0, 1]);
    ask(front, 7, 8);
    expect([words[0], words[16], words[16 + ENTRY / 4]]).toEqual([2, 7, 8]);
    answer(back, 1);
    expect([words[2], words[16]]).toEqual([1, 107]);
  });

  it('asks for one notification of what comes while the other end sleeps, and of none while it works', () => {
    const { front, back } = rings();
    expect(ask(front, 1)).toBe(true); //   it waits from the start
    expect(ask(front, 2, 3)).toBe(false); // it was told and has not looked
    expect(back.requests).toBe(3);
    expect(answer(back, 3)).toBe(true);
    expect(back.mustGoOn()).toBe(false);
    expect(ask(front, 4)).toBe(true);
    expect(front.responses).toBe(3);
    expect([1, 2, 3].map(() => front.response().getUint32(0, true))).toEqual([101, 102, 103]);
    expect(answer(back, 1)).toBe(false); // the front has not said yet that it goes to sleep
    expect(front.mustGoOn()).toBe(true); // and when it would, it sees that it must not
  });

  it('loses no request that comes between the last look and the sleep', () => {
    const { words, front, back } = rings();
    ask(front, 1);
    answer(back, 1);
    expect(back.requests).toBe(0);
    expect(ask(front, 2)).toBe(false); // not told of this one ...
    expect(back.mustGoOn()).toBe(true); // ... so that it has to look again
    answer(back, 1);
    expect(back.mustGoOn()).toBe(false);
    expect(words[1]).toBe(3);
  });

  it('runs on beyond 2^32', () => {
    const { words, front, back } = rings(), at = 2 ** 32 - 2;
    for (const ring of [front, back] as unknown as Record<string, number>[]) for (const name of ['requested', 'answered', 'taken']) if (name in ring) ring[name] = at;
    words.set([at, at + 1, at, at + 1].map(x => x | 0));
    for (let round = 0; round < 4; round++) {
      expect(ask(front, round)).toBe(true);
      expect([back.requests, answer(back, 1), back.mustGoOn()]).toEqual([1, true, false]);
      expect([front.responses, front.response().getUint32(0, true), front.mustGoOn()]).toEqual([1, round + 100, false]);
    }
    expect([words[0], front.free]).toEqual([2, 32]);
  });

  it('is full at its size, and the back takes no more than it can answer', () => {
    const { front, back } = rings();
    ask(front, ...Array.from({ length: 32 }, (_, k) => k));
    expect([front.free, back.requests]).toEqual([0, 32]);
    for (let k = 0; k < 32; k++) back.request();
    expect(back.requests).toBe(0);
  });

  it('tells of an end that misbehaves, and keeps a copy of what that may change', () => {
    const { words, front, back } = rings();
    ask(front, 5);
    const request = back.request();
    words[16] = 6;
    expect(request.getUint32(0, true)).toBe(5);
    words[0] = 33;
    expect(back.requests).toBe(-1);
    words[2] = 2; // one request, two responses
    expect(front.responses).toBe(-1);
    words[2] = -5;
    expect(front.responses).toBe(-1);
  });
});
