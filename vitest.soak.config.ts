import { defineConfig } from 'vitest/config';

/** A million requests of each kind: the last section of docs/SAFETY-REPORT.md, which it writes. */
export default defineConfig({
  test: {
    include: ['test/attack/**/*.soak.ts'],
    globalSetup: ['test/support/build.ts'],
    fileParallelism: false,
    testTimeout: 5_400_000,
  },
});
