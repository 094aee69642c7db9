import { chmodSync, chownSync, lstatSync, mkdirSync, renameSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { childrenOf, commandOf, daemonProgram, needs, temporaryDirectory } from './machine.ts';
import { DaemonProgram, Program, run, type StartOptions } from './program.ts';

needs('nc', 'setpriv', 'unshare', 'mount', 'getent');

const nobody = { uid: 65_534, gid: 65_534 };
const daemonUser = { uid: 1, gid: 1 };
const wwwData = { uid: 33, gid: 33 };
const games = 60;

function accessOf(path: string): { readonly mode: string; readonly uid: number; readonly gid: number } {
  const { mode, uid, gid } = lstatSync(path);
  return { mode: (mode & 0o7777).toString(8), uid, gid };
}

/** When a file was made, or given another owner or mode: a number of a file that is gone may be used again. */
function changedAt(path: string): bigint | undefined {
  return lstatSync(path, { bigint: true, throwIfNoEntry: false })?.ctimeNs;
}

/** The command line that runs another as a user who is a member of groups. */
function as({ uid, gid }: typeof nobody, groups: readonly number[], argv: readonly string[]): readonly string[] {
  const ids = [`--reuid=${uid}`, `--regid=${gid}`];
  return ['setpriv', ...ids, ...(groups.length === 0 ? ['--clear-groups'] : ['--groups', groups.join()]), ...argv];
}

/** What a user gets from a socket for `hello`, or why there is nothing. */
async function ask(path: string, user: typeof nobody, groups: readonly number[] = []): Promise<string> {
  const { output, complaints } = await run(as(user, groups, ['nc', '-N', '-w', '5', '-U', path]), { input: 'hello' });
  return output || complaints;
}

/** What `smallservd status` tells a user. */
async function status(path: string, user: typeof nobody, groups: readonly number[] = []): Promise<string> {
  const argv = as(user, groups, [...daemonProgram, 'status', '--admin', `unix://${path}`]);
  const { output, complaints } = await run(argv, { directory: '/' });
  return output || complaints;
}

const denied = /Permission denied/;

function configOf(directory: string, config: object): readonly string[] {
  const file = join(directory, 'smallservd.yaml');
  writeFileSync(file, JSON.stringify(config), { mode: 0o644 });
  return ['--config', file];
}

async function start(config: object, directory = temporaryDirectory()): Promise<DaemonProgram> {
  const daemon = new DaemonProgram(configOf(directory, config));
  await daemon.ready();
  return daemon;
}

async function refused(
  config: object,
  around: (argv: readonly string[]) => readonly string[] = (argv) => argv,
  options: StartOptions = {},
): Promise<Program> {
  const argv = [...daemonProgram, ...configOf(temporaryDirectory(), config)];
  return run(around(argv), options);
}

function echo(...listen: readonly string[]): object {
  return { services: { echo: { listen } } };
}

describe('a UNIX socket of a daemon started by root', () => {
  it('grants access by the owner, group and mode in its address', async () => {
    const path = join(temporaryDirectory(), 'echo.sock');
    await start({ workers: 2, ...echo(`unix://${path}?mode=0660&owner=www-data&group=games`) });
    expect(accessOf(path)).toEqual({ mode: '660', uid: wwwData.uid, gid: games });
    expect(await ask(path, wwwData)).toBe('hello');
    expect(await ask(path, daemonUser, [games])).toBe('hello');
    expect(await ask(path, daemonUser)).toMatch(denied);
    // Not even the user that serves.
    expect(await ask(path, nobody)).toMatch(denied);
  });

  it.each([
    [{}, nobody, 65_534],
    [{ user: 'daemon' }, daemonUser, 1],
    [{ user: 'daemon', group: 'games' }, daemonUser, games],
    [{ user: '47110', group: '47111' }, { uid: 47_110, gid: 47_111 }, 47_111],
  ])('belongs to the serving user and group by default: %j', async (account, user, group) => {
    const path = join(temporaryDirectory(), 'echo.sock');
    await start({ workers: 2, ...account, ...echo(`unix://${path}`) });
    expect(accessOf(path)).toEqual({ mode: '660', uid: user.uid, gid: group });
    expect(await ask(path, user)).toBe('hello');
    expect(await ask(path, { uid: 47_000, gid: 47_000 }, [group])).toBe('hello');
    expect(await ask(path, { uid: 47_000, gid: 47_000 })).toMatch(denied);
  });

  it('changes owner, group and mode on reload without disconnecting clients', async () => {
    const [directory, path] = [temporaryDirectory(), join(temporaryDirectory(), 'echo.sock')];
    const daemon = await start({ workers: 2, ...echo(`unix://${path}?owner=www-data`) }, directory);
    const client = new Program(['nc', '-U', path]);
    client.type('before');
    await client.says(/before/);
    for (const [parameters, expected] of [
      ['owner=games&group=games&mode=0600', { mode: '600', uid: 5, gid: games }],
      ['group=33&mode=0060', { mode: '60', ...nobody, gid: 33 }],
    ] as const) {
      const before = daemon.lines.filter(({ msg }) => msg === 'config reloaded').length;
      configOf(directory, { workers: 2, ...echo(`unix://${path}?${parameters}`) });
      daemon.signal('SIGHUP');
      await daemon.until(
        () => daemon.lines.filter(({ msg }) => msg === 'config reloaded').length > before,
        'the reload',
      );
      expect(accessOf(path)).toEqual(expected);
    }
    expect(await ask(path, daemonUser, [33])).toBe('hello');
    expect(await ask(path, nobody)).toMatch(denied);
    client.type(' and after');
    await client.says(/before and after/);
  });

  it.each([
    [
      'a symbolic link',
      (directory: string, target: string) => {
        renameSync(join(directory, 'echo.sock'), join(directory, 'moved.sock'));
        symlinkSync(target, join(directory, 'echo.sock'));
      },
    ],
    [
      'a symbolic link replacing its directory',
      (directory: string, target: string) => {
        const others = join(target, '..');
        renameSync(directory, `${directory}-moved`);
        symlinkSync(others, directory);
      },
    ],
  ])(
    'fails a reload through %s planted by the directory owner and leaves the target unchanged',
    async (_what, swap) => {
      const [own, others, directory] = [temporaryDirectory(0o755), temporaryDirectory(), temporaryDirectory()];
      const [place, target] = [join(own, 'place'), join(others, 'echo.sock')];
      mkdirSync(place);
      chownSync(place, nobody.uid, nobody.gid);
      const daemon = await start({ workers: 2, ...echo(`unix://${place}/echo.sock`) }, directory);
      // Of root, private and, to make it harder, a socket.
      const other = await start({ workers: 2, ...echo(`unix://${target}?owner=root&group=root&mode=0600`) });
      const before = accessOf(target);
      expect(before).toEqual({ mode: '600', uid: 0, gid: 0 });
      swap(place, target);
      configOf(directory, { workers: 2, ...echo(`unix://${place}/echo.sock?mode=0666&owner=daemon`) });
      daemon.signal('SIGHUP');
      const { errors } = await daemon.line(({ msg }) => msg.startsWith('reload failed'));
      expect(errors).toEqual([expect.stringMatching(/its file is not the socket that was created there/)]);
      expect(accessOf(target)).toEqual(before);
      other.signal('SIGTERM');
      await other.end();
    },
  );

  it('fails a reload, and never changes the admin socket, after their user has exchanged the two', async () => {
    const directory = temporaryDirectory();
    const place = join(temporaryDirectory(0o755), 'place');
    mkdirSync(place);
    chownSync(place, nobody.uid, nobody.gid);
    const [path, admin, aside] = ['echo.sock', 'admin.sock', 'aside'].map((name) => join(place, name)) as [
      string,
      string,
      string,
    ];
    const config = (mode: string): object => ({
      workers: 2,
      admin: { listen: `unix://${admin}?mode=0600` },
      ...echo(`unix://${path}?mode=${mode}`),
    });
    const daemon = await start(config('0660'), directory);
    const exchange = await run(
      as(nobody, [], ['sh', '-c', `mv ${path} ${aside}; mv ${admin} ${path}; mv ${aside} ${admin}`]),
      {
        directory: '/',
      },
    );
    expect((await exchange.end()).code).toBe(0);
    const ours = { mode: '600', uid: 0, gid: nobody.gid };
    expect(accessOf(path)).toEqual(ours);
    configOf(directory, config('0666'));
    daemon.signal('SIGHUP');
    const { errors } = await daemon.line(({ msg }) => msg.startsWith('reload failed'));
    expect(errors).toEqual([expect.stringMatching(/its file is not the socket that was created there/)]);
    expect([accessOf(path), accessOf(admin)]).toEqual([ours, { mode: '660', ...nobody }]);
    daemon.signal('SIGTERM');
    await daemon.end();
    // Nor does a stop remove what it did not create.
    expect(accessOf(path)).toEqual(ours);
  });

  it.each([
    ['everyone can write to', 0, 0, 0o777, /others can write to the directory .* mode 0777/],
    ['a group can write to', 0, games, 0o775, /others can write to the directory .* mode 0775/],
    [
      'belongs to another user',
      5,
      games,
      0o755,
      /the directory .* belongs to user 5: expected root, the user of the workers or the owner of the socket/,
    ],
  ])('is not created in a directory that %s', async (_what, uid, gid, mode, message) => {
    const directory = temporaryDirectory();
    chmodSync(directory, mode);
    chownSync(directory, uid, gid);
    const daemon = await refused({ workers: 2, ...echo(`unix://${directory}/echo.sock`) });
    expect((await daemon.end()).code).toBe(77);
    expect(daemon.complaints).toMatch(message);
    expect(statSync(directory).nlink).toBe(2);
  });

  it('needs /proc and reports if it is missing', async () => {
    const path = join(temporaryDirectory(), 'echo.sock');
    const withoutProc = ['unshare', '--mount', 'sh', '-c', 'mount -t tmpfs none /proc && exec "$@"', 'sh'];
    const daemon = await refused({ workers: 2, ...echo(`unix://${path}`) }, (argv) => [...withoutProc, ...argv]);
    expect((await daemon.end()).code).toBe(1);
    expect(daemon.complaints).toMatch(/cannot listen on unix:.*: UNIX sockets need \/proc, which is missing here/);
  });

  it('belongs to the user with workers: 0 and cannot be given to another user', async () => {
    const directory = temporaryDirectory();
    chownSync(directory, nobody.uid, nobody.gid);
    const path = join(directory, 'echo.sock');
    const daemon = await start({ workers: 0, ...echo(`unix://${path}?mode=0606`) });
    expect(accessOf(path)).toEqual({ mode: '606', ...nobody });
    expect(await ask(path, daemonUser)).toBe('hello');
    daemon.signal('SIGTERM');
    await daemon.end();
    const other = await refused({ workers: 0, ...echo(`unix://${path}?owner=www-data`) });
    expect((await other.end()).code).toBe(77);
    expect(other.complaints).toMatch(/cannot listen on unix:.*: only root \(CAP_CHOWN\) can give it to user 33/);
  });
});

describe('the admin endpoint on a UNIX socket', () => {
  it('gets its owner and group from root, and stays as it is when its process is restarted', async () => {
    const directory = temporaryDirectory(0o755);
    const path = join(directory, 'admin.sock');
    const listen = `unix://${path}?owner=www-data&group=games&mode=0640`;
    const daemon = await start({ workers: 2, admin: { listen }, ...echo('tcp://127.0.0.1:0') });
    const expected = { mode: '640', uid: wwwData.uid, gid: games };
    expect(accessOf(path)).toEqual(expected);
    const before = changedAt(path);
    expect(await status(path, wwwData)).toMatch(/: ready$/m);
    expect(await status(path, daemonUser, [games])).toMatch(/no daemon answers at unix:.*: permission denied/);
    const child = childrenOf(daemon.pid).find((pid) => commandOf(pid).includes('admin/child.js'));
    if (child === undefined) throw new Error('the endpoint has no process of its own');
    process.kill(child, 'SIGKILL');
    // Whoever asks meanwhile waits.
    expect(await status(path, wwwData)).toMatch(/: ready$/m);
    expect([accessOf(path), changedAt(path)]).toEqual([expected, before]);
  });

  it('belongs to root by default, so that no worker can take its place', async () => {
    const directory = temporaryDirectory(0o1777);
    const path = join(directory, 'admin.sock');
    await start({ workers: 1, admin: { listen: `unix://${path}` }, ...echo('tcp://127.0.0.1:0') });
    expect(accessOf(path)).toEqual({ mode: '660', uid: 0, gid: nobody.gid });
    const remove = await run(as(nobody, [], ['rm', path]), { directory: '/' });
    expect((await remove.end()).code).toBe(1);
    expect(await status(path, nobody)).toMatch(/: ready$/m);
  });

  it('can be in a directory that only root may write to', async () => {
    const path = join(temporaryDirectory(0o755), 'admin.sock');
    const daemon = await start({ workers: 1, admin: { listen: `unix://${path}` }, ...echo('tcp://127.0.0.1:0') });
    expect(await status(path, nobody)).toMatch(/: ready$/m);
    daemon.signal('SIGTERM');
    await daemon.end();
    expect(lstatSync(path, { throwIfNoEntry: false })).toBeUndefined();
  });
});

/** In a directory of nobody's. */
function socketOfNobody(): string {
  const directory = temporaryDirectory();
  chownSync(directory, nobody.uid, nobody.gid);
  return join(directory, 'echo.sock');
}

describe('a UNIX socket of a daemon started by an unprivileged user', () => {
  it.each([2, 0])('can have any group of that user, with workers: %i', async (workers) => {
    const path = socketOfNobody();
    const config = { workers, ...echo(`unix://${path}?mode=0060&group=games`) };
    const daemon = new DaemonProgram(configOf(temporaryDirectory(), config), (argv) => as(nobody, [games], argv), {
      directory: '/',
    });
    await daemon.ready();
    expect(accessOf(path)).toEqual({ mode: '60', uid: nobody.uid, gid: games });
    expect(await ask(path, daemonUser, [games])).toBe('hello');
    expect(await ask(path, daemonUser)).toMatch(denied);
  });

  it('is replaced if stale even with mode 0, but kept if in use', async () => {
    const path = socketOfNobody();
    const config = { workers: 0, ...echo(`unix://${path}?mode=0`) };
    const again = (): DaemonProgram =>
      new DaemonProgram(configOf(temporaryDirectory(), config), (argv) => as(nobody, [], argv), { directory: '/' });
    const killed = again();
    await killed.ready();
    killed.signal('SIGKILL');
    await killed.end();
    expect(accessOf(path).mode).toBe('0');
    const next = again();
    await next.ready();
    expect(accessOf(path)).toEqual({ mode: '0', ...nobody });
    const second = again();
    expect((await second.end()).code).toBe(1);
    expect(second.complaints).toMatch(/the address is in use/);
    expect(accessOf(path)).toEqual({ mode: '0', ...nobody });
  });

  it.each([
    ['owner=www-data', 'only root (CAP_CHOWN) can give it to user 33'],
    ['group=games', 'only root (CAP_CHOWN) can give it to group 60, of which this process is not a member'],
  ])('cannot be given to another user or group: %s', async (parameter, why) => {
    for (const workers of [2, 0]) {
      const path = socketOfNobody();
      const config = { workers, ...echo(`unix://${path}?${parameter}`) };
      const daemon = await refused(config, (argv) => as(nobody, [], argv), { directory: '/' });
      expect((await daemon.end()).code).toBe(77);
      expect(daemon.complaints).toBe(`smallservd: echo: cannot listen on unix://${path}?${parameter}: ${why}\n`);
      expect(lstatSync(path, { throwIfNoEntry: false })).toBeUndefined();
    }
  });
});
