/** A kernel that does what it likes, three times: on a machine of its own, shadowed, and under a second stage. */
import { Kernel } from '../../test/virt/shadow/kernel.ts';
import { MODES, type TwinOptions } from '../../test/virt/shadow/twin.ts';
import { Finding, type Target } from '../target.ts';
import { Tape, TapeChoices } from '../tape.ts';

const POLICIES: readonly TwinOptions['policy'][] = [{}, { outOfSync: 0 }, { outOfSync: 1, flood: 3 }, { fastPath: false, outOfSync: 0, unshadow: false, wp: 'emulate', superpages: false, guess: false }];
const AUDIT_EVERY = 64;
const tape = new Tape(), choices = new TapeChoices(tape);

function optionsOf(head: Uint8Array): TwinOptions & { readonly pcid: boolean } {
  const bit = (byte: number, n: number): boolean => ((head[byte]! >> n) & 1) !== 0;
  return {
    mode: MODES[head[0]! % MODES.length]!, scrambled: bit(1, 0), pcid: bit(1, 1), nested: !bit(1, 2), vcpus: 1 + (head[3]! & 1), policy: POLICIES[(head[3]! >> 1) & 3]!, ...(bit(3, 3) ? { pool: 22 } : {}),
    machine: { engine: bit(5, 0) ? 'ts' : 'wasm', mode: bit(5, 1) ? 'functional' : 'timed', ...(bit(2, 0) ? { features: { amd: true } } : {}) },
  };
}

export const shadow: Target = {
  name: 'shadow', about: 'a kernel on its own machine, shadowed, and under EPT or NPT: all three see the same', headBytes: 8, recordBytes: 16, most: 400,
  run({ head, records }, notes, careful) {
    const kernel = new Kernel(optionsOf(head), 1 + head[4]!), { twin } = kernel, check = (): void => {
      if (twin.differences.length > 0) throw new Finding(twin.differences.slice(0, 3).join('; '));
    };
    kernel.random = choices;
    records.forEach((record, n) => {
      tape.load(record);
      kernel.step();
      if (careful || (n + 1) % AUDIT_EVERY === 0) twin.differences.push(...twin.guest.audit());
      check();
    });
    twin.compare();
    check();
    notes.note(head[0]! % MODES.length, Math.ceil(Math.log2(twin.operations)));
    notes.note(1 + (head[0]! % MODES.length), twin.tables.size);
    return twin.operations;
  },
};
