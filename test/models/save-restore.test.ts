import { describe, expect, it } from 'vitest';
import { ConfigError, InputError } from '../../src/errors.ts';
import { readImage, writeImage, type ImageRecord } from '../../src/memory/image.ts';
import { DOMAIN_FORM, PAGE, VCPU } from '../../src/models/domain-form.ts';
import { restoreDomain, type RestoreOptions } from '../../src/models/restore-domain.ts';
import { saveDomain } from '../../src/models/save-domain.ts';
import { lcg } from '../xen/lcg.ts';
import { FIRST, PAGES, PvWorld, SHARED } from './pv-world.ts';

const widths = [['64-bit', true], ['32-bit', false]] as const;

/** Free frames above the first megabyte in an order of their own. */
function shuffled(world: PvWorld, seed: number): number[] {
  const r = lcg(seed), { frames } = world.xen.host, free = Array.from({ length: frames.count }, (_, mfn) => mfn).filter(mfn => frames.isFree(mfn) && mfn !== SHARED);
  for (let k = free.length - 1; k > 0; k--) {
    const other = r(k + 1);
    [free[k], free[other]] = [free[other]!, free[k]!];
  }
  return free;
}

function restored(image: Uint8Array, wide: boolean, seed: number, more: Partial<RestoreOptions> = {}, budget = Infinity): PvWorld {
  const world = new PvWorld(wide, budget);
  world.guest = restoreDomain(world.xen, image, { id: 3, cpus: [world.cpu], toolstack: world.toolstack, frames: shuffled(world, seed), sharedInfo: SHARED, file: 'guest.pwvd', ...more });
  return world;
}

