import type { Program } from '../../dist/smp/index.js';

export const run: Program;
