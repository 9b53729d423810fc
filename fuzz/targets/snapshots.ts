/** Snapshots: what they bring back, and that what is damaged is refused with nothing changed. */
import { ACCESS_USER, ACCESS_WRITE } from '../../src/arch/fault.ts';
import { ConfigError, InputError } from '../../src/errors.ts';
import { Machine } from '../../src/machine/machine.ts';
import type { MachineOptions } from '../../src/machine/options.ts';
import { OperationTable, type Operation } from '../operation.ts';
import { Finding, type Target } from '../target.ts';

const BASE = 0x4000_0000n, PAGES = 24, KINDS = [0, ACCESS_WRITE, ACCESS_USER, ACCESS_USER | ACCESS_WRITE];
const OPTIONS: readonly MachineOptions[] = [{}, { mode: 'functional' }, { vcpus: 2 }, { nested: true, engine: 'ts' }, { buffer: 'plain', engine: 'ts' }, { paging: 'pae' }];

class World {
  readonly options: MachineOptions;
  machine: Machine;
  /** Taken so far, with the bytes and frames of then. */
  readonly taken: { readonly image: Uint8Array; readonly bytes: Buffer; readonly frames: readonly number[] }[] = [];

  constructor(options: MachineOptions) {
    this.options = { memory: '1M', ...options };
    this.machine = this.make();
  }

  make(): Machine {
    const machine = Machine.create(this.options);
    for (const cpu of machine.vcpus) machine.map(BASE, { frames: 8, write: true, user: true, cpu });
    return machine;
  }

  bytes(): Buffer {
    return Buffer.from(this.machine.views.u8.slice());
  }

  /** What was restored is what it was then, and a snapshot of it has the same bytes. */
  same({ image, bytes, frames }: World['taken'][number]): void {
    if (Buffer.compare(this.bytes(), bytes) !== 0) throw new Finding('memory is not what it was when the snapshot was taken');
    if (this.machine.frames.state().join() !== frames.join()) throw new Finding('frames handed out are not those of the snapshot');
    if (Buffer.compare(this.machine.snapshot(), image) !== 0) throw new Finding('a second snapshot has other bytes');
  }

  /** @returns 1 if the damaged image was refused, which it must be unless it is what it was */
  damaged(image: Uint8Array, original: Uint8Array): number {
    const before = this.bytes(), frames = this.machine.frames.state().join();
    try {
      this.machine.restore(image, 'damaged');
    } catch (error) {
      if (!(error instanceof InputError || error instanceof ConfigError)) throw error;
      if (error instanceof InputError && !/^damaged: byte \d+/.test(error.message)) throw new Finding(`a message without file and byte: ${error.message}`);
      if (Buffer.compare(this.bytes(), before) !== 0 || this.machine.frames.state().join() !== frames) throw new Finding('a snapshot that was refused has changed something');
      return 1;
    }
    if (Buffer.compare(image, original) !== 0) throw new Finding('a damaged snapshot is taken');
    return 0;
  }
}

const OPERATIONS: readonly Operation<World>[] = [
  { name: 'access', share: 4, fields: { page: PAGES, offset: 4096, kind: 4, cpu: 2 }, run(w, [page, offset, kind, cpu]) {
    const result = w.machine.vcpus[cpu! % w.machine.vcpus.length]!.translate(BASE + BigInt(page! * 4096 + offset!), KINDS[kind!]!);
    return result.ok ? 0 : result.vector;
  } },
  { name: 'write', share: 2, fields: { page: PAGES, offset: 4090, byte: 256 }, run: (w, [page, offset, byte]) => w.machine.vcpus[0]!.write(BASE + BigInt(page! * 4096 + offset!), Uint8Array.of(byte!, page!), ACCESS_WRITE) },
  { name: 'map', fields: { page: PAGES, frames: [1, 2, 5] }, run(w, [page, frames]) {
    try {
      w.machine.map(BASE + BigInt(page! * 4096), { frames: frames!, write: true, user: true });
      return 0;
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      return -1;
    }
  } },
  { name: 'invlpg', fields: { page: PAGES }, run(w, [page]) {
    w.machine.vcpus[0]!.invlpg(BASE + BigInt(page! * 4096));
    return 0;
  } },
  { name: 'take', fields: {}, run(w) {
    w.taken.push({ image: w.machine.snapshot(), bytes: w.bytes(), frames: w.machine.frames.state() });
    return w.taken.length;
  } },
  { name: 'restore', share: 2, fields: { which: 8, other: [0, 0, 1] }, run(w, [which, other]) {
    const then = w.taken[which! % Math.max(1, w.taken.length)];
    if (!then) return -1;
    if (other === 1) w.machine = Machine.create(w.options);
    w.machine.restore(then.image);
    w.same(then);
    return 0;
  } },
  { name: 'flip', share: 3, fields: { which: 8, at: 65536, from: [0, 0, 1, 2], bits: 255 }, run(w, [which, at, from, bits]) {
    const then = w.taken[which! % Math.max(1, w.taken.length)];
    if (!then) return -1;
    const image = then.image.slice(), place = from === 0 ? at! % 200 : from === 1 ? image.length - 1 - (at! % 200) : (at! * 97) % image.length;
    image[place % image.length]! ^= bits! + 1;
    return w.damaged(image, then.image);
  } },
  { name: 'cut', share: 2, fields: { which: 8, bytes: 65536, whole: [0, 1], add: [0, 0, 1] }, run(w, [which, bytes, whole, add]) {
    const then = w.taken[which! % Math.max(1, w.taken.length)];
    if (!then) return -1;
    const { image } = then, length = whole === 0 ? bytes! % image.length : Math.max(0, image.length - 1 - (bytes! % 4096));
    return w.damaged(add === 1 ? Uint8Array.from([...image, ...image.subarray(0, 1 + (bytes! % 64))]) : image.slice(0, length), image);
  } },
];

const table = new OperationTable(OPERATIONS);

export const snapshots: Target = {
  name: 'snapshots', about: 'snapshots bring a machine back byte for byte; damaged ones are refused with nothing changed', headBytes: 1, recordBytes: table.recordBytes, most: 48,
  explain: record => table.explain(record), parse: words => table.parse(words),
  run({ head, records }, notes) {
    const world = new World(OPTIONS[head[0]! % OPTIONS.length]!);
    for (const record of records) {
      const [operation, answer] = table.run(world, record);
      notes.note(operation, answer);
    }
    for (const then of world.taken) {
      world.machine.restore(then.image);
      world.same(then);
    }
    return records.length;
  },
};
