import { defineConfig } from 'vitest/config';

// No test speaks TLS, and the process of each test file would read these certificates first: a tenth of a second each.
delete process.env['NODE_EXTRA_CA_CERTS'];

export default defineConfig({
  test: {
    include: ['{test,examples}/**/*.test.ts'],
    exclude: ['test/system/**', 'test/supervision/**'],
    globalSetup: ['test/support/build.ts'],
    // Process tests wait more than they compute: three files at a time, however few processors there are.
    maxWorkers: 3,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
