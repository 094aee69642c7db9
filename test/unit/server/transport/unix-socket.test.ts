import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  linkSync,
  lstatSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, Server } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { libc } from '../../../../src/kernel/libc.ts';
import { readPeerCredentials } from '../../../../src/kernel/peer-credentials.ts';
import { listenUnix } from '../../../../src/kernel/sockets.ts';
import { streams } from '../../../../src/kernel/streams.ts';
import type { SocketAccess } from '../../../../src/server/transport/listener.ts';
import type { PlannedListener } from '../../../../src/server/transport/plan.ts';
import { bindPrivately, bindUnix, type FileId, fileIdAt } from '../../../../src/server/transport/bound-file.ts';
import { SocketFiles } from '../../../../src/server/transport/unix-socket.ts';
import { serve } from '../../../support/daemon.ts';
import { expectedRefusal, sendDescriptorTo } from '../../../support/descriptor-sender.ts';
import { TcpClient } from '../../../support/tcp.ts';
import { until } from '../../../support/wait.ts';

let directory = '';
let path = '';

beforeEach(() => {
  directory = join(mkdtempSync(join(tmpdir(), 'smallservd-unix-')), 'run');
  mkdirSync(directory);
  path = join(directory, 'echo.sock');
});

afterEach(() => rmSync(dirname(directory), { recursive: true, force: true }));

/** What a daemon leaves that was killed: a socket file on which nobody listens. */
function leaveDeadSocket(file: string = path): void {
  const script = 'require("net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))';
  expect(() => execFileSync(process.execPath, ['-e', script, file], { stdio: 'ignore' })).toThrow();
  expect(lstatSync(file).isSocket()).toBe(true);
}

/** A daemon that has bound its socket, and listens once the result is called. Undefined where koffi is missing. */
async function bindWithoutListening(): Promise<(() => void) | undefined> {
  if (libc === undefined) return undefined;
  const { default: koffi } = await import('koffi');
  const library = koffi.load(null);
  const socket = library.func('int socket(int, int, int)');
  const bindTo = library.func('int bind(int, void *, int)');
  const listen = library.func('int listen(int, int)');
  const descriptor = Number(socket(1, 1, 0));
  onTestFinished(() => closeSync(descriptor));
  // unix(7): AF_UNIX in two bytes of the machine's order, then the path.
  const address = Buffer.concat([Buffer.from(new Uint16Array([1]).buffer), Buffer.from(`${path}\0`)]);
  expect(bindTo(descriptor, address, address.length)).toBe(0);
  return () => expect(listen(descriptor, 8)).toBe(0);
}

async function expectEcho(): Promise<void> {
  const client = await TcpClient.connect({ path });
  client.finish('hello');
  expect((await client.takeAll()).toString()).toBe('hello');
}

describe('a UNIX listener', () => {
  it('serves clients, reports its path and logs its clients', async () => {
    const daemon = await serve({ echo: { listen: [`unix://${path}`] } });
    expect(daemon.listeners).toEqual([{ service: 'echo', transport: 'unix', address: path, port: 0 }]);
    await expectEcho();
    const line = await daemon.log.closing(`unix:${process.geteuid?.()}`);
    expect(line).toMatchObject({ local: `unix:${path}`, bytesIn: 5, bytesOut: 5, reason: 'completed' });
  });

  it('removes its socket file on close', async () => {
    const daemon = await serve({ echo: { listen: [`unix://${path}`] } });
    await daemon.close();
    expect(existsSync(path)).toBe(false);
  });

  it('counts the clients of a user as one source', async () => {
    const daemon = await serve({ echo: { listen: [`unix://${path}`], maxConnectionsPerSource: 1 } });
    await TcpClient.connect({ path });
    const second = await TcpClient.connect({ path });
    expect(await second.takeAll()).toHaveLength(0);
    await daemon.close(0);
    expect(daemon.log.summed('refused')).toEqual({ 'source-limit': 1 });
  });

  it('closes a client that never reads and serves others', async () => {
    const limits = { stallTimeout: '200ms', idleTimeout: 'never' };
    const daemon = await serve({ chargen: { listen: [`unix://${path}`], ...limits } });
    const slow = await TcpClient.connect({ path }, { reads: false });
    expect(await daemon.log.closing(slow.name)).toMatchObject({ reason: 'stalled' });
    const other = await TcpClient.connect({ path });
    expect(await other.take(74)).not.toHaveLength(0);
  });

  it('does not apply CIDR rules to its clients', async () => {
    await serve({ echo: { listen: [`unix://${path}`], allow: ['192.0.2.1'], deny: ['0.0.0.0/0', '::/0'] } });
    await expectEcho();
  });
});

