import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { importsOf, read, root, sources } from './files.ts';

/** The ground floor, which both wings stand on. */
const ground = [
  'address',
  'cgroup.ts',
  'clock',
  'color.ts',
  'command-end.ts',
  'command-names.ts',
  'deferred.ts',
  'errors.ts',
  'exit-codes.ts',
  'kernel',
  'no-debugger.ts',
  'open-files.ts',
  'outcomes.ts',
  'output-error.ts',
  'regular-file.ts',
  'suggestion.ts',
  'system-error-text.ts',
  'terminal-text.ts',
  'units.ts',
  'version.ts',
  'wire-size.ts',
];

/** What the public functions of the client consist of. */
const clientParts = ['conformance', 'dial', 'echo', 'load', 'mtu', 'probe', 'requests', 'stamp'].map(
  (name) => `client/${name}`,
);

/**
 * Dependencies point inwards: what each part of `src` may import of the others. A part is a directory, of `server` and
 * `client` a directory below, or a single file at the top. The two wings never meet; `services` and `supervisor`
 * neither: only `server/command` knows both.
 */
const allowed: Readonly<Record<string, readonly string[]>> = {
  address: ['errors.ts', 'suggestion.ts', 'system-error-text.ts'],
  'cgroup.ts': [],
  client: [...clientParts, ...ground],
  'client/conformance': ['client', 'client/dial', 'client/stamp', ...ground],
  'client/dial': ground,
  'client/echo': ['client', 'client/dial', 'client/requests', ...ground],
  'client/load': ['client', 'client/dial', ...ground],
  'client/mtu': ['client', 'client/dial', ...ground],
  'client/probe': ['client/dial', ...ground],
  'client/requests': ['client', 'client/dial', ...ground],
  'client/stamp': ['client', 'client/dial', 'client/requests', ...ground],
  'client/tool': ['client', 'client/mtu', 'client/requests', 'client/stamp', ...ground],
  clock: [],
  'color.ts': [],
  'command-end.ts': ['errors.ts', 'exit-codes.ts'],
  'command-names.ts': [],
  'deferred.ts': [],
  'errors.ts': ['exit-codes.ts', 'outcomes.ts'],
  'exit-codes.ts': [],
  'index.ts': [
    'errors.ts',
    'lines.ts',
    'long-answer.ts',
    'server',
    'server/admin',
    'server/config',
    'server/embedding',
    'service.ts',
  ],
  kernel: ['address', 'clock'],
  'lines.ts': [],
  'long-answer.ts': ['service.ts'],
  'no-debugger.ts': [],
  'open-files.ts': [],
  'outcomes.ts': ['exit-codes.ts'],
  'output-error.ts': ['exit-codes.ts', 'system-error-text.ts'],
  'regular-file.ts': ['clock', 'system-error-text.ts'],
  server: [
    'server/config',
    'server/faults',
    'server/guard',
    'server/supervisor',
    'server/transport',
    'service.ts',
    ...ground,
  ],
  'server/admin': ['server', 'server/guard', 'server/supervisor', 'server/transport', ...ground],
  'server/command': [
    'server',
    'server/admin',
    'server/config',
    'server/faults',
    'server/guard',
    'server/import',
    'server/page',
    'server/supervisor',
    'server/top',
    'server/transport',
    'service.ts',
    'services',
    ...ground,
  ],
  'server/config': ['server/faults', 'server/guard', 'server/transport', 'service.ts', 'services', ...ground],
  'server/embedding': [
    'server',
    'server/admin',
    'server/command',
    'server/config',
    'server/supervisor',
    'server/transport',
    ...ground,
  ],
  'server/faults': ['clock'],
  'server/guard': ['address', 'open-files.ts', 'wire-size.ts'],
  'server/import': ['services', ...ground],
  // Types alone: the page runs in a browser.
  'server/page': ['server/admin'],
  'server/supervisor': ['server', 'server/config', 'server/faults', 'server/guard', 'server/transport', ...ground],
  'server/top': ['errors.ts', 'server/admin', 'server/page', 'terminal-text.ts'],
  'server/transport': ['server', 'server/faults', 'server/guard', 'service.ts', ...ground],
  'service.ts': [],
  services: ['address', 'clock', 'lines.ts', 'long-answer.ts', 'regular-file.ts', 'service.ts'],
  'smallserv.ts': ['client/tool', 'no-debugger.ts'],
  'smallservd.ts': ['no-debugger.ts', 'server/command'],
  'suggestion.ts': [],
  'system-error-text.ts': [],
  'terminal-text.ts': [],
  'units.ts': [],
  'version.ts': [],
  'wire-size.ts': [],
};

function partOf(path: string): string {
  const [first = '', second = '', ...deeper] = relative('src', path).split('/');
  return ['server', 'client'].includes(first) && deeper.length > 0 ? `${first}/${second}` : first;
}

function inPart(part: string): readonly string[] {
  return sources.filter((path) => partOf(path) === part);
}

function inWing(wing: 'server' | 'client'): readonly string[] {
  return sources.filter((path) => path.startsWith(`src/${wing}/`));
}

