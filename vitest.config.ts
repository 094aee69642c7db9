import { readdirSync, readFileSync } from 'node:fs';
import { defineConfig } from 'vitest/config';

// No test speaks TLS, and the process of each test file would read these certificates first: a tenth of a second each.
delete process.env['NODE_EXTRA_CA_CERTS'];

/** These change modules. */
const changing = readdirSync('test', { recursive: true, encoding: 'utf8' })
  .filter((path) => /^(?!repository|system|supervision).*\.test\.ts$/.test(path))
  .map((path) => `test/${path}`)
  .filter((path) => /vi\.(?:do)?mock\(|useSockets\(/i.test(readFileSync(path, 'utf8')));

const options = { testTimeout: 60_000, hookTimeout: 60_000 };

export default defineConfig({
  test: {
    globalSetup: ['test/support/build.ts'],
    // Process tests wait more than they compute: three files at a time, however few processors there are.
    maxWorkers: 3,
    projects: [
      {
        test: {
          ...options,
          name: 'shared modules',
          include: ['{test,examples}/**/*.test.ts'],
          exclude: ['test/{repository,system,supervision}/**', ...changing],
          // To load the same modules again for each file would take a quarter of all the time.
          isolate: false,
        },
      },
      { test: { ...options, name: 'own modules', include: changing } },
      { test: { ...options, name: 'repository', include: ['test/repository/**/*.test.ts'] } },
    ],
  },
});