describe.each(widths)('a %s domain that was saved', (_, wide) => {
  const source = new PvWorld(wide);
  source.start();
  const image = saveDomain(source.xen, 7), outcomes = source.outcomes(), hashes = source.hashes();

  it('maps something worth it', () => {
    expect(source.xen.audit()).toEqual([]);
    expect(new Set(outcomes).size).toBeGreaterThan(PAGES);
    expect(outcomes.filter(text => /^14\//.test(text)).length).toBeGreaterThan(100);
    const types = new Set(readImage(DOMAIN_FORM, image, '').filter(({ kind }) => kind === PAGE).map(({ payload }) => payload[3]! >>> 4));
    expect([...types].sort((a, b) => a - b)).toEqual(wide ? [0, 1, 2, 3, 4, 9, 12] : [0, 1, 2, 3, 9, 11]);
  });

  it.each([1, 2])('is the same guest on other frames, and a second save the same bytes (seed %i)', seed => {
    const world = restored(image, wide, seed);
    expect(world.xen.audit()).toEqual([]);
    const moved = [...world.guestFrames].filter(([pfn, mfn]) => mfn !== FIRST + pfn).length;
    expect(moved).toBeGreaterThan(PAGES - 5);
    expect(world.outcomes()).toEqual(outcomes);
    expect(world.hashes()).toEqual(hashes);
    expect(Buffer.compare(saveDomain(world.xen, 3), image)).toBe(0);
    const [was, is] = [source.guest!.vcpus[0]!, world.guest!.vcpus[0]!];
    expect([is.traps.get(14), [...is.segmentBases], is.ldtEntries, is.gdtEntries, is.kernelSpLo]).toEqual([was.traps.get(14), [...was.segmentBases], was.ldtEntries, was.gdtEntries, was.kernelSpLo]);
    expect(is.gdt.length).toBe(1);
    world.ext(4, world.mfn(20)); // and goes on: unpins
    expect(() => world.ext(4, world.mfn(20))).toThrow('hypercall 26: -22');
    expect(Buffer.compare(saveDomain(world.xen, 3), image)).not.toBe(0);
    world.xen.destroyDomain(3);
    expect(world.xen.audit()).toEqual([]);
  });

  it('is so with its hypercalls preempted, and beside the domain that it was', () => {
    expect(Buffer.compare(saveDomain(restored(image, wide, 5, {}, 3).xen, 3), image)).toBe(0);
    const world = new PvWorld(wide);
    world.start();
    const before = saveDomain(world.xen, 7), spare = world.machine.vcpus[1]!;
    restoreDomain(world.xen, image, { id: 8, cpus: [spare], toolstack: world.toolstack });
    expect(Buffer.compare(saveDomain(world.xen, 8), image)).toBe(0);
    expect(Buffer.compare(saveDomain(world.xen, 7), before)).toBe(0);
    expect(world.xen.audit()).toEqual([]);
  });

  it('tells no machine frame', () => {
    const world = restored(image, wide, 6), again = saveDomain(world.xen, 3);
    const pages = (bytes: Uint8Array) => readImage(DOMAIN_FORM, bytes, '').filter(({ kind }) => kind !== PAGE);
    expect(pages(again)).toEqual(pages(image));
  });

  const world = new PvWorld(wide), free = shuffled(world, 9);

  /** Restore a changed image. @returns the error; the hypervisor has no domain more than before, and all its frames */
  function refusal(spoiled: Uint8Array, more: Partial<RestoreOptions> = {}): Error {
    const before = Buffer.from(world.machine.views.u8);
    let error: unknown;
    try {
      restoreDomain(world.xen, spoiled, { id: 3, cpus: [world.cpu], toolstack: world.toolstack, frames: free, file: 'guest.pwvd', ...more });
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(Error);
    expect([world.xen.host.domain(3), free.every(mfn => world.xen.host.frames.isFree(mfn)), world.xen.audit()]).toEqual([undefined, true, []]);
    Object.assign(error as object, { changed: Buffer.compare(before, world.machine.views.u8) !== 0 });
    return error as Error;
  }

  it('cut short, flipped, of another version: is refused with file, byte and field, and nothing is changed', () => {
    const r = lcg(4), spoil = (at: number, by: (byte: number) => number) => Uint8Array.from(image, (byte, k) => (k === at ? by(byte) : byte));
    for (const length of [0, 15, 16, 40, 2000, image.length - 1]) expect(refusal(image.slice(0, length))).toMatchObject({ name: 'InputError', file: 'guest.pwvd', where: expect.stringMatching(`^byte ${length} \\(`), changed: false });
    for (let k = 0; k < 25; k++) expect(refusal(spoil(k < 20 ? k : r(image.length), byte => byte ^ 1 << r(8)))).toMatchObject({ name: 'InputError', where: expect.stringMatching(/^byte \d+ \(.+\)$/), changed: false });
    expect(refusal(Buffer.concat([image, Uint8Array.of(0)]))).toMatchObject({ name: 'InputError', where: `byte ${image.length} (end)`, changed: false });
    expect(refusal(spoil(4, () => 2))).toMatchObject({ message: 'guest.pwvd: byte 4 (version): expected 1, got 2', changed: false });
    expect(refusal(spoil(image.length - 1, byte => byte ^ 4)).message).toMatch(/^guest.pwvd: byte \d+ \(checksum of page 255\): expected 0x\w+, got 0x\w+$/);
  });

  /** The image with other records, under right checksums. */
  const forged = (change: (records: (ImageRecord & { words: DataView })[]) => void): Uint8Array => {
    const records = readImage(DOMAIN_FORM, image, '').map(record => ({ ...record, words: new DataView(record.payload.buffer, record.payload.byteOffset) }));
    change(records);
    return writeImage(DOMAIN_FORM, records);
  };

  it.each<[string, RegExp, (records: (ImageRecord & { words: DataView })[]) => void]>([
    ['a page that is not there', /byte \d+ \((page 5|page 13|page \d+|vcpu 0)\): expected (entry \d+: )?a frame of the domain/, records => { records.splice(records.findIndex(({ kind, number }) => kind === PAGE && number === 60), 1); records[0]!.words.setUint32(40, PAGES - 1, true); }],
    ['a count that is wrong', /domain 0\): expected pages: 256, as there are, got 9/, records => records[0]!.words.setUint32(40, 9, true)],
    ['pages out of order', /page \d+\): expected a pseudo-physical frame after the one before/, records => { records.push(records.splice(-5, 1)[0]!); }],
    ['a type that there is not', /page 255\): expected a type of frame, got 0x50000000/, records => records.at(-1)!.words.setUint32(0, 0x50000000, true)],
    ['a root beyond', /vcpu 0\): expected a frame of the domain, got 9999/, records => records.find(({ kind }) => kind === VCPU)!.words.setInt32(4, 9999, true)],
    ['no vcpu record', /domain 0\): expected vcpus: 0, as there are, got 1/, records => { records.splice(1, 1); }],
    ['more vCPUs than there may be', /byte 44 \(domain 0\): expected maxVcpus: at most 8192, got 9000/, records => records[0]!.words.setUint32(12, 9000, true)],
    ['a mode of 2', /vcpu 0\): expected kernel mode: at most 1, got 2/, records => records[1]!.words.setUint32(0, 2, true)],
    ['an LDT off its page', /vcpu 0\): expected base of the LDT: a page/, records => records[1]!.words.setUint32(20, 0x1234, true)],
    ['an LDT that is too long', /vcpu 0\): expected entries of the LDT: at most 8192, got 8193/, records => records[1]!.words.setUint32(28, 8193, true)],
    ['a GDT of more entries than frames have', /vcpu 0\): expected entries of the GDT: at most 512, got 513/, records => records[1]!.words.setUint32((3 + 11 + 6) * 4, 513, true)],
    ['a segment base that is no address', /vcpu 0\): expected a segment base: a canonical address, got 0x10000/, records => records[1]!.words.setUint32((3 + 11 + 1) * 4, 0x10000, true)],
    ['no domain', /record 0/, records => { records.splice(0, 1); }],
    ['a flag of 3', /is32: 0 or 1, got 3/, records => records[0]!.words.setUint32(0, 3, true)],
  ])('with %s is refused before anything is made', (_name, message, change) => {
    const error = refusal(forged(change));
    expect(error).toBeInstanceOf(InputError);
    expect(error).toMatchObject({ message: expect.stringMatching(message), changed: false });
  });

  it.each<[string, RegExp, (records: (ImageRecord & { words: DataView })[]) => void]>([
    ['a writable entry for a page table', /(root: expected a root table that can be validated|page \d+: expected a (table|frame))/, records => {
      const { words } = records.find(({ kind, number }) => kind === PAGE && number === (wide ? 3 : 5))!;
      words.setUint32(4, words.getUint32(4, true) | 2, true); // entry 0: page 0 is the root
    }],
    ['a table called data', /page 20: expected a frame of type 0x10000000|page \d+: expected/, records => records.find(({ kind, number }) => kind === PAGE && number === 20)!.words.setUint32(0, 0x10000000, true)],
    ['a data page as root', /vcpu 0, root: expected a root table that can be validated, got -22/, records => records.find(({ kind }) => kind === VCPU)!.words.setInt32(4, 70, true)],
    ['descriptors that no guest may have', /vcpu 0, GDT/, records => records.find(({ kind, number }) => kind === PAGE && number === 40)!.words.setUint32(8, 0x0000_8200, true)],
  ])('with %s the hypervisor does not take it, and it is gone again', (_name, message, change) => {
    const error = refusal(forged(change));
    expect(error).toBeInstanceOf(InputError);
    expect(error.message).toMatch(message);
  });

  it.each<[string, (world: PvWorld) => Partial<RestoreOptions>]>([
    ['frames', () => ({ frames: [1, 2] })], ['frames', world => ({ frames: Array.from({ length: PAGES }, () => shuffled(world, 1)[0]!) })], ['frames', () => ({ frames: Array.from({ length: PAGES }, (_, k) => k) })],
    ['sharedInfo', () => ({ sharedInfo: 0 })], ['sharedInfo', () => ({ sharedInfo: free[0]! })], ['cpus', () => ({ cpus: [] })], ['id', () => ({ id: 0 })],
  ])('needs %s that can be', (field, options) => {
    expect(refusal(image, options(new PvWorld(wide)))).toMatchObject({ name: 'ConfigError', field, changed: false });
  });

  it('is saved only at rest, and as a whole', () => {
    const world = new PvWorld(wide);
    expect(() => saveDomain(world.xen, 7)).toThrow('domid: ');
    world.start();
    world.update(world.mfn(wide ? 3 : 5), 200, 0n); // unmap a page
    expect(() => saveDomain(world.xen, 7)).not.toThrow();
    const { host } = world.xen, mfn = world.mfn(70), type = host.frames.type(mfn);
    host.frames.setType(mfn, type | 1 << 24);
    expect(() => saveDomain(world.xen, 7)).toThrow('pfn 0x46: expected no hypercall in progress');
    host.frames.setType(mfn, type);
    world.update(world.mfn(wide ? 3 : 5), 200, (BigInt(SHARED) << 12n) | 7n);
    expect(() => saveDomain(world.xen, 7)).toThrow(`pfn 0x${wide ? 3 : 5}, entry 200: expected one of the domain's own frames, got "machine frame 0x${SHARED.toString(16)}"`);
    world.update(world.mfn(wide ? 3 : 5), 200, 0n);
    host.m2p.set(mfn, -1, -1);
    expect(() => saveDomain(world.xen, 7)).toThrow('255 of 256');
    expect(() => saveDomain(world.xen, 0)).not.toThrow(ConfigError);
  });
});

