import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';

const script = fileURLToPath(new URL('../../.ci/count.js', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'smallservd-count-'));
afterAll(() => rmSync(directory, { recursive: true }));

interface Counted {
  readonly line: string;
  readonly status: number | null;
}

function count(...args: readonly string[]): Counted {
  const { stdout, status } = spawnSync(process.execPath, [script, ...args], { encoding: 'utf8' });
  return { line: stdout, status };
}

let files = 0;

/** A report of one test file after another, each a list of what became of its tests. */
function report(testFiles: readonly (readonly string[])[], success = true): string {
  files += 1;
  const path = join(directory, `${files}.json`);
  const testResults = testFiles.map((statuses, index) => ({
    name: `file-${index}.test.ts`,
    status: statuses.length === 0 || statuses.includes('failed') ? 'failed' : 'passed',
    message: '',
    assertionResults: statuses.map((status, test) => ({ status, fullName: `test ${test}` })),
  }));
  writeFileSync(path, JSON.stringify({ success, testResults }));
  return path;
}

const good = report([['passed', 'passed'], ['passed']]);

describe('the test count', () => {
  it.each<{ name: string; args: readonly string[]; line: string }>([
    { name: 'adds up the reports', args: ['0', good, '0', good, '0'], line: '6 passed, 0 failed' },
    { name: 'counts failed steps', args: ['2', good, '0'], line: '3 passed, 2 failed' },
    {
      name: 'counts failed tests',
      args: ['0', report([['passed', 'failed']], false), '1'],
      line: '1 passed, 1 failed',
    },
    {
      name: 'counts every test that did not pass as failed',
      args: ['0', report([['passed', 'skipped', 'pending', 'todo', 'disabled']]), '0'],
      line: '1 passed, 4 failed',
    },
    {
      name: 'counts a file without tests as failed, like a file that fails to load',
      args: ['0', report([['passed'], []], false), '1'],
      line: '1 passed, 1 failed',
    },
    {
      name: 'counts a missing report as failed',
      args: ['0', join(directory, 'none.json'), '1'],
      line: '0 passed, 1 failed',
    },
    { name: 'counts a report without tests as failed', args: ['0', report([]), '0'], line: '0 passed, 1 failed' },
    {
      name: 'counts an error outside of tests as failed',
      args: ['0', report([['passed']], false), '1'],
      line: '1 passed, 1 failed',
    },
    { name: 'counts a failed runner', args: ['0', report([['passed']]), '124'], line: '1 passed, 1 failed' },
    { name: 'counts a missing step number as failed', args: [], line: '0 passed, 1 failed' },
  ])('$name', ({ args, line }) => {
    expect(count(...args)).toEqual({ line: `${line}\n`, status: line.endsWith(' 0 failed') ? 0 : 1 });
  });

  it('reads a report written by vitest', () => {
    const path = join(directory, 'vitest.json');
    const tests = join(directory, 'real.test.mjs');
    // Where these tests lie there is no vitest to import.
    writeFileSync(
      tests,
      `it('passes', () => {});
      it('fails', () => expect(1).toBe(2));
      it['skip']('is skipped', () => {});
      it['todo']('is to be written');`,
    );
    const vitest = fileURLToPath(new URL('../../node_modules/vitest/vitest.mjs', import.meta.url));
    const args = [vitest, 'run', '--config', join(directory, 'vitest.config.mjs'), '--root', directory];
    writeFileSync(
      join(directory, 'vitest.config.mjs'),
      `export default { test: { include: ['*.test.mjs'], globals: true } };`,
    );
    spawnSync(process.execPath, [...args, '--reporter=json', `--outputFile.json=${path}`], {
      encoding: 'utf8',
    });
    expect(count('0', path, '1')).toEqual({ line: '1 passed, 3 failed\n', status: 1 });
  });
});

it('.ci/run names only test files that exist', () => {
  const run = readFileSync(new URL('../../.ci/run', import.meta.url), 'utf8');
  const names = /^second_lane=\(([a-z -]+)\)$/m.exec(run)?.[1]?.split(' ') ?? [];
  expect(names).toContain('docker');
  for (const name of names) {
    const file = new URL(`../system/${name}.system.test.ts`, import.meta.url);
    expect(existsSync(file), name).toBe(true);
  }
});
