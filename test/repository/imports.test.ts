import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { filesIn, importsOf, read, root, sources } from './files.ts';

/**
 * Dependencies point inwards: what each folder may import of `src`, as folders and as single files of the top level.
 * `services` and `supervisor` never meet; only `command` knows both.
 */
const allowed: Readonly<Record<string, readonly string[]>> = {
  admin: [
    'address',
    'no-debugger.ts',
    'clock',
    'counters.ts',
    'errors.ts',
    'exit-codes.ts',
    'guard',
    'process-health.ts',
    'running-daemon.ts',
    'supervisor',
    'terminal-text.ts',
    'transport',
    'kernel',
    'child-arguments.ts',
  ],
  address: ['errors.ts', 'suggestion.ts'],
  client: ['address', 'clock', 'conformance', 'dial', 'errors.ts', 'first-difference.ts', 'open-files.ts', 'units.ts'],
  clock: [],
  command: [
    'address',
    'admin',
    'clock',
    'config',
    'console',
    'errors.ts',
    'exit-codes.ts',
    'guard',
    'host.ts',
    'in-process-daemon.ts',
    'installation',
    'kernel',
    'counters.ts',
    'log.ts',
    'open-files.ts',
    'process-health.ts',
    'running-daemon.ts',
    'service.ts',
    'services',
    'supervisor',
    'transport',
    'version.ts',
    'terminal-text.ts',
    'child-arguments.ts',
  ],
  config: ['address', 'clock', 'errors.ts', 'regular-file.ts', 'service.ts', 'services', 'suggestion.ts', 'units.ts'],
  completion: ['command-line.ts', 'config', 'services'],
  conformance: ['address', 'clock', 'dial', 'errors.ts', 'first-difference.ts', 'guard', 'units.ts'],
  console: ['address', 'admin', 'running-daemon.ts', 'transport'],
  dial: ['address', 'clock', 'errors.ts', 'units.ts'],
  guard: ['address', 'config'],
  installation: [],
  kernel: [],
  manual: ['clock', 'command', 'command-line.ts', 'config', 'services', 'tool', 'version.ts'],
  services: ['clock', 'regular-file.ts', 'service.ts'],
  supervisor: [
    'address',
    'line-budget.ts',
    'clock',
    'config',
    'counters.ts',
    'errors.ts',
    'exit-codes.ts',
    'guard',
    'host.ts',
    'lifecycle.ts',
    'log.ts',
    'process-health.ts',
    'running-daemon.ts',
    'service.ts',
    'transport',
    'kernel',
    'no-debugger.ts',
    'child-arguments.ts',
  ],
  tool: ['address', 'client', 'clock', 'errors.ts', 'exit-codes.ts', 'terminal-text.ts', 'units.ts', 'version.ts'],
  transport: [
    'address',
    'clock',
    'config',
    'connection-log.ts',
    'counters.ts',
    'errors.ts',
    'guard',
    'kernel',
    'service.ts',
    'no-debugger.ts',
    'path-descriptor.ts',
    'child-arguments.ts',
  ],
};

/** The folder of a source file below `src`, or the file itself where it stands at the top. */
function partOf(path: string): string {
  return relative('src', path).split('/')[0] ?? '';
}

function inFolder(folder: string): readonly string[] {
  return sources.filter((path) => partOf(path) === folder);
}

/** `path: import` for each import of these files that `isMeant`. */
function found(paths: readonly string[], isMeant: (specifier: string) => boolean): readonly string[] {
  return paths.flatMap((path) =>
    importsOf(path)
      .filter(isMeant)
      .map((specifier) => `${path}: ${specifier}`),
  );
}

