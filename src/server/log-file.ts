import { type BigIntStats, close, constants, fchown, fstat, open } from 'node:fs';
import { lstat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { promisify } from 'node:util';
import { type Clock, systemClock } from '../clock/clock.ts';
import { SmallservdError } from '../errors.ts';
import { O_PATH, pathOf } from './path-descriptor.ts';
import { walkPath } from './path-walk.ts';
import type { Identity } from './supervisor/identity.ts';
import { answerInTime, assertFileKind, FileError } from '../regular-file.ts';

/**
 * A user and group, in addition to root and this process's own, that may own the log file and its parent directories.
 */
export type LogOwner = Pick<Identity, 'uid' | 'gid'>;

/** A log file open for appending. The holder closes the descriptor. */
export interface OpenLogFile {
  readonly fd: number;
  /** Equal for two descriptors of the same file. */
  readonly inode: string;
}

const openAsync = promisify(open);
const closeAsync = promisify(close);
const fchownAsync = promisify(fchown);

/** In 64 bits, because inode numbers above 2^53 could collide as doubles. */
const fstatExact = async (fd: number): Promise<BigIntStats> => promisify(fstat)(fd, { bigint: true });
const lstatExact = async (path: string): Promise<BigIntStats> => lstat(path, { bigint: true });

// Does not block on a FIFO or device, and does not follow a link. Node adds O_CLOEXEC.
const flags =
  constants.O_WRONLY | constants.O_APPEND | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY;

/**
 * Opens a log file, an absolute path, for appending; creates it with mode 0600 if it is missing. Root may do this, so
 * nobody else may decide what is written to:
 *
 * - the file must be regular and have a single name; the file, every directory from / down and every link on the path
 * must
 *   belong to root, to the user of this process or to `owner`;
 * - a parent of its directory may be writable by others only if it is sticky, like /tmp;
 * - its directory must not be writable by others, and by a group only if that is the group of root, of this process or
 *   of `owner`;
 * - if `owner` can write to its directory, the file must belong to `owner`, and a new one does: `owner` could give the
 *   name to any other file.
 *
 * The file is opened in the directory that was checked, even if the path leads elsewhere by then: a group may be able
 * to write to the directories above, such as Ubuntu's /var/log. Access control lists are not checked. Throws
 * `LOG_FILE`, or `LOG_FILE_NOT_PERMITTED` if an owner or a mode is wrong or the system refuses.
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
    // The file may still open after nobody waits for it any more.
    void opening?.then(({ fd }) => closeAsync(fd)).catch(() => {});
    const { message, code = '', cause } = error instanceof FileError ? error : new FileError(error);
    const isDenied = cause instanceof Untrusted || ['EACCES', 'EPERM', 'EROFS'].includes(code);
    throw new SmallservdError(isDenied ? 'LOG_FILE_NOT_PERMITTED' : 'LOG_FILE', `log.file ${path}: ${message}`, {
      cause,
    });
  }
}

async function openTrusted(path: string, trusted: Trusted): Promise<OpenLogFile> {
  const directory = await openDirectory(dirname(path), trusted);
  try {
    // Not by `join`, which would drop the descriptor for a `..`.
    const stats = await fstatExact(directory);
    return await openIn(`${pathOf(directory)}/${basename(path)}`, trusted, trusted.ownerWhoWrites(stats));
  } finally {
    await closeAsync(directory);
  }
}

/** `writer` is the workers' user if it can write to the directory. */
async function openIn(file: string, trusted: Trusted, writer: LogOwner | undefined): Promise<OpenLogFile> {
  // Opening a device can have side effects, so check first.
  const before = await lstatExact(file).catch(missing);
  if (before !== undefined) trusted.assertFile(before, writer);
  // A missing file is created exclusively, so that a file that appeared in the meantime is not opened.
  const fd = await openAsync(file, before === undefined ? flags | constants.O_CREAT | constants.O_EXCL : flags, 0o640);
  try {
    // Whatever has its name by now: this is the file that was created.
    if (before === undefined && writer !== undefined) await fchownAsync(fd, writer.uid, writer.gid);
    const stats = await fstatExact(fd);
    trusted.assertFile(stats, writer);
    // Only this detects a hard link to somebody else's file that was placed there and removed in the meantime.
    if (before !== undefined && inodeOf(before) !== inodeOf(stats))
      throw new Error('it was replaced while it was being checked');
    return { fd, inode: inodeOf(stats) };
  } catch (error) {
    await closeAsync(fd);
    throw error;
  }
}

/** Returns an O_PATH descriptor of the directory after checking everything on the path to it. */
async function openDirectory(path: string, trusted: Trusted): Promise<number> {
  const { directory, inode } = await resolveDirectory(path, trusted);
  const fd = await openAsync(directory, O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    const stats = await fstatExact(fd);
    if (inodeOf(stats) !== inode) throw new Error(`the directory ${directory} was replaced while it was being checked`);
    trusted.assertDirectory(directory, stats);
    trusted.assertLastDirectory(directory, stats);
    if ((await lstatExact(pathOf(fd)).catch(missing)) === undefined)
      throw new Error('log files need /proc, which is missing here');
    return fd;
  } catch (error) {
    await closeAsync(fd);
    throw error;
  }
}

/** Resolves links and returns the directory and its inode after checking everything on the path to it. */
async function resolveDirectory(path: string, trusted: Trusted): Promise<{ directory: string; inode: string }> {
  let directory = '/';
  let end = await lstatExact(directory);
  let isOwners = false;
  for await (const { path: way, stats } of walkPath(path)) {
    isOwners ||= trusted.isOwners(stats);
    if (stats.isSymbolicLink()) {
      trusted.assertOwner(`the symbolic link ${way}`, stats);
    } else if (stats.isDirectory()) {
      trusted.assertDirectory(way, stats);
      [directory, end] = [way, stats];
    } else {
      throw new Error(`${way} is not a directory`);
    }
  }
  // It could put another one in its place, for example one that belongs to root.
  if (isOwners && !trusted.isOwners(end))
    throw new Untrusted(
      `the workers' user owns part of the path to the directory ${directory} and could redirect it, but the directory belongs to uid ${end.uid}: expected the workers' user to own the directory too, or no part of the path`,
    );
  return { directory, inode: inodeOf(end) };
}

function inodeOf({ dev, ino }: BigIntStats): string {
  return `${dev}:${ino}`;
}

function missing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}

