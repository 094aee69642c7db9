import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { childrenOf, daemonProgram, identityOf, Network, needs, temporaryDirectory } from './machine.ts';
import { Peers } from './peers.ts';
import { DaemonProgram, run } from './program.ts';

needs('ip', 'unshare', 'nc');

const nobody = 65_534;
const secret = 'Only root knows this.';
const kept = 'Everybody knows this.';

/** What /proc says of each thread of a process. */
function fieldOfThreads(pid: number, field: string): readonly string[] {
  return readdirSync(`/proc/${pid}/task`).map((thread) => fieldOf(`/proc/${pid}/task/${thread}/status`, field));
}

function fieldOf(path: string, field: string): string {
  return new RegExp(`^${field}:\\s*(.*)$`, 'm').exec(readFileSync(path, 'utf8'))?.[1] ?? '';
}

/** A daemon of root's whose config `change` may alter; everybody may read the directory. */
async function serve(
  config: object,
  wrap: (argv: readonly string[]) => readonly string[] = (argv) => argv,
): Promise<Served> {
  const network = Network.make();
  const directory = temporaryDirectory();
  const file = join(directory, 'smallservd.yaml');
  writeFileSync(file, JSON.stringify(config));
  const daemon = new DaemonProgram(['--config', file], (argv) => network.inside(wrap(argv)));
  await daemon.ready();
  return { daemon, network, directory, file };
}

interface Served {
  readonly daemon: DaemonProgram;
  readonly network: Network;
  readonly directory: string;
  readonly file: string;
}

/** Writes a module whose service answers with what `expression` gives. */
function writeModule(directory: string, expression: string): string {
  writeFileSync(join(directory, 'package.json'), '{"type":"module"}');
  const path = join(directory, 'answers.js');
  writeFileSync(
    path,
    `import { execFileSync } from 'node:child_process';
    export default {
      name: 'answers', summary: 'answers', options: {},
      create: () => ({ stream: (client) => client.end(Buffer.from(String(${expression}))) }),
    };\n`,
  );
  return path;
}

describe('child processes', () => {
  it('of a root supervisor have no capabilities and cannot gain any', async () => {
    const { daemon } = await serve({
      admin: { listen: 'tcp://127.0.0.1:9013' },
      services: { echo: { listen: ['tcp://*:7'] } },
    });
    const children = childrenOf(daemon.pid);
    expect(children).toHaveLength(daemon.workers.length + 1);
    for (const child of children) {
      expect(identityOf(child)).toMatchObject({ uids: [nobody, nobody, nobody, nobody], capabilities: 0n });
      for (const value of fieldOfThreads(child, 'NoNewPrivs')) expect(value).toBe('1');
      // What a process starts, its main thread starts.
      expect(fieldOf(`/proc/${child}/status`, 'CapBnd')).toMatch(/^0+$/);
    }
  });

  it('of a root supervisor gain no privileges from a setuid program', async () => {
    const directory = temporaryDirectory();
    const id = join(directory, 'id');
    copyFileSync('/usr/bin/id', id);
    chmodSync(id, 0o4755);
    // On this file system the bit works.
    expect(execFileSync(id, ['-u'], { uid: nobody, gid: nobody, encoding: 'utf8' })).toBe('0\n');
    const module = writeModule(directory, `execFileSync(${JSON.stringify(id)}, ['-u'])`);
    const { network } = await serve({ services: { answers: { module, listen: ['tcp://127.0.0.1:99'] } } });
    expect(await new Peers(network).tcp('127.0.0.1', 99)).toBe(`${nobody}\n`);
  });

  it('of an unprivileged supervisor gain no privileges from a setuid program', async () => {
    const directory = temporaryDirectory();
    const id = join(directory, 'id');
    copyFileSync('/usr/bin/id', id);
    chmodSync(id, 0o4755);
    const module = writeModule(directory, `execFileSync(${JSON.stringify(id)}, ['-u'])`);
    const asNobody = ['setpriv', '--reuid', String(nobody), '--regid', String(nobody), '--clear-groups'];
    const { network } = await serve({ services: { answers: { module, listen: ['tcp://127.0.0.1:9999'] } } }, (argv) => [
      ...asNobody,
      ...argv,
    ]);
    expect(await new Peers(network).tcp('127.0.0.1', 9999)).toBe(`${nobody}\n`);
  });

  it.each([
    [{ user: 'root' }, 0, 0],
    [{ user: '0' }, 0, 0],
    [{ user: 'root', group: 'nogroup' }, 0, nobody],
    [{ user: '0', group: '0' }, 0, 0],
  ])('that serve the admin endpoint never run as root: %j', async (account, uid, gid) => {
    const { daemon } = await serve({
      ...account,
      admin: { listen: 'tcp://127.0.0.1:9013' },
      services: { echo: { listen: ['tcp://*:7'] } },
    });
    const others = childrenOf(daemon.pid).filter((child) => !daemon.workers.includes(child));
    expect(others).toHaveLength(1);
    for (const other of others) expect(identityOf(other).uids).toEqual([nobody, nobody, nobody, nobody]);
    // What the config asks for in so many words.
    for (const worker of daemon.workers)
      expect(identityOf(worker)).toMatchObject({ uids: [uid, uid, uid, uid], gids: [gid, gid, gid, gid] });
  });
});

