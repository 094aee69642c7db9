import { type BigIntStats, constants, type Stats } from 'node:fs';
import { type FileHandle, lstat, open, stat } from 'node:fs/promises';
import { type Clock, systemClock } from './clock/clock.ts';
import { describeSystemError } from './system-error-text.ts';

/** How long a file system may take to answer. A dead server never does. */
const deadlineMs = 10_000;

/** Time in which this process does not run counts for at most this long. */
const periodMs = 1000;

/** Larger than any plausible config, quotation file or module. */
export const maxFileBytes: number = 16 * 1024 * 1024;

const chunkBytes = 64 * 1024;

/** Why a file cannot be used. The message continues `cannot be read: `. */
export class FileError extends Error {
  override readonly name = 'FileError';
  /** The system's error code, such as `ENOENT`. */
  readonly code: string | undefined;

  constructor(cause: unknown) {
    super(describeSystemError(cause, 'file'), { cause });
    this.code = codeOf(cause);
  }
}

/**
 * Reads a regular file or fails. It never waits for a FIFO, device or socket, never reads more than `maxBytes`, and
 * gives up on a file system that does not answer within ten seconds. Files that /proc shows as empty are read
 * correctly. `link` says what to do if the last part of the path is a symbolic link. Throws `FileError`.
 */
export async function readRegularFile(
  path: string,
  maxBytes: number,
  clock: Clock = systemClock,
  link: 'follow' | 'refuse' = 'follow',
): Promise<Buffer> {
  return await withRegularFile(path, maxBytes, clock, link, async (handle) => {
    const chunks: Buffer[] = [];
    await readChunks(handle, maxBytes, (chunk) => chunks.push(Buffer.from(chunk)));
    return Buffer.concat(chunks);
  });
}

/**
 * Reads a regular file as `readRegularFile` does, and returns the lines for which `keeps` returns true, one after the
 * other. `keeps` gets a line with its line feed, if it has one, valid only during the call. The other lines take no
 * memory. No line may have more than 64 KiB.
 */
export async function readLinesOf(
  path: string,
  maxBytes: number,
  keeps: (line: Buffer) => boolean,
  clock: Clock = systemClock,
): Promise<Buffer> {
  return await withRegularFile(path, maxBytes, clock, 'follow', async (handle) => {
    const kept: Buffer[] = [];
    let unfinished = Buffer.alloc(0);
    await readChunks(handle, maxBytes, (chunk) => {
      const text = unfinished.length === 0 ? chunk : Buffer.concat([unfinished, chunk]);
      let start = 0;
      for (let end = text.indexOf('\n') + 1; end > 0; end = text.indexOf('\n', start) + 1) {
        const line = text.subarray(start, end);
        if (keeps(line)) kept.push(Buffer.from(line));
        start = end;
      }
      unfinished = Buffer.from(text.subarray(start));
      if (unfinished.length > chunkBytes) throw new Error('it has a line of more than 64 KiB');
    });
    if (unfinished.length > 0 && keeps(unfinished)) kept.push(unfinished);
    return Buffer.concat(kept);
  });
}

/** Opens a regular file for `use`, and closes it afterwards. Throws `FileError`. */
async function withRegularFile<Answer>(
  path: string,
  maxBytes: number,
  clock: Clock,
  link: 'follow' | 'refuse',
  use: (handle: FileHandle) => Promise<Answer>,
): Promise<Answer> {
  return await answerInTime(path, clock, async () => {
    const follows = link === 'follow';
    // Opening a device can have side effects, and sockets cannot be opened, so check first.
    assertBoundedFile(await (follows ? stat(path) : lstat(path)), maxBytes);
    const noFollow = follows ? 0 : constants.O_NOFOLLOW;
    const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY | noFollow);
    try {
      // The file may have been replaced.
      assertBoundedFile(await handle.stat(), maxBytes);
      return await use(handle);
    } finally {
      await handle.close();
    }
  });
}

/** Throws `FileError` unless `path` is a regular file of at most `maxBytes`. For files read by another program. */
export async function assertRegularFile(path: string, maxBytes: number, clock: Clock = systemClock): Promise<void> {
  await answerInTime(path, clock, async () => assertBoundedFile(await stat(path), maxBytes));
}

/** Overdue paths, not asked again: each blocks one of the four threads that also write the log and resolve names. */
const overdue = new Set<string>();

/** Runs `ask` with a limit of ten seconds. It is not called for a path with an overdue answer. Throws `FileError`. */
export async function answerInTime<Answer>(path: string, clock: Clock, ask: () => Promise<Answer>): Promise<Answer> {
  if (overdue.has(path)) throw new FileError(new Error('its file system still does not answer'));
  return await new Promise<Answer>((resolve, reject) => {
    let waitedMs = 0;
    // Not one timer: if this process is stopped meanwhile, the answer may be there already when it runs again.
    const cancel = clock.every(periodMs, () => {
      waitedMs += periodMs;
      if (waitedMs < deadlineMs) return;
      cancel();
      overdue.add(path);
      reject(new FileError(new Error(`its file system did not answer within ${deadlineMs / 1000} s`)));
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

/** Throws an Error naming the file type unless it is a regular file. */
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

/**
 * Reads to the end, whatever the size from fstat(2) says: the file may grow, and /proc reports 0. `read` gets each
 * part, valid only during the call.
 */
async function readChunks(handle: FileHandle, maxBytes: number, read: (chunk: Buffer) => void): Promise<void> {
  const chunk = Buffer.allocUnsafeSlow(Math.min(chunkBytes, maxBytes + 1));
  for (let length = 0; ; ) {
    const { bytesRead } = await handle.read(chunk, 0, Math.min(chunk.length, maxBytes + 1 - length), null);
    if (bytesRead === 0) return;
    length += bytesRead;
    if (length > maxBytes) throw tooLarge(maxBytes);
    read(chunk.subarray(0, bytesRead));
  }
}

function tooLarge(maxBytes: number): Error {
  const kibibytes = maxBytes / 1024;
  return new Error(`it is larger than ${kibibytes < 1024 ? `${kibibytes} KiB` : `${kibibytes / 1024} MiB`}`);
}

function codeOf(cause: unknown): string | undefined {
  return cause instanceof Error && 'code' in cause ? String(cause.code) : undefined;
}
