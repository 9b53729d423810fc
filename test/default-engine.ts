/** Makes the machines of a test file run on one engine, unless the test chooses: what a machine does is tested on both. */
import { inject } from 'vitest';
import { Machine } from '../src/machine/machine.ts';
import type { MachineOptions } from '../src/machine/options.ts';

declare module 'vitest' {
  interface ProvidedContext {
    engine: 'ts' | 'wasm';
  }
}

const create = Machine.create.bind(Machine), engine = inject('engine');
const isObject = (options: unknown) => typeof options === 'object' && options !== null && !Array.isArray(options);

Machine.create = (options: MachineOptions = {}) =>
  create(isObject(options) ? { engine: options.buffer === 'plain' ? 'ts' : engine, ...options } : options);
