import {
  appendFileSync,
  chmodSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock/clock.ts';
import { readConfigSource } from '../../src/server/config/source.ts';
import { assertRegularFile, FileError, maxFileBytes, readLinesOf, readRegularFile } from '../../src/regular-file.ts';
import { ConfigError } from '../../src/service.ts';
import { qotd } from '../../src/services/qotd.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { FakeContext } from '../support/fake-context.ts';
import { oddFiles } from '../support/odd-files.ts';

let directory = '';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'smallservd-file-'));
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

function fileOf(content: Uint8Array | string): string {
  const path = join(directory, 'file');
  writeFileSync(path, content);
  return path;
}

async function errorOf(reading: Promise<unknown>): Promise<unknown> {
  return await reading.then(
    () => 'it was read',
    (error: unknown) => error,
  );
}

it('every reader refuses anything but a regular file of bounded size, without blocking', async () => {
  for (const { name, path, message } of await oddFiles(directory)) {
    expect(await errorOf(readRegularFile(path, maxFileBytes)), name).toMatchObject({ name: 'FileError', message });
    expect(await errorOf(assertRegularFile(path, maxFileBytes)), name).toMatchObject({ name: 'FileError', message });
    // As a config, /dev/null means none.
    if (path !== '/dev/null')
      expect(await errorOf(readConfigSource(path, {}, [])), name).toMatchObject({
        code: 'CONFIG_UNREADABLE',
        message: `cannot read the config ${path}: ${message}`,
      });
    const created = await errorOf(Promise.resolve(qotd.create({ file: path, choice: 'random' }, new FakeContext())));
    expect(created, name).toBeInstanceOf(ConfigError);
    expect(created, name).toMatchObject({
      option: 'file',
      file: path,
      message: `cannot be read: ${message.replace('16', '4')}`,
    });
  }
});

it('refuses a symbolic link if asked to, even to a regular file', async () => {
  const link = join(directory, 'link');
  symlinkSync(fileOf('content'), link);
  expect((await readRegularFile(link, 100)).toString()).toBe('content');
  const message = 'it is a symbolic link, not a regular file';
  expect(await errorOf(readRegularFile(link, 100, systemClock, 'refuse'))).toMatchObject({ message });
  expect((await readRegularFile(fileOf('content'), 100, systemClock, 'refuse')).toString()).toBe('content');
});

it('refuses a file without read permission', async () => {
  const path = fileOf('secret');
  chmodSync(directory, 0o755);
  chmodSync(path, 0o000);
  const uid = process.geteuid?.();
  // Root may read everything.
  if (uid === 0) process.seteuid?.('nobody');
  try {
    expect(await errorOf(readRegularFile(path, 100))).toMatchObject({ message: 'permission denied', code: 'EACCES' });
  } finally {
    if (uid === 0) process.seteuid?.(uid);
  }
});

describe('a regular file', () => {
  it('is read byte for byte, and refused above the size limit', async () => {
    const content = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      // Around the size of the pieces that it is read by.
      fc.integer({ min: -2, max: 2 }).map((more) => new Uint8Array(128 * 1024 + more).fill(7)),
    );
    await fc.assert(
      fc.asyncProperty(content, async (bytes) => {
        const path = fileOf(bytes);
        for (const maxBytes of [bytes.length, bytes.length + 1])
          expect((await readRegularFile(path, maxBytes)).equals(bytes)).toBe(true);
        if (bytes.length === 0) return;
        expect(await errorOf(readRegularFile(path, bytes.length - 1))).toBeInstanceOf(FileError);
      }),
      { numRuns: 50 },
    );
  });

  it('with a reported size of 0, as in /proc, is read to its end', async () => {
    expect(statSync('/proc/self/limits').size).toBe(0);
    expect(await readRegularFile('/proc/self/limits', 64 * 1024)).toEqual(readFileSync('/proc/self/limits'));
  });

  it('with more content than its reported size is refused above the size limit', async () => {
    expect(await errorOf(readRegularFile('/proc/self/limits', 100))).toMatchObject({
      message: expect.stringMatching(/^it is larger than/),
    });
  });

  it('that keeps growing is never read beyond the size limit', async () => {
    const path = fileOf('');
    const done = new AbortController();
    const growing = grow(path, done.signal);
    try {
      for (let tries = 0; tries < 20; tries += 1) {
        // What is there at a moment when it ends, or nothing.
        const read = await readRegularFile(path, 20_000).catch((error: unknown) => error);
        if (read instanceof Buffer) expect(read.length).toBeLessThanOrEqual(20_000);
        else expect(read).toMatchObject({ message: expect.stringMatching(/^it is larger than/) });
      }
    } finally {
      done.abort();
      await growing;
    }
  });
});

/** Appends to the file at every turn of the event loop. */
async function grow(path: string, end: AbortSignal): Promise<void> {
  while (!end.aborted) {
    appendFileSync(path, 'x'.repeat(1000));
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
}

describe('lines of a regular file', () => {
  it('are those that are wanted, however they lie in the parts that are read', async () => {
    const lines = Array.from({ length: 20_000 }, (_, number) => `line ${number}\n`);
    const path = fileOf(`${lines.join('')}line without an end`);
    const kept = await readLinesOf(path, maxFileBytes, (line) => !/[1-9]\d*\n/.test(String(line)));
    expect(String(kept)).toBe('line 0\nline without an end');
  });

  it('may not be too long, nor too many', async () => {
    const path = fileOf('x'.repeat(65_537));
    await expect(readLinesOf(path, maxFileBytes, () => true)).rejects.toThrow('a line of more than 64 KiB');
    await expect(readLinesOf(path, 65_536, () => true)).rejects.toThrow('it is larger than 64 KiB');
  });
});

describe('a file system that hangs', () => {
  it('times out after ten seconds and is not accessed again until it answers', async () => {
    const path = fileOf('content');
    const clock = new FakeClock();
    // No answer can come before the event loop turns.
    const reading = errorOf(readRegularFile(path, 100, clock));
    clock.advance(9999);
    const other = readRegularFile(fileOf('content'), 100, new FakeClock());
    clock.advance(1);
    expect(await errorOf(readRegularFile(path, 100, clock))).toMatchObject({
      message: 'its file system still does not answer',
    });
    expect(await reading).toMatchObject({ message: 'its file system did not answer within 10 s', code: undefined });
    expect((await other).toString()).toBe('content');
    // The late answer has come by now, or comes soon.
    for (;;) {
      const again = await errorOf(readRegularFile(path, 100, clock));
      if (again === 'it was read') break;
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    }
    expect(clock.waiting).toBe(0);
  });

  it('may answer after this process was stopped', async () => {
    const clock = new FakeClock();
    const reading = readRegularFile(fileOf('content'), 100, clock);
    clock.pause(60_000);
    expect((await reading).toString()).toBe('content');
  });

  it('leaves no timer behind if it answers in time', async () => {
    const path = fileOf('content');
    const clock = new FakeClock();
    const reading = readRegularFile(path, 100, clock);
    clock.advance(9999);
    expect((await reading).toString()).toBe('content');
    expect(clock.waiting).toBe(0);
  });
});
