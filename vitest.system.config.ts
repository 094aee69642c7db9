import { defineConfig } from 'vitest/config';

/** What needs root or Debian packages. It fails, and never skips, where one is missing. */
export default defineConfig({
  test: {
    include: ['test/system/**/*.system.test.ts'],
    globalSetup: ['test/support/build.ts', 'test/support/completion.ts'],
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 20_000,
  },
});
