import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { released } from '../../src/clock/release.ts';
import { version } from '../../src/version.ts';
import { filesIn, read, root } from './files.ts';

interface Package {
  readonly version: string;
  readonly license: string;
  readonly type: string;
  readonly types: string;
  readonly engines: { readonly node: string };
  readonly bin: Readonly<Record<string, string>>;
  readonly exports: { readonly '.': { readonly types: string; readonly default: string } };
  readonly files: readonly string[];
  readonly scripts: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
}

const about = JSON.parse(read('package.json')) as Package;

describe('the package', () => {
  test('is complete for publishing', () => {
    expect(about).toMatchObject({
      name: 'smallservd',
      license: 'MIT',
      type: 'module',
      engines: { node: '>=20.19' },
      bin: { smallserv: 'dist/smallserv.js', smallservd: 'dist/smallservd.js' },
      types: './dist/index.d.ts',
      exports: {
        '.': { types: './dist/index.d.ts', default: './dist/index.js' },
        './client': { types: './dist/client/index.d.ts', default: './dist/client/index.js' },
        './package.json': './package.json',
      },
    });
    expect(about).toHaveProperty('description');
    expect(about).toHaveProperty('author');
    expect(about).not.toHaveProperty('private');
  });

  test('ships the files it needs and lists only existing files', () => {
    expect(about.files).toEqual(
      expect.arrayContaining(['dist', 'config', 'examples', 'docs', 'systemd', 'CHANGELOG.md']),
    );
    for (const file of about.files.filter((each) => each !== 'completion'))
      expect(existsSync(join(root, file)), file).toBe(true);
    for (const file of ['README.md', 'LICENSE']) expect(existsSync(join(root, file)), file).toBe(true);
  });

  test('has a source file for every entry point', () => {
    const built = [...Object.values(about.bin), about.types, ...Object.values(about.exports['.'])];
    const sources = built.map((path) => path.replace(/^(?:\.\/)?dist\//, 'src/').replace(/(?:\.d\.ts|\.js)$/, '.ts'));
    for (const source of sources) expect(existsSync(join(root, source)), source).toBe(true);
    for (const program of Object.keys(about.bin))
      expect(read(`src/${program}.ts`)).toMatch(/^#!\/usr\/bin\/env node\n/);
  });

  test('has executable programs after `npm run build`, so that npx can run them in place', () => {
    for (const path of Object.values(about.bin)) expect(statSync(join(root, path)).mode & 0o111, path).toBe(0o111);
  });

  test('replaces the shell in `npm start` so that signals to npm reach the daemon', () => {
    expect(about.scripts['start']).toMatch(/^exec node --inspect-publish-uid=stderr /);
  });

  test('has exactly the scripts that CONTRIBUTING.md names', () => {
    const named = [...read('CONTRIBUTING.md').matchAll(/^\| `npm (?:run )?([\w:]+)` \|/gm)].map(
      ([, name = '']) => name,
    );
    const routines = Object.keys(about.scripts).filter((name) => !name.startsWith('pre'));
    expect(named.sort()).toEqual(routines.sort());
  });

  test('installs every Debian package that the system tests need', () => {
    const [, table = ''] = /^const packages = \{\n([\s\S]*?)^\}/m.exec(read('test/system/machine.ts')) ?? [];
    const needed = [...table.matchAll(/: '([\w.-]+)',$/gm)].map(([, name = '']) => name);
    const lists = [...read('test/system/with-packages.sh').matchAll(/^(?:installed|unpacked)=\(([^)]*)\)/gm)];
    const had = new Set(lists.flatMap(([, names = '']) => names.split(/\s+/)));
    expect(needed.length).toBeGreaterThan(20);
    expect(needed.filter((name) => !had.has(name))).toEqual([]);
  });

  test('has its version and dependencies in the lock file', () => {
    const lock = JSON.parse(read('package-lock.json')) as { packages: Record<string, Package> };
    expect(lock.packages['']).toMatchObject({ version: about.version, dependencies: about.dependencies });
  });

  test('is under the MIT license of the smallservd authors', () => {
    expect(read('LICENSE')).toMatch(/^MIT License\n\nCopyright \(c\) 2026 the smallservd authors\n/);
  });
});

describe('the release', () => {
  const [, first, date] = /^## (\S+) – (\S+)$/m.exec(read('CHANGELOG.md')) ?? [];

  test('has the first version in the changelog, which --version prints', () => {
    expect(about.version).toBe(first);
    expect(version).toBe(first);
  });

  test('has the date that the clock is compared with', () => {
    expect(released.toISOString()).toBe(`${date}T00:00:00.000Z`);
  });

  test('lists every decision in order', () => {
    const records = filesIn('docs/decisions').filter((path) => !path.endsWith('README.md'));
    const listed = [...read('docs/decisions/README.md').matchAll(/^(\d+)\. \[(.+)\]\((.+)\)$/gm)];
    expect(listed.map(([, , , file]) => `docs/decisions/${file}`)).toEqual(records.toSorted());
    for (const [, number, title, file = ''] of listed) {
      expect(file.startsWith(number?.padStart(4, '0') ?? '?'), file).toBe(true);
      expect(read(`docs/decisions/${file}`), file).toMatch(`# ${number}. ${title}\n`);
      for (const part of ['Decided:', 'Why:', 'Costs:']) expect(read(`docs/decisions/${file}`), file).toContain(part);
    }
  });
});
