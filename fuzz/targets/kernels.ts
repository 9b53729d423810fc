/** A kernel that does what it likes, twice: on a machine of its own and under a second stage; under a second stage and shadowed. */
import { Kernel } from '../../test/virt/shadow/kernel.ts';
import { MODES, type TwinOptions } from '../../test/virt/shadow/twin.ts';
import { Finding, type Target } from '../target.ts';
import { Tape, TapeChoices } from '../tape.ts';

const FORMATS = ['ept', 'npt'] as const;
const POLICIES: readonly TwinOptions['policy'][] = [{}, { outOfSync: 0 }, { outOfSync: 1, flood: 3 }, { fastPath: false, outOfSync: 0, unshadow: false, wp: 'emulate', superpages: false, guess: false }];
const AUDIT_EVERY = 64;
const tape = new Tape(), choices = new TapeChoices(tape);

function kernels(name: string, about: string, options: (head: Uint8Array) => Partial<TwinOptions>): Target {
  return {
    name, about, headBytes: 8, recordBytes: 16, most: 400,
    run({ head, records }, notes, careful) {
      const mode = MODES[head[0]! % MODES.length]!, kernel = new Kernel({ mode, scrambled: (head[1]! & 1) !== 0, pcid: (head[1]! & 2) !== 0, machine: { engine: head[5]! & 1 ? 'ts' : 'wasm', mode: head[5]! & 2 ? 'functional' : 'timed' }, ...options(head) }, 1 + head[4]!);
      kernel.random = choices;
      const { twin } = kernel, check = (): void => {
        if (twin.differences.length > 0) throw new Finding(twin.differences.slice(0, 3).join('; '));
      };
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
}

export const nested = kernels('nested', 'a kernel under EPT or NPT against the same on a machine of its own', head => ({ second: FORMATS[head[2]! & 1]!, vcpus: 1 + (head[3]! & 1) }));
export const shadow = kernels('shadow', 'a shadowed kernel against the same under EPT or NPT', head => ({
  first: FORMATS[head[2]! & 1]!, vcpus: 1 + (head[3]! & 1), policy: POLICIES[(head[3]! >> 1) & 3]!, ...(head[3]! & 8 ? { pool: 22 } : {}),
}));