/** `path: import` for each import of these files that `isMeant`. */
function found(paths: readonly string[], isMeant: (specifier: string) => boolean): readonly string[] {
  return paths.flatMap((path) =>
    importsOf(path)
      .filter(isMeant)
      .map((specifier) => `${path}: ${specifier}`),
  );
}

describe('dependencies point inward', () => {
  const parts = [...new Set(sources.map(partOf))].sort();

  test('every part of src is in the table', () => {
    expect(Object.keys(allowed).sort()).toEqual(parts);
  });

  test.each(parts)('%s imports only what the table allows', (part) => {
    const may = new Set([part, ...(allowed[part] ?? [])]);
    expect(found(inPart(part), (to) => to.startsWith('src/') && !may.has(partOf(to)))).toEqual([]);
  });

  test('the server and the client never import each other', () => {
    expect(found(inWing('server'), (to) => to.startsWith('src/client/'))).toEqual([]);
    expect(found(inWing('client'), (to) => to.startsWith('src/server/'))).toEqual([]);
  });

  test('the contract imports nothing', () => {
    expect(importsOf('src/service.ts')).toEqual([]);
  });

  test('the guard imports nothing from Node and only types from files that do', () => {
    expect(found(inPart('server/guard'), (to) => !to.startsWith('src/'))).toEqual([]);
    for (const path of inPart('server/guard'))
      expect(read(path)).not.toMatch(/^import (?!type )[^;]*\/open-files\.ts/m);
  });

  test('the faults import nothing from Node', () => {
    expect(found(inPart('server/faults'), (to) => !to.startsWith('src/'))).toEqual([]);
  });

  test('services use neither the network nor packages', () => {
    const harmless = new Set([
      'node:buffer',
      'node:child_process',
      'node:crypto',
      'node:fs/promises',
      'node:os',
      'node:util',
    ]);
    expect(found(inPart('services'), (to) => !to.startsWith('src/') && !harmless.has(to))).toEqual([]);
  });

  test('only transport, dial, admin and the process channel import network modules', () => {
    const others = sources.filter(
      (path) =>
        !['server/transport', 'client/dial', 'server/admin'].includes(partOf(path)) &&
        path !== 'src/server/supervisor/channel.ts',
    );
    const network = /^node:(net|dgram|tls|https?|http2|inspector)$/;
    expect(found(others, (to) => network.test(to))).toEqual([]);
    expect(found(inPart('server/transport'), (to) => to === 'node:net' || to === 'node:dgram')).not.toEqual([]);
  });

  test('nothing uses node:cluster or starts a process with a channel of Node', () => {
    expect(found(sources, (to) => to === 'node:cluster')).toEqual([]);
    for (const path of sources) expect(read(path), path).not.toMatch(/\bfork\b.*from 'node:child_process'|'ipc'/);
  });

  test('the page imports nothing but types from elsewhere, as nothing else is served to a browser', () => {
    for (const path of inPart('server/page')) {
      const others = [...read(path).matchAll(/^import (?!type )[^;]*? from '(?!\.\/)([^']+)'/gm)];
      expect(
        others.map(([, to]) => to),
        path,
      ).toEqual([]);
    }
  });

  test('only services/index.ts imports individual services', () => {
    const single = /^src\/services\/(?!index\.ts$)/;
    const others = sources.filter((path) => partOf(path) !== 'services');
    expect(found(others, (to) => single.test(to))).toEqual([]);
  });

  test('imports of Node modules have the node: prefix', () => {
    const packages = Object.keys((JSON.parse(read('package.json')) as { dependencies: object }).dependencies);
    const known = new Set(packages);
    expect(found(sources, (to) => !/^(src\/|node:)/.test(to) && !known.has(to))).toEqual([]);
  });
});

test('every program and daemon process disables the debugger before anything else is imported', () => {
  const started = [
    'src/smallservd.ts',
    'src/smallserv.ts',
    'src/server/supervisor/worker.ts',
    'src/server/admin/child.ts',
  ];
  for (const path of started) {
    const [first, ...others] = [...read(path).matchAll(/^import [^;]*;/gm)].map(([statement]) => statement);
    expect(first, path).toMatch(/no-debugger\.ts';$/);
    expect(others, path).toEqual([]);
  }
  expect(importsOf('src/no-debugger.ts').filter((to) => !to.startsWith('node:'))).toEqual([]);
});

test('every file of src is reachable from an entry point', () => {
  const entries = [
    'smallservd',
    'smallserv',
    'index',
    'client/index',
    'server/supervisor/worker',
    'server/admin/child',
    'server/page/main',
    'server/transport/descriptor-probe',
  ];
  const waiting = entries.map((name) => `src/${name}.ts`);
  const reached = new Set<string>();
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (reached.has(path)) continue;
    reached.add(path);
    waiting.push(...importsOf(path).filter((to) => to.startsWith('src/')));
  }
  expect(sources.filter((path) => !reached.has(path))).toEqual([]);
});

test('files that are started by name exist', () => {
  for (const path of sources) {
    for (const [, specifier = ''] of read(path).matchAll(/new URL\('([^']+)\.js', import\.meta\.url\)/g)) {
      const target = relative(root, resolve(root, dirname(path), `${specifier}.ts`));
      expect(sources, `${path}: ${specifier}`).toContain(join(target));
    }
  }
});
