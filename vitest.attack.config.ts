import { defineConfig } from 'vitest/config';

const options = {
  testTimeout: 120_000,
  hookTimeout: 60_000,
  teardownTimeout: 20_000,
};

/** What strangers do over the network. The others have nothing to do with the sockets of the services. */
const ofStrangers = [
  'abusive-clients',
  'connection-flood',
  'crowded-network',
  'datagram-sizes',
  'faulty-services',
  'flood',
  'greedy-clients',
  'log-injection',
  'many-sources',
  'odd-sources',
  'reflection',
  'slow-clients',
  'stamp-loops',
  'storms',
];

/**
 * Every attack of docs/SAFETY-REPORT.md at its full size, one after the other, as root, and then those of strangers
 * against a daemon with Node's sockets. It writes the report.
 */
export default defineConfig({
  test: {
    globalSetup: ['test/support/build.ts', 'test/attack/report-setup.ts'],
    fileParallelism: false,
    projects: [
      { test: { ...options, name: 'kernel', include: ['test/attack/**/*.attack.ts'] } },
      {
        test: {
          ...options,
          name: 'node',
          include: ofStrangers.map((attack) => `test/attack/${attack}.attack.ts`),
          env: { SMALLSERVD_TEST_SOCKETS: 'node' },
        },
      },
    ],
  },
});
