import { defineConfig } from 'vitest/config';

/** Every attack of docs/SAFETY-REPORT.md at its full size, one after the other, as root. It writes the report. */
export default defineConfig({
  test: {
    include: ['test/attack/**/*.attack.ts'],
    globalSetup: ['test/support/build.ts', 'test/attack/report-setup.ts'],
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 60_000,
    teardownTimeout: 20_000,
  },
});
