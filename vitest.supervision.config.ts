import { defineConfig } from 'vitest/config';

delete process.env['NODE_EXTRA_CA_CERTS'];

/** Whole daemons that are reloaded and stopped, and whose workers die: what takes too long for `npm test`. */
export default defineConfig({
  test: {
    include: ['test/supervision/**/*.test.ts'],
    globalSetup: ['test/support/build.ts'],
    maxWorkers: 3,
    testTimeout: 90_000,
    hookTimeout: 90_000,
  },
});
