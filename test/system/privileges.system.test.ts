import { execFileSync } from 'node:child_process';
import { appendFileSync, chmodSync, copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  childrenOf,
  checkout,
  daemonProgram,
  identityOf,
  Network,
  needs,
  type ProcessIdentity,
  temporaryDirectory,
} from './machine.ts';
import { Peers } from './peers.ts';
import { DaemonProgram, run } from './program.ts';

needs('nc', 'ip', 'unshare');

const wellKnown = ['--config', join(checkout, 'config/well-known.yaml')];
const nobody = identity(65534, 65534, [65534]);
const root = { uids: [0, 0, 0, 0], gids: [0, 0, 0, 0] };

function identity(uid: number, gid: number, groups: readonly number[]): ProcessIdentity {
  return { uids: [uid, uid, uid, uid], gids: [gid, gid, gid, gid], groups, capabilities: 0n };
}

/** The daemon, started by root with supplementary groups that its workers must not keep. */
async function startAsRoot(network: Network, args: readonly string[], directory?: string): Promise<DaemonProgram> {
  const groups = ['setpriv', '--groups', '0,4,27'];
  const options = directory === undefined ? {} : { directory };
  const daemon = new DaemonProgram(args, (argv) => network.inside([...groups, ...argv]), options);
  await daemon.ready();
  return daemon;
}

/** Runs the daemon as a user without rights until it ends. */
async function runAsNobody(args: readonly string[]): ReturnType<typeof run> {
  assertReadableByEverybody();
  return run([...daemonProgram, ...args], { uid: 65534, gid: 65534, directory: '/' });
}

function assertReadableByEverybody(): void {
  try {
    execFileSync('test', ['-r', daemonProgram[1]], { uid: 65534, gid: 65534 });
  } catch (cause) {
    throw new Error(`this test runs the checkout as nobody, who may not read ${daemonProgram[1]}`, { cause });
  }
}

