import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  lchownSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { SmallservdError } from '../../../src/errors.ts';
import { LogSink } from '../../../src/server/log.ts';
import { openLogFile } from '../../../src/server/log-file.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { makeFifo } from '../../support/odd-files.ts';
import { until } from '../../support/wait.ts';

const isRoot = process.geteuid?.() === 0;
/** The user of the workers, and somebody else. */
const owner = { uid: 4001, gid: 4001 };
const stranger = 4002;

let base = '';
let directory = '';
let path = '';

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'smallservd-log-file-'));
  chmodSync(base, 0o755);
  directory = join(base, 'directory');
  path = join(directory, 'log');
  mkdirSync(directory);
  chmodSync(directory, 0o755);
});

afterEach(() => rmSync(base, { recursive: true, force: true }));

/** A link to where the log directory then is; `path` leads through it. */
function linkInTheMiddle(uid: number): void {
  renameSync(directory, `${directory}.real`);
  symlinkSync(`${directory}.real`, directory);
  lchownSync(directory, uid, uid);
}

interface Refusal {
  readonly name: string;
  /** Without it everybody can try. */
  readonly needsRoot?: true;
  /** Done where no log file is, with whatever leads to it. */
  readonly make: () => void | Promise<void>;
  readonly code: 'LOG_FILE' | 'LOG_FILE_NOT_PERMITTED';
  readonly message: () => string;
}

const victim = (): string => join(base, 'victim');

