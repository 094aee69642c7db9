/** What the system tests need of the machine, and what they build on it. Nothing outlives the test that made it. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, onTestFinished } from 'vitest';

/** The root of the checkout. */
export const checkout = fileURLToPath(new URL('../..', import.meta.url));

/** The daemon as the service manager starts it. */
export const daemonProgram = [process.execPath, join(checkout, 'dist/smallservd.js')] as const;

/** The Debian package of each program that the tests call. */
const packages = {
  telnet: 'telnet',
  nc: 'netcat-openbsd',
  ip: 'iproute2',
  'systemd-socket-activate': 'systemd',
  script: 'bsdutils',
  unshare: 'util-linux',
  mount: 'mount',
  python3: 'python3-minimal',
} as const;

export type ProgramName = keyof typeof packages;

/** Fails the tests of this file, with a plain message, where they are not run as root or a program is missing. */
export function needs(...programs: ProgramName[]): void {
  beforeAll(() => {
    if (process.getuid?.() !== 0) throw new Error('the system tests need root: run `npm run test:system` as root');
    for (const program of programs) assertInstalled(program);
  });
}

function assertInstalled(program: ProgramName): void {
  const folder = (process.env['PATH'] ?? '').split(':').find((each) => isThere(join(each, program)));
  const wanted = `the Debian package ${packages[program]} (apt-get install ${packages[program]})`;
  if (folder === undefined) throw new Error(`this test needs the program ${program}, which is in ${wanted}`);
  if (program !== 'nc') return;
  const help = execFileSync('sh', ['-c', 'nc -h 2>&1 || true'], { encoding: 'utf8' });
  if (!help.includes('OpenBSD')) throw new Error(`this test needs OpenBSD's nc, which is in ${wanted}`);
}

function isThere(path: string): boolean {
  try {
    execFileSync('test', ['-x', path], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** A folder of this test alone. `mode` 0o755 lets other users in. */
export function temporaryFolder(mode: number = 0o755): string {
  const folder = mkdtempSync(join(tmpdir(), 'smallservd-system-'));
  chmodSync(folder, mode);
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

let namespaces = 0;

/** A network of this test alone: a loopback interface and nothing else, all ports free. */
export class Network {
  readonly #name: string;

  private constructor(name: string) {
    this.#name = name;
  }

  static make({ ipv6 }: { ipv6: boolean } = { ipv6: true }): Network {
    namespaces += 1;
    const name = `smallservd-${process.pid}-${namespaces}`;
    const network = new Network(name);
    execFileSync('ip', ['netns', 'add', name]);
    onTestFinished(() => void execFileSync('ip', ['netns', 'delete', name]));
    if (!ipv6)
      execFileSync('ip', ['netns', 'exec', name, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6']);
    execFileSync('ip', ['-netns', name, 'link', 'set', 'lo', 'up']);
    return network;
  }

  /** The command line that runs another in this network; the process keeps its id. */
  inside(argv: readonly string[]): readonly string[] {
    return ['ip', 'netns', 'exec', this.#name, ...argv];
  }
}

/** Who a process is, as /proc tells: every thread must agree. */
export interface ProcessIdentity {
  /** Real, effective, saved and file system. */
  readonly uids: readonly number[];
  readonly gids: readonly number[];
  /** Supplementary. */
  readonly groups: readonly number[];
  /** The union of the effective, permitted, inheritable and ambient sets, as a bit mask. */
  readonly capabilities: bigint;
}

export function identityOf(pid: number): ProcessIdentity {
  const threads = readdirSync(`/proc/${pid}/task`).map((thread) => readIdentity(`/proc/${pid}/task/${thread}/status`));
  const [first] = threads;
  if (first === undefined) throw new Error(`process ${pid} has no threads`);
  const odd = threads.find((each) => describe(each) !== describe(first));
  if (odd !== undefined) throw new Error(`threads of ${pid} differ: ${describe(first)} and ${describe(odd)}`);
  return first;
}

function readIdentity(path: string): ProcessIdentity {
  const status = readFileSync(path, 'utf8');
  const field = (name: string): readonly string[] =>
    (new RegExp(`^${name}:(.*)$`, 'm').exec(status)?.[1] ?? '').trim().split(/\s+/).filter(Boolean);
  const capabilities = ['CapEff', 'CapPrm', 'CapInh', 'CapAmb'].map((name) => BigInt(`0x${field(name)[0]}`));
  return {
    uids: field('Uid').map(Number),
    gids: field('Gid').map(Number),
    groups: field('Groups').map(Number),
    capabilities: capabilities.reduce((all, each) => all | each, 0n),
  };
}

function describe({ uids, gids, groups, capabilities }: ProcessIdentity): string {
  return `${uids.join()} ${gids.join()} ${groups.join()} ${capabilities.toString(16)}`;
}

/** The processes that a process has started and that still run. */
export function childrenOf(pid: number): readonly number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((thread) => {
    try {
      return readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
    } catch {
      return [];
    }
  });
}

/** The process and all that came of it, children last. */
export function familyOf(pid: number): readonly number[] {
  try {
    return [pid, ...childrenOf(pid).flatMap(familyOf)];
  } catch {
    return [];
  }
}
