import {
  type BigIntStats,
  closeSync,
  constants,
  fstatSync,
  linkSync,
  lstatSync,
  mkdtempSync,
  openSync,
  rmdirSync,
  unlinkSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { listenUnix } from '../../kernel/sockets.ts';
import { O_PATH, pathOf } from '../path-descriptor.ts';

/** A file, whatever its name is by now. No other file has its numbers while the socket that created it is open. */
export type FileId = Pick<BigIntStats, 'dev' | 'ino'>;

/** Returns undefined if there is none. */
export function fileIdAt(path: string): FileId | undefined {
  return lstatSync(path, { bigint: true, throwIfNoEntry: false });
}

export function isSameFile(one: FileId | undefined, other: FileId): boolean {
  return one?.dev === other.dev && one.ino === other.ino;
}

/**
 * Opens a UNIX listener, to which only the owner can connect, and tells which file it created. `SocketFiles` changes
 * only that one.
 */
export function bindUnix(path: string, backlog: number): { readonly descriptor: number; readonly file: FileId } {
  const directory = openSync(dirname(path), O_PATH | constants.O_DIRECTORY);
  try {
    // Only root has privileges that somebody else could want to use. Where a directory belongs to root, others can at
    // most add files: `SocketFiles` refuses it otherwise.
    const isOthers = process.geteuid?.() === 0 && fstatSync(directory).uid !== 0;
    return isOthers ? bindOutOfReach(directory, basename(path), backlog) : bindAt(path, backlog);
  } finally {
    closeSync(directory);
  }
}

/**
 * For a directory of another user, who could exchange a new file for another of root's before we look at it. Thus it is
 * created in a directory of root's, and then linked to its name. Whatever happens to that link, we know our file.
 */
function bindOutOfReach(directory: number, name: string, backlog: number): ReturnType<typeof bindUnix> {
  const privatePath = mkdtempSync(join(pathOf(directory), '.smallservd-'));
  const privateDirectory = openSync(privatePath, O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    // Even if it is not the one that we made, nobody else can reach into it.
    const { uid, mode } = fstatSync(privateDirectory);
    if (uid !== 0 || (mode & 0o077) !== 0) throw new Error('its directory was replaced during the bind');
    const file = join(pathOf(privateDirectory), 'socket');
    const bound = bindAt(file, backlog);
    try {
      // Unlike a rename, this replaces nothing.
      linkSync(file, join(pathOf(directory), name));
    } catch (error) {
      closeSync(bound.descriptor);
      throw isTaken(error) ? Object.assign(new Error('EADDRINUSE'), { code: 'EADDRINUSE' }) : error;
    } finally {
      unlinkSync(file);
    }
    return bound;
  } finally {
    closeSync(privateDirectory);
    removeDirectory(privatePath);
  }
}

/**
 * Runs a bind synchronously under a umask that lets only the owner connect. The umask is process-wide and can be set
 * only by the main thread. On any other, this throws.
 */
export function bindPrivately(bind: () => void): void {
  const before = process.umask(0o177);
  try {
    bind();
  } finally {
    process.umask(before);
  }
}

function bindAt(path: string, backlog: number): ReturnType<typeof bindUnix> {
  let descriptor = -1;
  bindPrivately(() => {
    descriptor = listenUnix(path, backlog);
  });
  return { descriptor, file: lstatSync(path, { bigint: true }) };
}

function isTaken(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'EEXIST';
}

/** Its owner may have moved it. */
function removeDirectory(path: string): void {
  try {
    rmdirSync(path);
  } catch {
    // Empty and private, it is in nobody's way.
  }
}