const refusals: readonly Refusal[] = [
  {
    name: 'a symbolic link',
    make: () => {
      writeFileSync(victim(), 'precious\n');
      symlinkSync(victim(), path);
    },
    code: 'LOG_FILE',
    message: () => 'it is a symbolic link, not a regular file',
  },
  {
    name: 'a dangling link',
    make: () => symlinkSync(victim(), path),
    code: 'LOG_FILE',
    message: () => 'it is a symbolic link, not a regular file',
  },
  {
    name: 'a hard link',
    make: () => {
      writeFileSync(victim(), 'precious\n');
      linkSync(victim(), path);
    },
    code: 'LOG_FILE',
    message: () => 'it has 2 names (hard links): expected one',
  },
  {
    name: 'a FIFO without a reader',
    make: () => makeFifo(path),
    code: 'LOG_FILE',
    message: () => 'it is a FIFO or pipe, not a regular file',
  },
  {
    name: 'a FIFO with a reader',
    make: () => {
      makeFifo(path);
      const reader = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
      onTestFinished(() => closeSync(reader));
    },
    code: 'LOG_FILE',
    message: () => 'it is a FIFO or pipe, not a regular file',
  },
  {
    name: 'a socket',
    make: async () => {
      const server = createServer();
      await new Promise<void>((resolve) => {
        server.listen(path, resolve);
      });
      onTestFinished(() => void server.close());
    },
    code: 'LOG_FILE',
    message: () => 'it is a socket, not a regular file',
  },
  {
    name: 'a directory',
    make: () => mkdirSync(path),
    code: 'LOG_FILE',
    message: () => 'it is a directory',
  },
  {
    name: 'a missing directory',
    make: () => renameSync(directory, `${directory}.away`),
    code: 'LOG_FILE',
    message: () => `there is no directory ${directory}`,
  },
  {
    name: 'a file instead of the directory',
    make: () => {
      renameSync(directory, `${directory}.away`);
      writeFileSync(directory, '');
    },
    code: 'LOG_FILE',
    message: () => `${directory} is not a directory`,
  },
  {
    name: 'a symlink loop instead of the directory',
    make: () => {
      renameSync(directory, `${directory}.away`);
      symlinkSync(directory, directory);
    },
    code: 'LOG_FILE',
    message: () => 'too many symbolic links',
  },
  {
    name: 'a world-writable directory',
    make: () => chmodSync(directory, 0o777),
    code: 'LOG_FILE_NOT_PERMITTED',
    message: () =>
      `everybody can write to the directory ${directory} (uid ${process.geteuid?.()}, mode 0777): expected a directory that only its owner can write to`,
  },
  {
    name: 'a sticky world-writable directory',
    make: () => chmodSync(directory, 0o1777),
    code: 'LOG_FILE_NOT_PERMITTED',
    message: () =>
      `everybody can write to the directory ${directory} (uid ${process.geteuid?.()}, mode 1777): expected a directory for the log that only its owner can write to`,
  },
  {
    name: 'a world-writable ancestor directory',
    make: () => chmodSync(base, 0o777),
    code: 'LOG_FILE_NOT_PERMITTED',
    message: () =>
      `everybody can write to the directory ${base} (uid ${process.geteuid?.()}, mode 0777): expected a directory that only its owner can write to`,
  },
  {
    name: 'a directory writable by a foreign group',
    needsRoot: true,
    make: () => {
      chownSync(directory, 0, stranger);
      chmodSync(directory, 0o775);
    },
    code: 'LOG_FILE_NOT_PERMITTED',
    message: () =>
      `gid ${stranger} can write to the directory ${directory} (uid 0, mode 0775): expected gid 0 or ${owner.gid}, or no group`,
  },
  {
    name: 'a directory owned by another user',
    needsRoot: true,
    make: () => chownSync(directory, stranger, stranger),
    code: 'LOG_FILE_NOT_PERMITTED',
    message: () => `the directory ${directory} belongs to uid ${stranger}: expected uid 0 or ${owner.uid}`,
  },
  {
    name: 'an ancestor directory owned by another user',
    needsRoot: true,
    make: () => chownSync(base, stranger, stranger),
    code: 'LOG_FILE_NOT_PERMITTED',
    message: () => `the directory ${base} belongs to uid ${stranger}: expected uid 0 or ${owner.uid}`,
  },
  {
    name: 'a symlink in the path owned by another user',
    needsRoot: true,
    make: () => linkInTheMiddle(stranger),
    code: 'LOG_FILE_NOT_PERMITTED',
    message: () => `the symbolic link ${directory} belongs to uid ${stranger}: expected uid 0 or ${owner.uid}`,
  },
  {
    name: 'a symlink in the path through a directory owned by another user',
    needsRoot: true,
    make: () => {
      mkdirSync(join(base, 'strange'));
      renameSync(directory, join(base, 'strange/real'));
      symlinkSync('strange/real', directory);
      chownSync(join(base, 'strange'), stranger, stranger);
    },
    code: 'LOG_FILE_NOT_PERMITTED',
    message: () => `the directory ${join(base, 'strange')} belongs to uid ${stranger}: expected uid 0 or ${owner.uid}`,
  },
  {
    name: 'a file owned by another user',
    needsRoot: true,
    make: () => {
      writeFileSync(path, '');
      chownSync(path, stranger, stranger);
    },
    code: 'LOG_FILE_NOT_PERMITTED',
    message: () => `it belongs to uid ${stranger}: expected uid 0 or ${owner.uid}`,
  },
  {
    name: "a file of root in a directory of the workers' user",
    needsRoot: true,
    make: () => {
      writeFileSync(path, 'precious\n');
      chownSync(directory, owner.uid, owner.gid);
    },
    code: 'LOG_FILE_NOT_PERMITTED',
    message: foreignInOwnDirectory,
  },
  {
    name: "a file of root in a directory that the workers' group can write to",
    needsRoot: true,
    make: () => {
      writeFileSync(path, 'precious\n');
      chownSync(directory, 0, owner.gid);
      chmodSync(directory, 0o1770);
    },
    code: 'LOG_FILE_NOT_PERMITTED',
    message: foreignInOwnDirectory,
  },
];

function foreignInOwnDirectory(): string {
  return `it belongs to uid 0, but the workers' user can write to its directory and could put any file there: expected uid ${owner.uid}, or a directory that only root can write to`;
}

function possible({ needsRoot }: Refusal): boolean {
  return isRoot || needsRoot === undefined;
}