describe('the default user', () => {
  const config = { admin: { listen: 'tcp://127.0.0.1:9013' }, services: { echo: { listen: ['tcp://*:7'] } } };
  const users = readFileSync('/etc/passwd', 'utf8');

  it('is smallservd if that user exists, also for the admin endpoint', async () => {
    const { daemon } = await serve(config, withUsers(`${users}smallservd:x:47110:47110::/:/usr/sbin/nologin\n`));
    for (const child of childrenOf(daemon.pid)) expect(identityOf(child).uids).toEqual([47110, 47110, 47110, 47110]);
    expect(daemon.lines.filter(({ level }) => level === 'warn')).toEqual([]);
  });

  it('falls back to nobody, with a warning that it is shared', async () => {
    const { daemon } = await serve(config);
    for (const child of childrenOf(daemon.pid))
      expect(identityOf(child).uids).toEqual([nobody, nobody, nobody, nobody]);
    expect(daemon.lines.filter(({ level }) => level === 'warn')).toMatchObject([
      {
        user: 'nobody',
        msg: 'workers run as a user shared with other daemons, add a user smallservd',
      },
    ]);
  });

  it('is not smallservd if that user has UID 0', async () => {
    const { daemon } = await serve(config, withUsers(`${users}smallservd:x:0:0::/:/usr/sbin/nologin\n`));
    for (const child of childrenOf(daemon.pid))
      expect(identityOf(child).uids).toEqual([nobody, nobody, nobody, nobody]);
  });

  it.each(['', 'smallservd:x:0:0::/:/bin/sh\nnobody:x:0:0::/:/bin/sh\n'])(
    'must exist with a nonzero UID: %j',
    async (more) => {
      const wrap = withUsers(`root:x:0:0:root:/root:/bin/bash\n${more}`);
      const refused = await run(Network.make().inside(wrap([...daemonProgram])));
      expect((await refused.end()).code).toBe(78);
      expect(refused.complaints).toMatch(
        /^smallservd: .*smallservd\.yaml:1:1 user is not set, and neither smallservd nor nobody is an unprivileged user on this machine\n$/,
      );
    },
  );
});

