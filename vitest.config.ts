import { defineConfig } from 'vitest/config';

const onEngine = (engine: 'ts' | 'wasm', include: string[]) => ({
  extends: true as const,
  test: { name: engine, include, provide: { engine }, setupFiles: ['test/default-engine.ts'] },
});

export default defineConfig({
  test: {
    testTimeout: 120_000, hookTimeout: 120_000, maxWorkers: 2,
    projects: [onEngine('ts', ['test/**/*.test.ts']), onEngine('wasm', ['test/{machine,memory,mmu}/**/*.test.ts'])],
  },
});
