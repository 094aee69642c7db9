import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type ServiceKind, serviceKinds } from './services.ts';

/** What was built or found on this machine, by path. */
export interface Programs {
  readonly load: string;
  readonly epoll: string | undefined;
  readonly go: Readonly<Record<ServiceKind, string>> | undefined;
  readonly xinetd: string | undefined;
  /** What is not there, and how to get it. */
  readonly missing: readonly string[];
}

const cFlags = ['-O2', '-std=gnu17', '-D_GNU_SOURCE', '-Wall', '-Wextra'];

/** The source of each service in Go. */
const goSources: Readonly<Record<ServiceKind, string>> = {
  'tcp-echo': 'echo.go',
  'udp-echo': 'udp-echo.go',
  daytime: 'daytime.go',
  time: 'time.go',
  chargen: 'chargen.go',
};

/** Where `npm run test:system` unpacks daemons that must not be installed. */
const unpackedDirectory = resolve('node_modules/.cache/smallservd/daemons/usr/sbin');

/**
 * Builds the load generator and the peers into a directory.
 *
 * @throws Error if the load generator cannot be built.
 */
export function buildPrograms(directory: string): Programs {
  if (!isInPath('cc')) throw new Error('bench: no C compiler: apt install gcc libc6-dev');
  for (const tool of ['taskset', 'prlimit'])
    if (!isInPath(tool)) throw new Error(`bench: no ${tool}: apt install util-linux`);
  if (!existsSync('dist/smallservd.js')) throw new Error('bench: no dist/smallservd.js: npm run build');
  const missing: string[] = [];
  const load = join(directory, 'load');
  const loadSources = readdirSync('bench/load').filter((name) => name.endsWith('.c'));
  compile(load, ...loadSources.map((name) => join('bench/load', name)));
  const epoll = join(directory, 'epoll');
  compile(epoll, 'bench/peers/epoll.c');
  const go = isInPath('go') ? buildGo(directory) : undefined;
  if (go === undefined) missing.push('no Go: apt install golang-go');
  const xinetd = [pathOf('xinetd'), join(unpackedDirectory, 'xinetd')].find(
    (path) => path !== undefined && existsSync(path),
  );
  if (xinetd === undefined) missing.push('no xinetd: apt install xinetd');
  return { load, epoll, go, xinetd, missing };
}

function compile(target: string, ...sources: readonly string[]): void {
  execFileSync('cc', [...cFlags, '-o', target, ...sources], { stdio: 'inherit' });
}

function buildGo(directory: string): Readonly<Record<ServiceKind, string>> {
  const env = { ...process.env, GO111MODULE: 'off', GOCACHE: join(directory, 'go-cache'), GOFLAGS: '' };
  const built = serviceKinds.map((kind): [ServiceKind, string] => {
    const target = join(directory, `go-${kind}`);
    execFileSync('go', ['build', '-o', target, join('bench/peers/go', goSources[kind])], { stdio: 'inherit', env });
    return [kind, target];
  });
  return Object.fromEntries(built) as Record<ServiceKind, string>;
}

function isInPath(name: string): boolean {
  return pathOf(name) !== undefined;
}

function pathOf(name: string): string | undefined {
  // Debian keeps daemons where the PATH of other users than root does not lead.
  const directories = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin'];
  return directories.map((directory) => join(directory, name)).find((path) => existsSync(path));
}