describe('a daemon started by root', () => {
  it('binds the well-known ports and runs its workers as nobody', async () => {
    const network = Network.make();
    const daemon = await startAsRoot(network, wellKnown);
    expect(identityOf(daemon.pid)).toMatchObject({ ...root, groups: [0, 4, 27] });
    expect(daemon.workers.length).toBeGreaterThanOrEqual(2);
    // The workers, and the process of the admin endpoint.
    const children = childrenOf(daemon.pid);
    expect(children).toHaveLength(daemon.workers.length + 1);
    for (const child of children) expect(identityOf(child)).toEqual(nobody);
    expect(daemon.lines.find(({ user }) => user === 'nobody')?.level).toBe('warn');

    const peers = new Peers(network);
    for (const host of ['127.0.0.1', '::1']) {
      expect(await peers.tcp(host, 7, 'here\n')).toBe('here\n');
      expect(await peers.udp(host, 7, 'here\n')).toBe('here\n');
      expect(await peers.tcp(host, 9, 'here\n')).toBe('');
      expect(await peers.tcp(host, 11)).toMatch(/user/);
      expect(await peers.tcp(host, 13)).toMatch(/day, /);
      expect(await peers.tcp(host, 17)).toMatch(/\w/);
      expect((await peers.tcpBytes(host, 37)).length).toBe(4);
      const chargen = peers.talk(host, '19');
      await chargen.until(() => chargen.bytes.length > 100, 'the pattern');
      chargen.signal('SIGKILL');
    }
    const chosen = daemon.lines.filter(({ msg }) => msg === 'listening').map(({ address }) => String(address));
    const ports = (transport: string): number[] =>
      [
        ...new Set(chosen.filter((each) => each.startsWith(transport)).map((each) => Number(/\d+$/.exec(each)?.[0]))),
      ].sort((one, other) => one - other);
    expect(ports('tcp')).toEqual([7, 9, 11, 13, 17, 19, 37]);
    expect(ports('udp')).toEqual([7, 9, 13, 37, 862]);
  });

  it('restarts killed workers as nobody, still serving the low ports', async () => {
    const network = Network.make();
    const daemon = await startAsRoot(network, wellKnown);
    for (const worker of daemon.workers) process.kill(worker, 'SIGKILL');
    await daemon.workersBack(2);
    for (const worker of daemon.workers) expect(identityOf(worker)).toEqual(nobody);
    const peers = new Peers(network);
    expect(await peers.tcp('127.0.0.1', 7, 'again\n')).toBe('again\n');
    expect(await peers.udp('127.0.0.1', 7, 'again\n')).toBe('again\n');
  });

  it.each([
    { user: 'daemon', group: undefined, expected: identity(1, 1, [1]) },
    { user: 'daemon', group: 'games', expected: identity(1, 60, [60]) },
    { user: '1', group: '60', expected: identity(1, 60, [60]) },
    { user: '47110', group: '47111', expected: identity(47110, 47111, [47111]) },
  ])('runs its workers as user $user, group $group', async ({ user, group, expected }) => {
    const network = Network.make();
    const set = ['--set', `user=${user}`, ...(group === undefined ? [] : ['--set', `group=${group}`])];
    const daemon = await startAsRoot(network, [...wellKnown, ...set]);
    for (const worker of daemon.workers) expect(identityOf(worker)).toEqual(expected);
    expect(await new Peers(network).tcp('127.0.0.1', 7, 'here\n')).toBe('here\n');
    expect(daemon.lines.some(({ level }) => level === 'warn')).toBe(false);
  });

  it.each([
    ['a database', ''],
    ['getent', 'export PATH=/nonexistent && '],
  ])('becomes a numeric user and group without %s', async (_what, hideGetent) => {
    const network = Network.make();
    const hide = `mount --bind /dev/null /etc/passwd && mount --bind /dev/null /etc/group && ${hideGetent}exec "$@"`;
    const sets = ['--set', 'user=47110', '--set', 'group=47111', '--set', 'workers=1'];
    const around = ['unshare', '--mount', 'sh', '-ec', hide, 'sh'];
    const daemon = new DaemonProgram([...wellKnown, ...sets], (argv) => network.inside([...around, ...argv]));
    await daemon.ready();
    expect(daemon.workers).toHaveLength(1);
    for (const worker of daemon.workers) expect(identityOf(worker)).toEqual(identity(47110, 47111, [47111]));
  });

  it('exits with 78 if a numeric user is unknown and no group is set', async () => {
    const refused = await run([...daemonProgram, '--set', 'user=47110']);
    expect((await refused.end()).code).toBe(78);
    expect(refused.complaints).toMatch(/^smallservd: --set user: 47110 has no passwd entry: set group/);
  });

  it('runs its workers as root if the config says so', async () => {
    const network = Network.make();
    const daemon = await startAsRoot(network, [...wellKnown, '--set', 'user=root']);
    for (const worker of daemon.workers) expect(identityOf(worker)).toMatchObject(root);
  });

  it('becomes nobody itself with workers: 0', async () => {
    const network = Network.make();
    const daemon = await startAsRoot(network, ['--set', 'workers=0']);
    expect(daemon.workers).toEqual([]);
    expect(identityOf(daemon.pid)).toEqual(nobody);
    expect(await new Peers(network).tcp('127.0.0.1', 1201, 'here\n')).toBe('here\n');
    expect(await new Peers(network).udp('127.0.0.1', 1201, 'here\n')).toBe('here\n');
    daemon.signal('SIGTERM');
    expect(await daemon.end()).toEqual({ code: 0, signal: null });
  });

  it('cannot bind low ports with workers: 0, as it drops privileges first', async () => {
    const refused = await run(Network.make().inside([...daemonProgram, ...wellKnown, '--set', 'workers=0']));
    expect((await refused.end()).code).toBe(77);
    expect(refused.complaints).toMatch(/not permitted\. A port below 1024 needs one of:/);
  });

  it('imports a module only in its workers', async () => {
    const network = Network.make();
    const directory = temporaryDirectory();
    const imports = join(directory, 'imports');
    writeModule(directory, imports);
    const daemon = await startAsRoot(network, ['--config', join(directory, 'smallservd.yaml')]);
    const importers = readFileSync(imports, 'utf8').trimEnd().split('\n').map(Number);
    expect(new Set(importers)).toEqual(new Set(daemon.workers));
    expect(importers.length).toBe(daemon.workers.length);
    expect(await new Peers(network).tcp('127.0.0.1', 1299)).toBe('65534 65534\n');
  });

  it('serves a module as nobody with workers: 0 too', async () => {
    const network = Network.make();
    const directory = temporaryDirectory();
    writeModule(directory, join(directory, 'imports'));
    await startAsRoot(network, ['--config', join(directory, 'smallservd.yaml'), '--set', 'workers=0']);
    expect(await new Peers(network).tcp('127.0.0.1', 1299)).toBe('65534 65534\n');
  });

  it.each(['1', '0'])(
    'refuses to start if its processes would keep capabilities, with workers: %s',
    async (workers) => {
      const network = Network.make();
      const around = ['setpriv', '--securebits', '+no_setuid_fixup'];
      const sets = ['--set', `workers=${workers}`];
      const refused = await run(network.inside([...around, ...daemonProgram, ...wellKnown, ...sets]));
      expect((await refused.end()).code).toBe(77);
      expect(refused.complaints).toBe(
        'smallservd: user nobody: the process would keep capabilities of root: start it without the securebit no_setuid_fixup\n',
      );
    },
  );

  it('exits with 78 if the user or group is unknown', async () => {
    for (const [key, value] of [
      ['user', 'nosuchuser'],
      ['group', 'nosuchgroup'],
    ]) {
      const refused = await run([...daemonProgram, '--set', `${key}=${value}`]);
      expect((await refused.end()).code).toBe(78);
      expect(refused.complaints).toBe(`smallservd: --set ${key}: "${value}" is not a ${key} on this machine\n`);
      expect(refused.output).toBe('');
    }
  });

  it.each(['run', 'check'])('reports an unknown user in place, with every other problem, in %s', async (command) => {
    const directory = temporaryDirectory();
    const config = join(directory, 'smallservd.yaml');
    const imported = join(directory, 'imported');
    writeModule(directory, imported);
    appendFileSync(config, 'user: nosuchuser\nlog: { level: loud }\n');
    const refused = await run([...daemonProgram, command, '--config', config]);
    expect((await refused.end()).code).toBe(78);
    const complaints = refused.complaints.split('\n');
    expect(complaints).toContainEqual(
      expect.stringMatching(/smallservd\.yaml:\d+:\d+ user: "nosuchuser" is not a user on this machine$/),
    );
    expect(complaints).toContainEqual(expect.stringMatching(/ log\.level: "loud" /));
    expect(readFileSync(imported, 'utf8')).toBe('');
  });
});