describe('files named in the config are opened only with the privileges of the user', () => {
  const listen = ['tcp://127.0.0.1:17'];

  it('a reload fails and leaks nothing if the quotation file becomes a link to a root-only file', async () => {
    const { directory, locked } = directoryOfNobody();
    const { daemon, network } = await serve({ services: { qotd: { file: join(directory, 'quotations'), listen } } });
    const peers = new Peers(network);
    expect(await peers.tcp('127.0.0.1', 17)).toBe(`${kept}\r\n`);
    replaceByLink(directory, locked);
    daemon.signal('SIGHUP');
    const { errors } = await daemon.line(({ msg }) => msg === 'reload failed, keeping the running config');
    expect(String(errors)).toMatch(/services\.qotd\.file: .*permission denied/);
    expect(await peers.tcp('127.0.0.1', 17)).toBe(`${kept}\r\n`);
    expect(daemon.output).not.toContain(secret);
  });

  it.each([
    ['at startup', [], {}],
    ['at startup with workers: 0', ['--set', 'workers=0'], {}],
    ['by check', ['check'], {}],
    ['by check --json', ['check', '--json'], {}],
    ['by check of a config with another error', ['check'], { log: { level: 'loud' } }],
  ])('a quotation file that links to a root-only file is rejected %s', async (_when, args, more) => {
    const { directory, locked } = directoryOfNobody();
    replaceByLink(directory, locked);
    const file = join(temporaryDirectory(0o700), 'smallservd.yaml');
    writeFileSync(
      file,
      JSON.stringify({ services: { qotd: { file: join(directory, 'quotations'), listen } }, ...more }),
      {
        mode: 0o600,
      },
    );
    const refused = await run(Network.make().inside([...daemonProgram, ...args, '--config', file]));
    expect((await refused.end()).code).toBe(78);
    const said = args.includes('--json') ? refused.output : refused.complaints;
    expect(said).toMatch(/services\.qotd\.file[^]*permission denied/);
    if ('log' in more) expect(refused.complaints).toMatch(/log\.level: "loud" is not/);
    expect(refused.complaints + refused.output).not.toContain(secret);
  });

  it.each([['start'], ['check']])('a module that only root can read is not imported on %s', async (command) => {
    const directory = temporaryDirectory(0o700);
    const module = writeModule(directory, '1');
    mkdirSync(join(directory, 'node_modules/answers'), { recursive: true });
    writeFileSync(join(directory, 'node_modules/answers/package.json'), '{"type":"module","exports":"./answers.js"}');
    copyFileSync(module, join(directory, 'node_modules/answers/answers.js'));
    const file = join(directory, 'smallservd.yaml');
    for (const named of ['./answers.js', 'answers']) {
      writeFileSync(file, JSON.stringify({ services: { answers: { module: named, listen } } }));
      const args = command === 'check' ? ['check', '--config', file] : ['--config', file];
      const refused = await run(Network.make().inside([...daemonProgram, ...args]));
      expect((await refused.end()).code).toBe(78);
      expect(refused.complaints).toMatch(/services\.answers\.module: "/);
    }
  });

  it('check switches to the configured user and reports a file that this user cannot read', async () => {
    const directory = temporaryDirectory();
    const quotations = join(directory, 'quotations');
    writeFileSync(quotations, `${kept}\n`, { mode: 0o640 });
    chownSync(quotations, 0, 1);
    const file = join(directory, 'smallservd.yaml');
    writeFileSync(
      file,
      JSON.stringify({ group: '1', user: '47110', services: { qotd: { file: quotations, listen } } }),
    );
    expect((await (await run([...daemonProgram, 'check', '--config', file])).end()).code).toBe(0);
    const refused = await run([...daemonProgram, 'check', '--config', file, '--set', 'group=2']);
    expect((await refused.end()).code).toBe(78);
    expect(refused.complaints).toMatch(/services\.qotd\.file: .*permission denied/);
  });
});

/** Runs a command where the machine has these users. */
function withUsers(passwd: string): (argv: readonly string[]) => readonly string[] {
  const file = join(temporaryDirectory(), 'passwd');
  writeFileSync(file, passwd);
  // Else systemd's library knows nobody, whatever the file says.
  const services = `${file}.services`;
  writeFileSync(services, 'passwd: files\ngroup: files\n');
  return (argv) => [
    'unshare',
    '--mount',
    'sh',
    '-c',
    'mount --bind "$1" /etc/passwd && mount --bind "$1.services" /etc/nsswitch.conf && shift && exec "$@"',
    'sh',
    file,
    ...argv,
  ];
}

/** A directory that nobody may write, with a file that only root can read. */
function directoryOfNobody(): { readonly directory: string; readonly locked: string } {
  const locked = join(temporaryDirectory(0o700), 'locked');
  writeFileSync(locked, `${secret}\n`, { mode: 0o600 });
  const directory = temporaryDirectory();
  chownSync(directory, nobody, nobody);
  writeFileSync(join(directory, 'quotations'), `${kept}\n`);
  return { directory, locked };
}

function replaceByLink(directory: string, target: string): void {
  symlinkSync(target, join(directory, 'link'));
  renameSync(join(directory, 'link'), join(directory, 'quotations'));
}