describe('an existing socket file', () => {
  it('is removed if nobody listens on it', async () => {
    leaveDeadSocket();
    await serve({ echo: { listen: [`unix://${path}`] } });
    await expectEcho();
  });

  it('is kept if live, and the start fails as in use', async () => {
    await serve({ echo: { listen: [`unix://${path}`] } });
    await expect(serve({ other: { type: 'echo', listen: [`unix://${path}`] } })).rejects.toMatchObject({
      code: 'LISTEN_IN_USE',
      message: `other: cannot listen on unix://${path}: the address is in use by another program`,
    });
    await expectEcho();
  });

  it('is kept if not a socket, and the start fails', async () => {
    writeFileSync(path, 'precious');
    await expect(serve({ echo: { listen: [`unix://${path}`] } })).rejects.toMatchObject({ code: 'LISTEN_IN_USE' });
    expect(lstatSync(path).isFile()).toBe(true);
  });

  it('is not created in a missing directory, with an error that names service and path', async () => {
    const missing = join(directory, 'none', 'echo.sock');
    await expect(serve({ echo: { listen: [`unix://${missing}`] } })).rejects.toMatchObject({
      name: 'SmallservdError',
      message: expect.stringContaining(`echo: cannot listen on unix://${missing}`),
    });
  });
});

/** The permission bits of the file at `path`. */
function modeOf(file: string = path): number {
  return lstatSync(file).mode & 0o7777;
}

/** For this test, with no umask at all: what is private is so by our own doing. */
function withoutUmask(): void {
  const before = process.umask(0);
  onTestFinished(() => void process.umask(before));
}

describe('the file of a UNIX listener', () => {
  it.each([
    ['', 0o660],
    ['?mode=0600', 0o600],
    ['?mode=0', 0],
    ['?mode=0777', 0o777],
    ['?mode=062', 0o062],
    [`?mode=0666&owner=${process.geteuid?.()}&group=${process.getegid?.()}`, 0o666],
  ])('is private until it has its mode: %s', async (parameters, mode) => {
    withoutUmask();
    const bound: number[] = [];
    const listen: unknown = Reflect.get(Server.prototype, 'listen');
    const spy = vi.spyOn(Server.prototype, 'listen').mockImplementation(function (this: Server, ...args: unknown[]) {
      if (typeof listen === 'function') Reflect.apply(listen, this, args);
      // Bound and listening by now, as that is done at once.
      bound.push(modeOf());
      return this;
    });
    onTestFinished(() => spy.mockRestore());
    await serve({ echo: { listen: [`unix://${path}${parameters}`] } }, { sockets: 'node' });
    expect(bound).toEqual([0o600]);
    expect(process.umask()).toBe(0);
    const { uid, gid } = lstatSync(path);
    expect([modeOf(), uid, gid]).toEqual([mode, process.geteuid?.(), process.getegid?.()]);
  });

  it('may have ? and % in its name', async () => {
    const odd = join(directory, 'a?mode=0%25');
    const daemon = await serve({ echo: { listen: [`unix://${directory}/a%3Fmode=0%2525?mode=0600`] } });
    expect(modeOf(odd)).toBe(0o600);
    expect(daemon.listeners).toEqual([{ service: 'echo', transport: 'unix', address: odd, port: 0 }]);
  });

  it('fails the start with an error naming the listener if its owner or group is unknown', async () => {
    for (const [kind, parameter] of [
      ['user', 'owner'],
      ['group', 'group'],
    ]) {
      const text = `unix://${path}?${parameter}=no-such-account`;
      await expect(serve({ echo: { listen: [text] } })).rejects.toMatchObject({
        code: 'USER_UNKNOWN',
        message: `echo: ${text}: "no-such-account" is not a ${kind} on this machine`,
      });
    }
    expect(existsSync(path)).toBe(false);
  });

  it('is removed, like all others, if its access cannot be granted', async () => {
    const other = join(directory, 'other.sock');
    const refuse = vi.spyOn(SocketFiles.prototype, 'grant').mockImplementation(() => {
      throw new Error('no');
    });
    onTestFinished(() => refuse.mockRestore());
    await expect(serve({ echo: { listen: [`unix://${path}`, `unix://${other}`] } })).rejects.toThrow('no');
    expect([existsSync(path), existsSync(other)]).toEqual([false, false]);
  });
});