describe('arguments that are none are refused by name', () => {
  const world = new PvWorld(true), good = { id: 3, cpus: [world.cpu], toolstack: world.toolstack };
  world.start();
  const image = saveDomain(world.xen, 7), refused = (act: () => unknown, field: string) => { expect(act).toThrow(expect.objectContaining({ constructor: ConfigError, field }) as Error); };

  it.each([null, undefined, {}, { host: {} }, 5])('%j for a hypervisor', xen => {
    refused(() => saveDomain(xen as never, 7), 'xen');
    refused(() => restoreDomain(xen as never, image, good), 'xen');
  });

  it.each([[null], [undefined], ['7'], [-1], [0.5]])('%j for a domain', domid => { refused(() => saveDomain(world.xen, domid as never), 'domid'); });

  it.each<[unknown, string]>([
    [undefined, 'options'], [null, 'options'], [{ ...good, cpus: undefined }, 'cpus'], [{ ...good, toolstack: null }, 'toolstack'], [{ ...good, toolstack: {} }, 'toolstack.cpu'], [{ ...good, cpus: [5] }, 'cpus'], [{ ...good, toolstack: { cpu: world.cpu } }, 'toolstack.arguments'],
  ])('options %#', (options, field) => { refused(() => restoreDomain(world.xen, image, options as RestoreOptions), field); });
});