describe('a daemon started by an unprivileged user', () => {
  it.each(['auto', '0'])('cannot bind port 7 and suggests three solutions, with workers: %s', async (workers) => {
    const network = Network.make();
    assertReadableByEverybody();
    const daemon = await run(
      network.inside([...asNobody, ...daemonProgram, ...wellKnown, '--set', `workers=${workers}`]),
    );
    expect((await daemon.end()).code).toBe(77);
    const [first, ...ways] = daemon.complaints.trimEnd().split('\n');
    expect(first).toMatch(/^smallservd: echo: cannot listen on tcp:\/\/\*:7 \(tcp:\/\/0\.0\.0\.0:7\): not permitted/);
    expect(ways.length).toBe(3);
    expect(daemon.complaints).toContain('CAP_NET_BIND_SERVICE');
    expect(daemon.complaints).toContain('net.ipv4.ip_unprivileged_port_start=0');
    expect(daemon.complaints).toContain('starting as root with "workers" above 0');
  });

  it('cannot switch to another user or group', async () => {
    for (const set of ['user=daemon', 'group=daemon', 'user=root']) {
      const daemon = await runAsNobody(['--set', set]);
      expect((await daemon.end()).code).toBe(77);
      expect(daemon.complaints).toMatch(/^smallservd: user \w+: only root can start workers as another user\n$/);
    }
  });

  it('serves if the config names its own user', async () => {
    const network = Network.make();
    assertReadableByEverybody();
    const daemon = new DaemonProgram(['--set', 'user=nobody'], (argv) => network.inside([...asNobody, ...argv]));
    await daemon.ready();
    for (const pid of [daemon.pid, ...daemon.workers])
      expect(identityOf(pid)).toMatchObject({ uids: nobody.uids, gids: nobody.gids });
    expect(await new Peers(network).tcp('127.0.0.1', 1201, 'here\n')).toBe('here\n');
  });

  it('serves the low ports given CAP_NET_BIND_SERVICE or the sysctl', async () => {
    assertReadableByEverybody();
    const capability = ['--inh-caps', '+net_bind_service', '--ambient-caps', '+net_bind_service'];
    const [setpriv = '', ...identityFlags] = asNobody;
    const openToAll = 'echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start; exec "$@"';
    for (const around of [
      [setpriv, ...capability, ...identityFlags],
      ['sh', '-c', openToAll, 'sh', ...asNobody],
    ]) {
      const network = Network.make();
      const daemon = new DaemonProgram(wellKnown, (argv) => network.inside([...around, ...argv]));
      await daemon.ready();
      for (const pid of [daemon.pid, ...daemon.workers]) expect(identityOf(pid).uids).toEqual(nobody.uids);
      expect(await new Peers(network).tcp('127.0.0.1', 7, 'here\n')).toBe('here\n');
    }
  });

  it('exits with 77 if it cannot write the log file', async () => {
    const directory = temporaryDirectory();
    const daemon = await runAsNobody(['--set', `log.file=${join(directory, 'log')}`]);
    expect((await daemon.end()).code).toBe(77);
    expect(daemon.complaints).toMatch(/^smallservd: log\.file .*permission denied/);
  });
});

const asNobody = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'];

/** A service that notes down which process imports it, and answers with the user that it serves as. */
function writeModule(directory: string, imports: string): void {
  copyFileSync(join(checkout, 'package.json'), join(directory, 'package.json'));
  // It is imported with the rights of nobody.
  writeFileSync(imports, '');
  chmodSync(imports, 0o666);
  writeFileSync(
    join(directory, 'whoami.js'),
    `import { appendFileSync } from 'node:fs';
    appendFileSync(${JSON.stringify(imports)}, process.pid + '\\n');
    export default {
      name: 'whoami', summary: 'tells whom it serves as', options: {},
      create: () => ({ stream: (client) => client.end(Buffer.from(process.getuid() + ' ' + process.getgid() + '\\n')) }),
    };\n`,
  );
  writeFileSync(
    join(directory, 'smallservd.yaml'),
    'services: { whoami: { module: ./whoami.js, listen: ["tcp://localhost:1299"] } }\n',
  );
  chmodSync(directory, 0o755);
}