/** All files below the test's directory, with what they hold; FIFOs and the like by name alone. */
function everything(): Record<string, string> {
  const entries = readdirSync(base, { recursive: true, withFileTypes: true });
  return Object.fromEntries(
    entries.map((entry) => {
      const where = join(entry.parentPath, entry.name);
      return [where, entry.isFile() ? readFileSync(where, 'utf8') : entry.isSymbolicLink() ? readlinkSync(where) : ''];
    }),
  );
}

describe('an unsafe log file', () => {
  it.each(refusals.filter(possible))('is refused at startup: $name', async ({ make, code, message }) => {
    await make();
    const before = everything();
    const descriptors = openDescriptors();
    await expect(LogSink.file(path, owner)).rejects.toMatchObject({ code, message: `log.file ${path}: ${message()}` });
    expect(everything()).toEqual(before);
    expect(openDescriptors()).toEqual(descriptors);
  });

  it.each(refusals.filter(possible))(
    'is refused on reopen, without losing a line: $name',
    async ({ make, code, message }) => {
      const sink = await LogSink.file(path, owner);
      sink.write('before\n');
      await sink.flush();
      const moved = join(base, 'moved');
      renameSync(path, moved);
      await make();
      const before = everything();
      const descriptors = openDescriptors();
      const reopening = sink.reopen();
      sink.write('meanwhile\n');
      await expect(reopening).rejects.toMatchObject({ code, message: `log.file ${path}: ${message()}` });
      sink.write('after\n');
      await sink.flush();
      expect(everything()).toEqual({ ...before, [moved]: 'before\nmeanwhile\nafter\n' });
      expect(openDescriptors()).toEqual(descriptors);
    },
  );

  it.skipIf(!isRoot)('has exit code 77 if the directory belongs to another user', async () => {
    chownSync(directory, stranger, stranger);
    const error = await LogSink.file(path, owner).catch((each: unknown) => each as SmallservdError);
    expect(error).toMatchObject({ exitCode: 77 });
  });
});

