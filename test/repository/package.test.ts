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

  test('ships what it needs, and nothing that is not there', () => {
    expect(about.files).toEqual(
      expect.arrayContaining(['dist', 'config', 'examples', 'docs', 'systemd', 'CHANGELOG.md']),
    );
    for (const file of about.files.filter((each) => each !== 'completion'))
      expect(existsSync(join(root, file)), file).toBe(true);
    for (const file of ['README.md', 'LICENSE']) expect(existsSync(join(root, file)), file).toBe(true);
  });

  test('names sources that are there for what it points at', () => {
    const built = [...Object.values(about.bin), about.types, ...Object.values(about.exports['.'])];
    const sources = built.map((path) => path.replace(/^(?:\.\/)?dist\//, 'src/').replace(/(?:\.d\.ts|\.js)$/, '.ts'));
    for (const source of sources) expect(existsSync(join(root, source)), source).toBe(true);
    for (const program of Object.keys(about.bin))
      expect(read(`src/${program}.ts`)).toMatch(/^#!\/usr\/bin\/env node\n/);
  });

  test('has programs that `npm run build` makes executable: npx runs them where they stand', () => {
    for (const path of Object.values(about.bin)) expect(statSync(join(root, path)).mode & 0o111, path).toBe(0o111);
  });

  test('`npm start` replaces the shell: a signal to npm reaches the daemon', () => {
    expect(about.scripts['start']).toMatch(/^exec node --inspect-publish-uid=stderr /);
  });

  test('has a script for every routine, and every script that CONTRIBUTING names', () => {
    const named = [...read('CONTRIBUTING.md').matchAll(/^\| `npm (?:run )?([\w:]+)` \|/gm)].map(
      ([, name = '']) => name,
    );
    const routines = Object.keys(about.scripts).filter((name) => !name.startsWith('pre'));
    expect(named.sort()).toEqual(routines.sort());
  });

  test('installs every Debian package that a system test needs', () => {
    const [, table = ''] = /^const packages = \{\n([\s\S]*?)^\}/m.exec(read('test/system/machine.ts')) ?? [];
    const needed = [...table.matchAll(/: '([\w.-]+)',$/gm)].map(([, name = '']) => name);
    const lists = [...read('test/system/with-packages.sh').matchAll(/^(?:installed|unpacked)=\(([^)]*)\)/gm)];
    const had = new Set(lists.flatMap(([, names = '']) => names.split(/\s+/)));
    expect(needed.length).toBeGreaterThan(20);
    expect(needed.filter((name) => !had.has(name))).toEqual([]);
  });

  test('has the versions of its packages in the lock file', () => {
    const lock = JSON.parse(read('package-lock.json')) as { packages: Record<string, Package> };
    expect(lock.packages['']).toMatchObject({ version: about.version, dependencies: about.dependencies });
  });

  test('the license is MIT, of the smallservd authors', () => {
    expect(read('LICENSE')).toMatch(/^MIT License\n\nCopyright \(c\) 2026 the smallservd authors\n/);
  });
});

describe('the release', () => {
  const [, first, date] = /^## (\S+) – (\S+)$/m.exec(read('CHANGELOG.md')) ?? [];

  test('the version is the first one in the changelog, and what --version prints', () => {
    expect(about.version).toBe(first);
    expect(version).toBe(first);
  });

  test('its date is what the clock is compared with', () => {
    expect(released.toISOString()).toBe(`${date}T00:00:00.000Z`);
  });

  test('each decision is in the list of decisions, in order', () => {
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
