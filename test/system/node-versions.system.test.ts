import { expect, it } from 'vitest';
import { checkout } from './machine.ts';
import { Program } from './program.ts';

/** The supported versions of Node that `npm test` itself is not run on by CI. */
it.each([22, 24])(
  'Node %i opens no debugger, in any process of the daemon',
  async (major) => {
    const inside = 'node --version && node node_modules/vitest/vitest.mjs run test/process/debugger.test.ts';
    const argv = ['npm', 'exec', '--yes', `--package=node@${major}`, '-c', inside];
    const tests = new Program(argv, { directory: checkout, env: { NO_COLOR: '1' } });
    const { code } = await tests.end(300_000);
    expect(tests.output).toMatch(new RegExp(`^v${major}\\.`, 'm'));
    expect(tests.output, tests.complaints).toMatch(/Tests +4 passed \(4\)/);
    expect(code).toBe(0);
  },
  330_000,
);