describe('a safe log file', () => {
  it('is created with mode 0640 at most', async () => {
    await LogSink.file(path, null);
    expect(statSync(path).mode & 0o7777 & ~0o640).toBe(0);
    expect(statSync(path).mode & 0o600).toBe(0o600);
  });

  it.each<[string, () => void]>([
    ['an existing file', () => writeFileSync(path, '')],
    ['a sticky ancestor directory', () => chmodSync(base, 0o1777)],
    ['a directory writable by our own group', () => chmodSync(directory, 0o775)],
    ['a symlink in the path owned by the current user', () => linkInTheMiddle(process.geteuid?.() ?? 0)],
    [
      'a relative symlink in the path, with dots',
      () => {
        mkdirSync(join(base, 'real'));
        rmSync(directory, { recursive: true });
        symlinkSync('./real/../real//', directory);
      },
    ],
  ])('is opened: %s', async (_name, make) => {
    make();
    await (await LogSink.file(path, owner)).flush();
    expect(existsSync(path)).toBe(true);
  });

  it.skipIf(!isRoot).each<[string, () => void]>([
    ['a directory owned by the user', () => chownSync(directory, owner.uid, owner.gid)],
    [
      'a directory writable by the group of the user',
      () => {
        chownSync(directory, 0, owner.gid);
        chmodSync(directory, 0o770);
      },
    ],
    [
      'a symlink in the path and its target directory, both owned by the user',
      () => {
        linkInTheMiddle(owner.uid);
        chownSync(`${directory}.real`, owner.uid, owner.gid);
      },
    ],
    [
      'a file owned by the user',
      () => {
        writeFileSync(path, '');
        chownSync(path, owner.uid, owner.gid);
      },
    ],
  ])('is opened only if that user is trusted: %s', async (_name, make) => {
    make();
    await (await LogSink.file(path, owner)).flush();
    await expect(LogSink.file(path, null)).rejects.toMatchObject({ code: 'LOG_FILE_NOT_PERMITTED' });
  });

  it.skipIf(!isRoot)("belongs to the workers' user where that can write, so that a later start finds it", async () => {
    const log = async (line: string): Promise<void> => {
      const sink = await LogSink.file(path, owner);
      sink.write(line);
      await sink.flush();
      await sink.reopen();
    };
    chownSync(directory, owner.uid, owner.gid);
    await log('first\n');
    await log('second\n');
    const { uid, gid, mode } = statSync(path);
    expect([uid, gid, mode & 0o077 & ~0o040]).toEqual([owner.uid, owner.gid, 0]);
    expect(readFileSync(path, 'utf8')).toBe('first\nsecond\n');
    // Elsewhere it is root's.
    path = join(base, 'log');
    await log('third\n');
    expect(statSync(path)).toMatchObject({ uid: 0, gid: 0 });
  });

  it.skipIf(!isRoot)("is never another file of root's that the workers' user gives its name", async () => {
    chownSync(directory, owner.uid, owner.gid);
    writeFileSync(join(directory, 'precious'), 'precious\n', { mode: 0o644 });
    const sink = await LogSink.file(path, owner);
    sink.write('before\n');
    await sink.flush();
    renameSync(path, join(directory, 'moved'));
    renameSync(join(directory, 'precious'), path);
    await expect(sink.reopen()).rejects.toMatchObject({ code: 'LOG_FILE_NOT_PERMITTED' });
    await expect(LogSink.file(path, owner)).rejects.toMatchObject({ code: 'LOG_FILE_NOT_PERMITTED' });
    sink.write('after\n');
    await sink.flush();
    expect(readFileSync(path, 'utf8')).toBe('precious\n');
    expect(readFileSync(join(directory, 'moved'), 'utf8')).toBe('before\nafter\n');
  });

  it.skipIf(!isRoot)('is refused in a root-owned directory reached through a symlink of the user', async () => {
    linkInTheMiddle(owner.uid);
    const message = expect.stringMatching(
      /the workers' user owns part of the path to the directory .*directory\.real and could redirect it, but the directory/,
    );
    await expect(LogSink.file(path, owner)).rejects.toMatchObject({ code: 'LOG_FILE_NOT_PERMITTED', message });
    chownSync(`${directory}.real`, owner.uid, owner.gid);
    mkdirSync(join(`${directory}.real`, 'below'));
    const below = join(directory, 'below', 'log');
    await expect(LogSink.file(below, owner)).rejects.toMatchObject({ code: 'LOG_FILE_NOT_PERMITTED' });
  });

  it.skipIf(!isRoot)('is reopened only if its directory belongs to a currently trusted user', async () => {
    const sink = await LogSink.file(path, null);
    chownSync(directory, owner.uid, owner.gid);
    renameSync(path, join(directory, 'moved'));
    await expect(sink.reopen()).rejects.toMatchObject({ code: 'LOG_FILE_NOT_PERMITTED' });
    sink.trust(owner);
    await sink.reopen();
    expect(existsSync(path)).toBe(true);
    sink.trust(null);
    await expect(sink.reopen()).rejects.toMatchObject({ code: 'LOG_FILE_NOT_PERMITTED' });
  });

  it('accepts a path with dots and repeated slashes', async () => {
    const odd = `${directory}/./../directory//log`;
    await LogSink.file(odd, owner);
    expect(existsSync(path)).toBe(true);
  });

  it('times out if the file system hangs, and is closed if it opens later', async () => {
    const clock = new FakeClock();
    const descriptors = openDescriptors();
    const opening = openLogFile(path, null, clock);
    clock.advance(10_000);
    await expect(opening).rejects.toMatchObject({
      code: 'LOG_FILE',
      message: `log.file ${path}: its file system did not answer within 10 s`,
    });
    await until(
      () => existsSync(path) && openDescriptors().length === descriptors.length,
      'the descriptor to be closed',
    );
    expect(clock.waiting).toBe(0);
  });
});

/** Of this process, on what is below the test's directory. */
function openDescriptors(): readonly string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`);
      return target.startsWith(dirname(directory)) ? [target] : [];
    } catch {
      return [];
    }
  });
}
