import { type BigIntStats, constants, type Stats } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { type Clock, systemClock } from './clock/clock.ts';

/** How long a file system may take to answer: that of a dead server never does. */
const deadlineMs = 10_000;

/** Larger than any config, quotation file or module that somebody means. */
export const maxFileBytes: number = 16 * 1024 * 1024;

/** Why a file cannot be used, for people; to follow `cannot be read: `. */
export class FileError extends Error {
  override readonly name = 'FileError';
  /** Of the system, such as `ENOENT`. */
  readonly code: string | undefined;

  constructor(cause: unknown) {
    super(explain(cause), { cause });
    this.code = codeOf(cause);
  }
}

/**
 * Reads a regular file, or fails: a FIFO, a device or a socket is never waited for, of a file that is larger than
 * `maxBytes`, or grows past it, no more is read, and a file system that does not answer within ten seconds is given up.
 * What /proc shows as an empty file is read like any other. Throws `FileError`.
 */
export async function readRegularFile(path: string, maxBytes: number, clock: Clock = systemClock): Promise<Buffer> {
  return await answerInTime(path, clock, async () => {
    // Opening a device can have effects, and a socket cannot be opened: look first.
    assertBoundedFile(await stat(path), maxBytes);
    const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    try {
      // It may be another one now.
      assertBoundedFile(await handle.stat(), maxBytes);
      return await readBounded(handle, maxBytes);
    } finally {
      await handle.close();
    }
  });
}

/**
 * Throws `FileError` where `path` is not a regular file of at most `maxBytes`; for a file that somebody else is to
 * read.
 */
export async function assertRegularFile(path: string, maxBytes: number, clock: Clock = systemClock): Promise<void> {
  await answerInTime(path, clock, async () => assertBoundedFile(await stat(path), maxBytes));
}

/**
 * Paths of which an answer is overdue. Each has one of the four threads that also write the log and resolve names: it
 * gets no second one.
 */
const overdue = new Set<string>();

/**
 * What `ask` resolves with, where that takes at most ten seconds; it is not asked for a path that still owes an answer.
 * Throws `FileError`.
 */
export async function answerInTime<Answer>(path: string, clock: Clock, ask: () => Promise<Answer>): Promise<Answer> {
  if (overdue.has(path)) throw new FileError(new Error('its file system still does not answer'));
  return await new Promise<Answer>((resolve, reject) => {
    const cancel = clock.after(deadlineMs, () => {
      overdue.add(path);
      reject(new FileError(new Error(`its file system does not answer within ${deadlineMs / 1000} s`)));
    });
    const answered = (): void => {
      cancel();
      overdue.delete(path);
    };
    ask()
      .finally(answered)
      .then(resolve, (error: unknown) => reject(new FileError(error)));
  });
}

function assertBoundedFile(stats: Stats, maxBytes: number): void {
  assertFileKind(stats);
  if (stats.size > maxBytes) throw tooLarge(maxBytes);
}

/** Throws an Error that says what it is where it is not a regular file. */
export function assertFileKind(stats: Stats | BigIntStats): void {
  if (stats.isFile()) return;
  if (stats.isDirectory()) throw new Error('it is a directory');
  throw new Error(`it is a ${kindOf(stats)}, not a regular file`);
}

function kindOf(stats: Stats | BigIntStats): string {
  if (stats.isFIFO()) return 'FIFO or pipe';
  if (stats.isSocket()) return 'socket';
  if (stats.isSymbolicLink()) return 'symbolic link';
  return 'device';
}

/** Not by the size that fstat(2) tells: the file may grow, and in /proc it says 0. */
async function readBounded(handle: FileHandle, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for (let length = 0; length <= maxBytes; ) {
    const chunk = Buffer.allocUnsafe(Math.min(64 * 1024, maxBytes + 1 - length));
    const { bytesRead } = await handle.read(chunk, 0, chunk.length, null);
    if (bytesRead === 0) return Buffer.concat(chunks, length);
    chunks.push(chunk.subarray(0, bytesRead));
    length += bytesRead;
  }
  throw tooLarge(maxBytes);
}

function tooLarge(maxBytes: number): Error {
  return new Error(`it is larger than ${maxBytes / (1024 * 1024)} MiB`);
}

function explain(cause: unknown): string {
  const known = causes[codeOf(cause) ?? ''];
  return known ?? (cause instanceof Error ? cause.message : String(cause));
}

function codeOf(cause: unknown): string | undefined {
  return cause instanceof Error && 'code' in cause ? String(cause.code) : undefined;
}

const causes: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EISDIR: 'it is a directory',
  ENOTDIR: 'a part of the path is not a directory',
  ELOOP: 'too many symbolic links',
  ENAMETOOLONG: 'the path is too long',
  EROFS: 'its file system is read-only',
};
