import { close, constants, fstat, type Stats, open } from 'node:fs';
import { lstat, readlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { type Clock, systemClock } from './clock/clock.ts';
import { SmallservdError } from './errors.ts';
import { answerInTime, assertFileKind, FileError } from './regular-file.ts';

/** A user and group that may own the log file and the folders above it, besides root and those of this process. */
export interface LogOwner {
  readonly uid: number;
  readonly gid: number;
}

/** A log file that is open for appending. Whoever has it closes the descriptor. */
export interface OpenLogFile {
  readonly fd: number;
  /** The same for two descriptors of one file. */
  readonly inode: string;
}

const openAsync = promisify(open);
const fstatAsync = promisify(fstat);
const closeAsync = promisify(close);

/** path_resolution(7) */
const maxLinks = 40;

// A FIFO or device does not block, and a link is not followed. Node adds O_CLOEXEC.
const flags =
  constants.O_WRONLY |
  constants.O_APPEND |
  constants.O_CREAT |
  constants.O_NOFOLLOW |
  constants.O_NONBLOCK |
  constants.O_NOCTTY;

/**
 * Opens a log file for appending and makes it where it is missing, with mode 0640; the path is absolute. Root may do this, so nobody else may
 * decide what is written to:
 *
 * - the file is a regular one with a single name; it, every folder from / down and every link on the way belong to root, to the user of this
 *   process or to `owner`;
 * - a folder further up may be writable by others only where it is sticky, as /tmp is;
 * - the folder of the file is never writable by others, and by a group only where that is root's, that of this process or that of `owner`.
 *
 * What is looked at before it is opened can be exchanged meanwhile, but only by those who may write to these folders. Access control lists are not
 * looked at. Throws `LOG_FILE`, or `LOG_FILE_NOT_PERMITTED` where an owner or a mode is wrong or the system refuses.
 */
export async function openLogFile(
  path: string,
  owner: LogOwner | null,
  clock: Clock = systemClock,
): Promise<OpenLogFile> {
  const trusted = new Trusted(owner);
  let opening: Promise<OpenLogFile> | undefined;
  try {
    return await answerInTime(path, clock, () => {
      opening = openTrusted(path, trusted);
      return opening;
    });
  } catch (error) {
    // It may open after all, when nobody waits for it any more.
    void opening?.then(({ fd }) => closeAsync(fd)).catch(() => {});
    const { message, code = '', cause } = error instanceof FileError ? error : new FileError(error);
    const isDenied = cause instanceof Untrusted || ['EACCES', 'EPERM', 'EROFS'].includes(code);
    throw new SmallservdError(isDenied ? 'LOG_FILE_NOT_PERMITTED' : 'LOG_FILE', `log.file ${path}: ${message}`, {
      cause,
    });
  }
}

async function openTrusted(path: string, trusted: Trusted): Promise<OpenLogFile> {
  const file = join(await resolveFolder(dirname(path), trusted), basename(path));
  // Opening a device can have effects: look first.
  const before = await lstat(file).catch(missing);
  if (before !== undefined) trusted.assertFile(before);
  const fd = await openAsync(file, flags, 0o640);
  try {
    const stats = await fstatAsync(fd);
    trusted.assertFile(stats);
    return { fd, inode: `${stats.dev}:${stats.ino}` };
  } catch (error) {
    await closeAsync(fd);
    throw error;
  }
}

/** The folder without links, after a look at everything on the way to it. */
async function resolveFolder(path: string, trusted: Trusted): Promise<string> {
  const parts = partsOf(path);
  let folder = '/';
  trusted.assertFolder(folder, await lstat(folder));
  let links = 0;
  for (let part = parts.shift(); part !== undefined; part = parts.shift()) {
    const next = join(folder, part);
    const found = await lstat(next).catch(missing);
    if (found === undefined) throw new Error(`there is no folder ${next}`);
    if (found.isSymbolicLink()) {
      trusted.assertOwner(`the symbolic link ${next}`, found);
      links += 1;
      if (links > maxLinks) throw new Error('too many symbolic links');
      const target = await readlink(next);
      parts.unshift(...partsOf(target));
      if (target.startsWith('/')) folder = '/';
    } else if (found.isDirectory()) {
      folder = next;
      trusted.assertFolder(folder, found);
    } else {
      throw new Error(`${next} is not a folder`);
    }
  }
  trusted.assertLastFolder(folder, await lstat(folder));
  return folder;
}

function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}

function missing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}

/** An owner or a mode that would let somebody else decide where the log goes. */
class Untrusted extends Error {}

/** Those who may own what leads to the log file, and the log file itself. */
class Trusted {
  readonly #uids: ReadonlySet<number>;
  readonly #gids: ReadonlySet<number>;

  constructor(owner: LogOwner | null) {
    const root = 0;
    this.#uids = new Set([root, process.geteuid?.() ?? root, owner?.uid ?? root]);
    this.#gids = new Set([root, process.getegid?.() ?? root, owner?.gid ?? root]);
  }

  assertOwner(what: string, { uid }: Stats): void {
    if (this.#uids.has(uid)) return;
    throw new Untrusted(`${what} belongs to uid ${uid}: expected uid ${[...this.#uids].join(' or ')}`);
  }

  assertFolder(path: string, stats: Stats): void {
    this.assertOwner(`the folder ${path}`, stats);
    const isOpen = (stats.mode & constants.S_IWOTH) !== 0;
    const isSticky = (stats.mode & S_ISVTX) !== 0;
    if (isOpen && !isSticky) throw writable(path, 'everybody', stats, 'a folder that only its owner can write to');
  }

  assertLastFolder(path: string, stats: Stats): void {
    if ((stats.mode & constants.S_IWOTH) !== 0)
      throw writable(path, 'everybody', stats, 'a folder for the log that only its owner can write to');
    if ((stats.mode & constants.S_IWGRP) !== 0 && !this.#gids.has(stats.gid))
      throw writable(path, `gid ${stats.gid}`, stats, `gid ${[...this.#gids].join(' or ')}, or no group`);
  }

  assertFile(stats: Stats): void {
    assertFileKind(stats);
    this.assertOwner('it', stats);
    if (stats.nlink > 1) throw new Error(`it has ${stats.nlink} names (hard links): expected one`);
  }
}

/** chmod(2); missing in Node's constants. */
const S_ISVTX = 0o1000;

function writable(path: string, by: string, { uid, mode }: Stats, expected: string): Untrusted {
  const octal = (mode & 0o7777).toString(8).padStart(4, '0');
  return new Untrusted(`${by} can write to the folder ${path} (uid ${uid}, mode ${octal}): expected ${expected}`);
}