/** An owner or a mode that would let somebody else decide where the log goes. */
class Untrusted extends Error {}

/** The users and groups that may own the log file and everything on the path to it. */
class Trusted {
  readonly #uids: ReadonlySet<number>;
  readonly #gids: ReadonlySet<number>;
  /** Undefined if it is root or the user of this process. */
  readonly #owner: LogOwner | undefined;

  constructor(owner: LogOwner | null) {
    const root = 0;
    if (owner !== null && owner.uid !== root && owner.uid !== process.geteuid?.()) this.#owner = owner;
    this.#uids = new Set([root, process.geteuid?.() ?? root, owner?.uid ?? root]);
    this.#gids = new Set([root, process.getegid?.() ?? root, owner?.gid ?? root]);
  }

  assertOwner(what: string, { uid }: BigIntStats): void {
    if (this.#uids.has(Number(uid))) return;
    throw new Untrusted(`${what} belongs to uid ${uid}: expected uid ${[...this.#uids].join(' or ')}`);
  }

  /** Whether the workers' user, trusted only with its own log, controls this. */
  isOwners({ uid }: BigIntStats): boolean {
    return this.#owner !== undefined && Number(uid) === this.#owner.uid;
  }

  assertDirectory(path: string, stats: BigIntStats): void {
    this.assertOwner(`the directory ${path}`, stats);
    const mode = Number(stats.mode);
    const isOpen = (mode & constants.S_IWOTH) !== 0;
    const isSticky = (mode & S_ISVTX) !== 0;
    if (isOpen && !isSticky) throw writable(path, 'everybody', stats, 'a directory that only its owner can write to');
  }

  assertLastDirectory(path: string, stats: BigIntStats): void {
    const mode = Number(stats.mode);
    if ((mode & constants.S_IWOTH) !== 0)
      throw writable(path, 'everybody', stats, 'a directory for the log that only its owner can write to');
    if ((mode & constants.S_IWGRP) !== 0 && !this.#gids.has(Number(stats.gid)))
      throw writable(path, `gid ${stats.gid}`, stats, `gid ${[...this.#gids].join(' or ')}, or no group`);
  }

  /** The workers' user, if it can write to this directory, which was checked. */
  ownerWhoWrites(directory: BigIntStats): LogOwner | undefined {
    const isGroups = (Number(directory.mode) & constants.S_IWGRP) !== 0 && Number(directory.gid) === this.#owner?.gid;
    return this.isOwners(directory) || isGroups ? this.#owner : undefined;
  }

  assertFile(stats: BigIntStats, writer: LogOwner | undefined): void {
    assertFileKind(stats);
    this.assertOwner('it', stats);
    if (writer !== undefined && Number(stats.uid) !== writer.uid)
      throw new Untrusted(
        `it belongs to uid ${stats.uid}, but the workers' user can write to its directory and could put any file there: expected uid ${writer.uid}, or a directory that only root can write to`,
      );
    if (stats.nlink > 1) throw new Error(`it has ${stats.nlink} names (hard links): expected one`);
  }
}

/** chmod(2); missing from Node's constants. */
const S_ISVTX = 0o1000;

function writable(path: string, by: string, { uid, mode }: BigIntStats, expected: string): Untrusted {
  const octal = (mode & 0o7777n).toString(8).padStart(4, '0');
  return new Untrusted(`${by} can write to the directory ${path} (uid ${uid}, mode ${octal}): expected ${expected}`);
}
