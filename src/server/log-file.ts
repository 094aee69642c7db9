import { type BigIntStats, close, constants, fstat, open } from 'node:fs';
import { lstat, readlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { type Clock, systemClock } from '../clock/clock.ts';
import { SmallservdError } from '../errors.ts';
import { O_PATH, pathOf } from './path-descriptor.ts';
import { answerInTime, assertFileKind, FileError } from '../regular-file.ts';

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
const closeAsync = promisify(close);

/** In 64 bits: inode numbers past 2^53 would meet as doubles. */
const fstatExact = async (fd: number): Promise<BigIntStats> => promisify(fstat)(fd, { bigint: true });
const lstatExact = async (path: string): Promise<BigIntStats> => lstat(path, { bigint: true });

/** path_resolution(7) */
const maxLinks = 40;

// A FIFO or device does not block, and a link is not followed. Node adds O_CLOEXEC.
const flags =
  constants.O_WRONLY | constants.O_APPEND | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY;

/**
 * Opens a log file for appending and makes it where it is missing, with mode 0640; the path is absolute. Root may do
 * this, so nobody else may decide what is written to:
 *
 * - the file is a regular one with a single name; it, every folder from / down and every link on the way belong to
 * root, to the user of this
 *   process or to `owner`;
 * - a folder further up may be writable by others only where it is sticky, as /tmp is;
 * - the folder of the file is never writable by others, and by a group only where that is root's, that of this process
 * or that of `owner`.
 *
 * The folder that was looked at is the one that the file is opened in, whatever its path leads to by then: a group may
 * be able to write to those above, as to Ubuntu's /var/log. Access control lists are not looked at. Throws `LOG_FILE`,
 * or `LOG_FILE_NOT_PERMITTED` where an owner or a mode is wrong or the system refuses.
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
  const folder = await openFolder(dirname(path), trusted);
  try {
    // Not by `join`, which would take away the descriptor for a `..`.
    return await openIn(`${pathOf(folder)}/${basename(path)}`, trusted);
  } finally {
    await closeAsync(folder);
  }
}

async function openIn(file: string, trusted: Trusted): Promise<OpenLogFile> {
  // Opening a device can have effects: look first.
  const before = await lstatExact(file).catch(missing);
  if (before !== undefined) trusted.assertFile(before);
  // Where there was none it is made, and is no other one that has come meanwhile.
  const fd = await openAsync(file, before === undefined ? flags | constants.O_CREAT | constants.O_EXCL : flags, 0o640);
  try {
    const stats = await fstatExact(fd);
    trusted.assertFile(stats);
    // A second name of somebody else's file, put there and taken away meanwhile, is seen by this alone.
    if (before !== undefined && inodeOf(before) !== inodeOf(stats))
      throw new Error('it was replaced while it was being checked');
    return { fd, inode: inodeOf(stats) };
  } catch (error) {
    await closeAsync(fd);
    throw error;
  }
}

/** A descriptor of the folder, which opens nothing, after a look at everything on the way to it. */
async function openFolder(path: string, trusted: Trusted): Promise<number> {
  const { folder, inode } = await resolveFolder(path, trusted);
  const fd = await openAsync(folder, O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    const stats = await fstatExact(fd);
    if (inodeOf(stats) !== inode) throw new Error(`the folder ${folder} was replaced while it was being checked`);
    trusted.assertFolder(folder, stats);
    trusted.assertLastFolder(folder, stats);
    if ((await lstatExact(pathOf(fd)).catch(missing)) === undefined)
      throw new Error('log files need /proc, which is missing here');
    return fd;
  } catch (error) {
    await closeAsync(fd);
    throw error;
  }
}

/** The folder without links, and which it is, after a look at everything on the way to it. */
async function resolveFolder(path: string, trusted: Trusted): Promise<{ folder: string; inode: string }> {
  const parts = partsOf(path);
  const top = await lstatExact('/');
  trusted.assertFolder('/', top);
  let folder = '/';
  let stats = top;
  let links = 0;
  let isOwners = false;
  for (let part = parts.shift(); part !== undefined; part = parts.shift()) {
    const next = join(folder, part);
    isOwners ||= trusted.isOwners(stats);
    const found = await lstatExact(next).catch(missing);
    if (found === undefined) throw new Error(`no folder ${next}`);
    if (found.isSymbolicLink()) {
      trusted.assertOwner(`the symbolic link ${next}`, found);
      isOwners ||= trusted.isOwners(found);
      links += 1;
      if (links > maxLinks) throw new Error('too many symbolic links');
      const target = await readlink(next);
      parts.unshift(...partsOf(target));
      if (target.startsWith('/')) [folder, stats] = ['/', top];
    } else if (found.isDirectory()) {
      folder = next;
      stats = found;
      trusted.assertFolder(folder, stats);
    } else {
      throw new Error(`${next} is not a folder`);
    }
  }
  // It could put another one in its place, of root's for one.
  if (isOwners && !trusted.isOwners(stats))
    throw new Untrusted(
      `the workers' user decides what leads to the folder ${folder}, which belongs to uid ${stats.uid}: expected a folder of that user, or a way there that is not`,
    );
  return { folder, inode: inodeOf(stats) };
}

function inodeOf({ dev, ino }: BigIntStats): string {
  return `${dev}:${ino}`;
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
  /** Undefined where it is root or the user of this process. */
  readonly #owner: number | undefined;

  constructor(owner: LogOwner | null) {
    const root = 0;
    if (owner !== null && owner.uid !== root && owner.uid !== process.geteuid?.()) this.#owner = owner.uid;
    this.#uids = new Set([root, process.geteuid?.() ?? root, owner?.uid ?? root]);
    this.#gids = new Set([root, process.getegid?.() ?? root, owner?.gid ?? root]);
  }

  assertOwner(what: string, { uid }: BigIntStats): void {
    if (this.#uids.has(Number(uid))) return;
    throw new Untrusted(`${what} belongs to uid ${uid}: expected uid ${[...this.#uids].join(' or ')}`);
  }

  /** Whether the workers' user, who is trusted with its own log alone, decides what this is. */
  isOwners({ uid }: BigIntStats): boolean {
    return this.#owner !== undefined && Number(uid) === this.#owner;
  }

  assertFolder(path: string, stats: BigIntStats): void {
    this.assertOwner(`the folder ${path}`, stats);
    const mode = Number(stats.mode);
    const isOpen = (mode & constants.S_IWOTH) !== 0;
    const isSticky = (mode & S_ISVTX) !== 0;
    if (isOpen && !isSticky) throw writable(path, 'everybody', stats, 'a folder that only its owner can write to');
  }

  assertLastFolder(path: string, stats: BigIntStats): void {
    const mode = Number(stats.mode);
    if ((mode & constants.S_IWOTH) !== 0)
      throw writable(path, 'everybody', stats, 'a folder for the log that only its owner can write to');
    if ((mode & constants.S_IWGRP) !== 0 && !this.#gids.has(Number(stats.gid)))
      throw writable(path, `gid ${stats.gid}`, stats, `gid ${[...this.#gids].join(' or ')}, or no group`);
  }

  assertFile(stats: BigIntStats): void {
    assertFileKind(stats);
    this.assertOwner('it', stats);
    if (stats.nlink > 1) throw new Error(`it has ${stats.nlink} names (hard links): expected one`);
  }
}

/** chmod(2); missing in Node's constants. */
const S_ISVTX = 0o1000;

function writable(path: string, by: string, { uid, mode }: BigIntStats, expected: string): Untrusted {
  const octal = (mode & 0o7777n).toString(8).padStart(4, '0');
  return new Untrusted(`${by} can write to the folder ${path} (uid ${uid}, mode ${octal}): expected ${expected}`);
}
