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

/** The client tools as a user starts them. */
export const clientProgram = [process.execPath, join(checkout, 'dist/smallserv.js')] as const;

/** The Debian package of each program that the tests call; with-packages.sh installs or unpacks it. */
const packages = {
  telnet: 'telnet',
  nc: 'netcat-openbsd',
  ip: 'iproute2',
  'systemd-socket-activate': 'systemd',
  'systemd-analyze': 'systemd',
  'systemd-nspawn': 'systemd-container',
  'dbus-daemon': 'dbus',
  script: 'bsdutils',
  unshare: 'util-linux',
  mount: 'mount',
  python3: 'python3-minimal',
  dnsmasq: 'dnsmasq-base',
  finger: 'finger',
  getent: 'libc-bin',
  ping: 'iputils-ping',
  setcap: 'libcap2-bin',
  setpriv: 'util-linux',
  bash: 'bash-completion',
  mandoc: 'mandoc',
  man: 'man-db',
  zsh: 'zsh',
  lintian: 'lintian',
  'dpkg-deb': 'dpkg',
  xinetd: 'xinetd',
  'inetutils-inetd': 'inetutils-inetd',
  inetd: 'openbsd-inetd',
  buildah: 'buildah',
  mmdebstrap: 'mmdebstrap',
  nsenter: 'util-linux',
  promtool: 'prometheus',
  haproxy: 'haproxy',
  dnsdist: 'dnsdist',
  'in.fingerd': 'fingerd',
  oidentd: 'oidentd',
  fish: 'fish',
  'firewall-offline-cmd': 'firewalld',
  fping: 'fping',
  logrotate: 'logrotate',
  ufw: 'ufw',
  nft: 'nftables',
  curl: 'curl',
  openssl: 'openssl',
  chromium: 'chromium',
  tmux: 'tmux',
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
  const directory = (process.env['PATH'] ?? '').split(':').find((each) => isThere(join(each, program)));
  const wanted = `the Debian package ${packages[program]}, which npm run test:system installs`;
  if (directory === undefined) throw new Error(`this test needs the program ${program}, which is in ${wanted}`);
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

/** A directory of this test alone. `mode` 0o755 lets other users in. */
export function temporaryDirectory(mode: number = 0o755, parent: string = tmpdir()): string {
  const directory = mkdtempSync(join(parent, 'smallservd-system-'));
  chmodSync(directory, mode);
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

let namespaces = 0;
let cables = 0;

/** The names of the interfaces at its ends. */
export interface Cable {
  readonly near: string;
  readonly far: string;
}

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

  /** Joins it to another by a cable (veth(4)), whose ends have these addresses, such as `192.0.2.1/24`. */
  join(other: Network, near: readonly string[], far: readonly string[]): Cable {
    cables += 1;
    const [nearEnd, farEnd] = [`near${cables}`, `far${cables}`];
    this.ip('link', 'add', nearEnd, 'type', 'veth', 'peer', 'name', farEnd, 'netns', other.#name);
    this.#raise(nearEnd, near);
    other.#raise(farEnd, far);
    return { near: nearEnd, far: farEnd };
  }

  /** Puts it on the link of another's device, as a host of its own (macvlan). Returns its device. */
  attach(other: Network, device: string, addresses: readonly string[]): string {
    cables += 1;
    const end = `near${cables}`;
    const kind = ['type', 'macvlan', 'mode', 'bridge'];
    other.ip('link', 'add', 'link', device, 'name', end, 'netns', this.#name, ...kind);
    this.#raise(end, addresses);
    return end;
  }

  /** `ip ARGS` (ip(8)) in this network. */
  ip(...args: readonly string[]): void {
    execFileSync('ip', ['-netns', this.#name, ...args]);
  }

  /** Sets `net/ipv4/ip_forward` and the like, as sysctl(8) does. */
  set(key: string, value: number): void {
    const [command = '', ...args] = this.inside(['sh', '-c', `echo ${value} > /proc/sys/${key}`]);
    execFileSync(command, args);
  }

  #raise(end: string, addresses: readonly string[]): void {
    // Without nodad an IPv6 address could not be used for its first two seconds (RFC 4862 section 5.4).
    for (const each of addresses) this.ip('address', 'add', each, 'dev', end, ...(each.includes(':') ? ['nodad'] : []));
    this.ip('link', 'set', end, 'up');
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

/** Its program and arguments; empty where it has gone. */
export function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}

/** The process and all that came of it, children last. */
export function familyOf(pid: number): readonly number[] {
  try {
    return [pid, ...childrenOf(pid).flatMap(familyOf)];
  } catch {
    return [];
  }
}