describe('bindPrivately', () => {
  it('restores the umask even if the bind fails', () => {
    withoutUmask();
    process.umask(0o027);
    bindPrivately(() => expect(process.umask()).toBe(0o177));
    expect(process.umask()).toBe(0o027);
    expect(() =>
      bindPrivately(() => {
        throw new Error('in use');
      }),
    ).toThrow('in use');
    expect(process.umask()).toBe(0o027);
  });
});

/** Binds a socket there until the test is over. */
async function bind(file: string = path): Promise<void> {
  const server = createServer();
  onTestFinished(() => void server.close());
  await new Promise<void>((resolve) => bindPrivately(() => void server.listen(file, resolve)));
}

/** The files that are there now. */
function filesAt(...paths: readonly string[]): ReadonlyMap<string, FileId> {
  return new Map(paths.map((each) => [each, fileIdAt(each) ?? { dev: 0n, ino: 0n }]));
}

function failureOf(run: () => void): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe('SocketFiles', () => {
  const [uid, gid] = [process.geteuid?.() ?? 0, process.getegid?.() ?? 0];

  function planned(access: Partial<SocketAccess> = {}, file: string = path): readonly PlannedListener[] {
    const target = { transport: 'unix', path: file, access: { mode: 0o660, uid, gid, ...access } } as const;
    return [{ id: 0, service: 'echo', text: `unix://${file}`, optional: false, target }];
  }

  async function prepared(): Promise<SocketFiles> {
    const files = new SocketFiles();
    await files.prepare(planned());
    await bind();
    return files;
  }

  const replaced = {
    code: 'LISTEN_FAILED',
    message: expect.stringMatching(
      /^echo: cannot listen on unix:.*: its file is not the socket that was created there/,
    ),
  };

  it('changes any mode to any other', async () => {
    const files = await prepared();
    fc.assert(
      fc.property(fc.nat(0o777), (mode) => {
        files.grant(planned({ mode }));
        expect(modeOf()).toBe(mode);
      }),
      { numRuns: 50 },
    );
  });

  it('changes nothing if owner, group and mode already match', async () => {
    const files = await prepared();
    files.grant(planned());
    const before = lstatSync(path, { bigint: true }).ctimeNs;
    files.grant(planned());
    expect(lstatSync(path, { bigint: true }).ctimeNs).toBe(before);
  });

  it('does not touch a file without configured access', async () => {
    const file = join(directory, 'file');
    writeFileSync(file, '', { mode: 0o604 });
    const target = { transport: 'unix', path: file } as const;
    const plan = [{ id: 0, service: 'echo', text: '', optional: false, target }];
    const files = new SocketFiles();
    await files.prepare(plan);
    files.grant(plan);
    expect(modeOf(file)).toBe(0o604);
  });

  it.each<[string, () => Promise<void> | void]>([
    ['a symbolic link to a file', () => symlinkSync(join(directory, 'target'), path)],
    [
      'a symbolic link to a socket',
      async () => {
        await bind(join(directory, 'socket'));
        symlinkSync(join(directory, 'socket'), path);
      },
    ],
    ['a file', () => writeFileSync(path, '', { mode: 0o600 })],
    ['a directory', () => mkdirSync(path, 0o700)],
    [
      'a hard link to a socket',
      async () => {
        await bind(join(directory, 'socket'));
        linkSync(join(directory, 'socket'), path);
      },
    ],
    [
      'a socket in a directory that replaced ours',
      async () => {
        const others = join(directory, 'others');
        mkdirSync(others);
        await bind(join(others, 'echo.sock'));
        rmSync(`${directory}-was`, { recursive: true, force: true });
        renameSync(directory, `${directory}-was`);
        onTestFinished(() => rmSync(`${directory}-was`, { recursive: true, force: true }));
        symlinkSync(`${directory}-was/others`, directory);
      },
    ],
  ])('does not touch %s that replaced the socket', async (_what, replace) => {
    const target = join(directory, 'target');
    writeFileSync(target, 'precious', { mode: 0o600 });
    const files = await prepared();
    files.grant(planned());
    unlinkSync(path);
    await replace();
    const before = lstatSync(path).mode;
    expect(failureOf(() => files.grant(planned({ mode: 0o777 })))).toMatchObject(replaced);
    expect(lstatSync(path).mode).toBe(before);
    if (existsSync(target)) expect(modeOf(target)).toBe(0o600);
  });

  it('refuses a socket that it did not prepare for', async () => {
    await bind();
    expect(failureOf(() => new SocketFiles().grant(planned({ mode: 0o777 })))).toMatchObject(replaced);
    expect(modeOf()).toBe(0o600);
  });

  it('keeps the socket of a daemon that binds it and listens a moment later', async () => {
    const listen = await bindWithoutListening();
    if (listen === undefined) return;
    const pauses: number[] = [];
    const files = new SocketFiles(uid, async (ms) => {
      pauses.push(ms);
      listen();
    });
    await files.prepare(planned()).catch(() => {});
    expect([pauses, existsSync(path)]).toEqual([[200], true]);
  });

  it.each<[string, () => void, string]>([
    ['was replaced', () => renameSync(join(directory, 'next'), path), 'echo.sock'],
    ['disappeared', () => unlinkSync(path), 'next'],
  ])('does not remove a dead socket that %s during the pause', async (_what, change, left) => {
    leaveDeadSocket();
    leaveDeadSocket(join(directory, 'next'));
    const files = new SocketFiles(uid, async () => change());
    await files.prepare(planned()).catch((error: unknown) => expect(error).toMatchObject({ code: 'LISTEN_IN_USE' }));
    expect(readdirSync(directory)).toEqual([left]);
  });

  it('asks in another process, as whoever listens there could send what takes long to close', async () => {
    const listener = listenUnix(path, 16);
    onTestFinished(() => closeSync(listener));
    await new SocketFiles(uid).prepare(planned()).catch(() => {});
    const client = streams().accept(listener);
    onTestFinished(() => closeSync(client));
    const asker = readPeerCredentials(client);
    expect(asker?.uid).toBe(uid);
    expect(asker?.pid).not.toBe(process.pid);
    expect(existsSync(path)).toBe(true);
  });

  it('rechecks all dead sockets after a single pause', async () => {
    const other = join(directory, 'other.sock');
    for (const file of [path, other]) leaveDeadSocket(file);
    let waiting = 0;
    const files = new SocketFiles(uid, async () => {
      waiting += 1;
      await until(() => waiting === 2, 'the other one to wait too');
    });
    await files.prepare([...planned(), ...planned({}, other)]);
    expect([existsSync(path), existsSync(other)]).toEqual([false, false]);
  });

  it('reports a missing file', async () => {
    const files = await prepared();
    unlinkSync(path);
    expect(failureOf(() => files.grant(planned()))).toMatchObject({
      code: 'LISTEN_FAILED',
      message: expect.stringMatching(/: no such file or directory$/),
    });
  });

  describe.runIf(uid === 0)('as root', () => {
    it('grants and revokes owner, group and mode', async () => {
      const files = await prepared();
      const created = filesAt(path);
      for (const access of [
        { uid: 1, gid: 2, mode: 0o606 },
        { uid: 3, gid: 2, mode: 0o660 },
        { uid: 0, gid: 0, mode: 0o600 },
      ]) {
        files.grant(planned(access), created);
        expect(lstatSync(path)).toMatchObject({ uid: access.uid, gid: access.gid });
        expect(modeOf()).toBe(access.mode);
      }
    });

    it('refuses a socket of another user, unless it is the one that was created', async () => {
      const files = await prepared();
      chownSync(path, 1, 1);
      expect(failureOf(() => files.grant(planned()))).toMatchObject(replaced);
      expect(failureOf(() => files.grant(planned(), new Map()))).toMatchObject(replaced);
      expect(lstatSync(path).uid).toBe(1);
      files.grant(planned({ uid: 2 }), filesAt(path));
      expect(lstatSync(path).uid).toBe(2);
    });

    it('never changes another socket of its own that the owner of the directory puts there', async () => {
      chownSync(directory, 7, 7);
      const [other, aside] = [join(directory, 'admin.sock'), join(directory, 'aside')];
      const files = new SocketFiles();
      const both = [...planned({ uid: 7 }), ...planned({ mode: 0o600 }, other)];
      await files.prepare(both, 7);
      for (const each of [path, other]) {
        const { descriptor } = bindUnix(each, 16);
        onTestFinished(() => closeSync(descriptor));
      }
      const created = filesAt(path, other);
      const exchange = (): void => {
        renameSync(path, aside);
        renameSync(other, path);
        renameSync(aside, other);
      };
      // Before they have their owners, and after that.
      for (const owner of [0, 7]) {
        exchange();
        for (const [at, before] of [
          [path, 0],
          [other, owner],
        ] as const) {
          const plan = both.filter(({ target }) => 'path' in target && target.path === at);
          expect(failureOf(() => files.grant(plan, created))).toMatchObject(replaced);
          expect(lstatSync(at).uid).toBe(before);
        }
        exchange();
        files.grant(both, created);
      }
    });

    it.each([
      [0, 0, 0o755, true],
      [0, 0, 0o775, true],
      [0, 0, 0o1777, true],
      [0, 7, 0o1775, true],
      [7, 7, 0o755, true],
      [8, 8, 0o700, true],
      [0, 7, 0o775, false],
      [0, 0, 0o757, false],
      [0, 0, 0o777, false],
      [7, 7, 0o775, false],
      [9, 0, 0o700, false],
      [9, 0, 0o1777, false],
    ])('checks that a directory of user %i, group %i, mode %i is safe: %s', async (owner, group, mode, isFit) => {
      chmodSync(directory, mode);
      chownSync(directory, owner, group);
      // 7 serves, 8 is to have the socket.
      const result = new SocketFiles().prepare(planned({ uid: 8 }), 7);
      if (isFit) return await result;
      return await expect(result).rejects.toMatchObject({
        code: 'LISTEN_NOT_PERMITTED',
        message: expect.stringMatching(
          /^echo: cannot listen on unix:.* (directory .* belongs to|write to the directory) /,
        ),
      });
    });

    it.each<[string, () => void]>([
      ['an ancestor directory not owned by root', () => chownSync(dirname(directory), 7, 7)],
      [
        'a user directory in a world-writable directory',
        () => {
          chownSync(directory, 7, 7);
          chmodSync(dirname(directory), 0o1777);
        },
      ],
      [
        'a root directory in a directory that others can write to',
        () => {
          chownSync(dirname(directory), 0, 7);
          chmodSync(dirname(directory), 0o2775);
        },
      ],
      [
        'a link owned by root to a link of another user',
        () => {
          const [real, theirs] = [`${directory}.real`, `${directory}.theirs`];
          renameSync(directory, real);
          symlinkSync(real, theirs);
          lchownSync(theirs, 7, 7);
          symlinkSync(theirs, directory);
        },
      ],
      [
        'a link not owned by root',
        () => {
          renameSync(directory, `${directory}.real`);
          symlinkSync(`${directory}.real`, directory);
          lchownSync(directory, 7, 7);
        },
      ],
    ])('refuses a path that another user can redirect: %s', async (_what, change) => {
      await new SocketFiles().prepare(planned({ uid: 8 }), 7);
      change();
      await expect(new SocketFiles().prepare(planned({ uid: 8 }), 7)).rejects.toMatchObject({
        code: 'LISTEN_NOT_PERMITTED',
        message: expect.stringMatching(
          /(user 7|anyone who can write to .*) can replace the (directory|link) .* on the path to the socket/,
        ),
      });
    });

    it('refuses an existing file or symbolic link', async () => {
      for (const make of [() => writeFileSync(path, ''), () => symlinkSync('/nowhere', path)]) {
        make();
        await expect(new SocketFiles().prepare(planned())).rejects.toMatchObject({ code: 'LISTEN_IN_USE' });
        expect(lstatSync(path).isSocket()).toBe(false);
        unlinkSync(path);
      }
    });
  });
});

it.each(['kernel', 'node'])(
  'a listener refuses descriptors, whose close could wait for minutes: sockets %s',
  async (sockets) => {
    await serve({ echo: { listen: [`unix://${path}`] } }, { sockets });
    expect(await sendDescriptorTo(path)).toBe(expectedRefusal());
  },
);