describe('dependencies point inwards', () => {
  const folders = [...new Set(sources.map(partOf))].filter((part) => !part.endsWith('.ts')).sort();

  test('the table names every folder of src', () => {
    expect(Object.keys(allowed).sort()).toEqual(folders);
  });

  test.each(folders)('%s imports what the table allows', (folder) => {
    const may = new Set([folder, ...(allowed[folder] ?? [])]);
    expect(found(inFolder(folder), (to) => to.startsWith('src/') && !may.has(partOf(to)))).toEqual([]);
  });

  test('the contract imports nothing', () => {
    expect(importsOf('src/service.ts')).toEqual([]);
  });

  test('the guard takes only types from the config, and nothing of Node', () => {
    expect(found(inFolder('guard'), (to) => !to.startsWith('src/'))).toEqual([]);
    for (const path of inFolder('guard')) expect(read(path)).not.toMatch(/^import (?!type )[^;]*\/config\//m);
  });

  test('services touch no network and no package', () => {
    const harmless = new Set(['node:fs/promises', 'node:child_process', 'node:util']);
    expect(found(inFolder('services'), (to) => !to.startsWith('src/') && !harmless.has(to))).toEqual([]);
  });

  test('only the transport opens sockets, dial for the clients, admin for HTTP, and the channel between processes', () => {
    const others = sources.filter(
      (path) => !['transport', 'dial', 'admin'].includes(partOf(path)) && path !== 'src/supervisor/channel.ts',
    );
    const network = /^node:(net|dgram|tls|https?|http2|inspector)$/;
    expect(found(others, (to) => network.test(to))).toEqual([]);
    expect(found(inFolder('transport'), (to) => to === 'node:net' || to === 'node:dgram')).not.toEqual([]);
  });

  test('only the supervisor knows of the cluster', () => {
    const others = sources.filter((path) => partOf(path) !== 'supervisor');
    expect(found(others, (to) => to === 'node:cluster')).toEqual([]);
  });

  test('only services/index.ts knows the services one by one', () => {
    const single = /^src\/services\/(?!index\.ts$)/;
    const others = sources.filter((path) => partOf(path) !== 'services');
    expect(found(others, (to) => single.test(to))).toEqual([]);
  });

  test('imports of Node have their prefix', () => {
    const packages = Object.keys((JSON.parse(read('package.json')) as { dependencies: object }).dependencies);
    const known = new Set(packages);
    expect(found(sources, (to) => !/^(src\/|node:)/.test(to) && !known.has(to))).toEqual([]);
  });
});

test('each process of the daemon forbids the debugger before Node reads anything else', () => {
  const started = ['src/smallservd.ts', 'src/supervisor/worker.ts', 'src/admin/child.ts'];
  for (const path of started) {
    const [first, ...others] = [...read(path).matchAll(/^import [^;]*;/gm)].map(([statement]) => statement);
    expect(first, path).toMatch(/no-debugger\.ts';$/);
    expect(others, path).toEqual([]);
  }
  expect(importsOf('src/no-debugger.ts').filter((to) => !to.startsWith('node:'))).toEqual([]);
});

test('every file of src is reachable from an entry point', () => {
  const scripts = filesIn('scripts').flatMap((path) =>
    importsOf(path).map((to) => to.replace(/^dist\//, 'src/').replace(/\.js$/, '.ts')),
  );
  const entries = [
    'smallservd',
    'smallserv',
    'index',
    'client/index',
    'supervisor/worker',
    'admin/child',
    'transport/descriptor-probe',
  ];
  const waiting = [...entries.map((name) => `src/${name}.ts`), ...scripts.filter((path) => path.startsWith('src/'))];
  const reached = new Set<string>();
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (reached.has(path)) continue;
    reached.add(path);
    waiting.push(...importsOf(path).filter((to) => to.startsWith('src/')));
  }
  expect(sources.filter((path) => !reached.has(path))).toEqual([]);
});

test('the files that are started by name are there', () => {
  for (const path of sources) {
    for (const [, specifier = ''] of read(path).matchAll(/new URL\('([^']+)\.js', import\.meta\.url\)/g)) {
      const target = relative(root, resolve(root, dirname(path), `${specifier}.ts`));
      expect(sources, `${path}: ${specifier}`).toContain(join(target));
    }
  }
});
