import { expect, it } from 'vitest';
import { checkout } from './machine.ts';
import { Program } from './program.ts';

/**
 * What is made of Node's own, undocumented ways, on the supported versions that `npm test` itself is not run on by CI.
 */
const runs = ['test/process/debugger.test.ts', '--config vitest.supervision.config.ts hostile-worker'].map(
  (tests) => `node node_modules/vitest/vitest.mjs run ${tests}`,
);

it.each([22, 24])(
  'Node %i opens no debugger and keeps workers from harming the supervisor',
  async (major) => {
    const inside = ['node --version', ...runs].join(' && ');
    const argv = ['npm', 'exec', '--yes', `--package=node@${major}`, '-c', inside];
    const run = new Program(argv, { directory: checkout, env: { NO_COLOR: '1' } });
    const { code } = await run.end(300_000);
    expect(run.output).toMatch(new RegExp(`^v${major}\\.`, 'm'));
    expect(run.output.match(/Tests +(\d+) passed \(\1\)/g), run.output + run.complaints).toHaveLength(runs.length);
    expect(code).toBe(0);
  },
  330_000,
);
