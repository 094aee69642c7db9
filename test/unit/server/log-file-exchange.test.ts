import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { type OpenLogFile, openLogFile } from '../../../src/server/log-file.ts';

/** Called before each open(2), with how many there were. */
const beforeOpen = vi.hoisted(() => ({ hook: (_count: number): void => {}, opened: 0 }));

vi.mock('node:fs', async (importOriginal) => {
  const fs = await importOriginal<typeof import('node:fs') & { open: (...args: unknown[]) => void }>();
  const open = (...args: unknown[]): void => {
    beforeOpen.hook(beforeOpen.opened);
    beforeOpen.opened += 1;
    fs.open(...args);
  };
  // As XFS and others number files, of which a double does not hold all.
  const fstat = (fd: number, ...rest: unknown[]): void => {
    const done = rest.pop() as (error: Error | null, stats: unknown) => void;
    const bigint = rest.length > 0;
    const stats = fs.fstatSync(fd, { bigint: true });
    if (stats.isFile()) stats.ino += 2n ** 62n;
    done(null, bigint ? stats : Object.assign(fs.fstatSync(fd), { ino: Number(stats.ino) }));
  };
  return { ...fs, open, fstat };
});

vi.mock('node:fs/promises', async (importOriginal) => {
  const promises = await importOriginal<typeof import('node:fs/promises')>();
  const lstat = async (path: string): Promise<unknown> => {
    const stats = await promises.lstat(path, { bigint: true });
    if (stats.isFile()) stats.ino += 2n ** 62n;
    return stats;
  };
  return { ...promises, lstat };
});

/** To be closed. */
const opened: OpenLogFile[] = [];

let base = '';
let directory = '';
let other = '';
let path = '';

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'smallservd-exchange-'));
  [directory, other] = [join(base, 'directory'), join(base, 'other')];
  path = join(directory, 'log');
  for (const each of [base, directory, other]) {
    mkdirSync(each, { recursive: true });
    chmodSync(each, 0o755);
  }
  beforeOpen.opened = 0;
});

afterEach(() => {
  for (const { fd } of opened.splice(0)) closeSync(fd);
  rmSync(base, { recursive: true, force: true });
});

const exchanges: readonly (readonly [string, () => void])[] = [
  ['a link to another directory', () => symlinkSync(other, directory)],
  ['another directory', () => renameSync(other, directory)],
];

/** As somebody does who may write to the directory above. */
function exchangeAt(at: number, put: () => void): void {
  beforeOpen.hook = (count) => {
    if (count !== at) return;
    renameSync(directory, join(base, 'away'));
    put();
  };
}

function filesMade(): readonly string[] {
  return ['directory', 'other', 'away'].filter((each) => existsSync(join(base, each, 'log')));
}

/** Of this process, on what is below the test's directory. */
function openDescriptors(): readonly string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`);
      return target.startsWith(base) ? [target] : [];
    } catch {
      return [];
    }
  });
}

it.each(exchanges)('refuses a directory replaced by %s after the check', async (_what, put) => {
  exchangeAt(0, put);
  await expect(openLogFile(path, null)).rejects.toMatchObject({ code: 'LOG_FILE' });
  expect(filesMade()).toEqual([]);
  expect(openDescriptors()).toEqual([]);
});

it.each(exchanges)('creates the file in the checked directory if %s replaces it later', async (_what, put) => {
  exchangeAt(1, put);
  opened.push(await openLogFile(path, null));
  expect(filesMade()).toEqual(['away']);
  expect(openDescriptors()).toEqual([join(base, 'away', 'log')]);
});

/** As somebody does who may write to the directory of the log, just before it is opened. */
function beforeTheFile(put: () => void): void {
  beforeOpen.hook = (count) => {
    if (count === 1) put();
  };
}

it('refuses a file swapped in between check and open', async () => {
  const victim = join(other, 'victim');
  writeFileSync(victim, '');
  writeFileSync(path, '');
  beforeTheFile(() => {
    renameSync(victim, path);
  });
  await expect(openLogFile(path, null)).rejects.toMatchObject({ code: 'LOG_FILE' });
  expect(openDescriptors()).toEqual([]);
});

it('opens a file that is not replaced', async () => {
  beforeOpen.hook = () => {};
  writeFileSync(path, '');
  opened.push(await openLogFile(path, null));
  expect(openDescriptors()).toEqual([path]);
});

it('refuses a file that appears between check and open', async () => {
  beforeTheFile(() => writeFileSync(path, ''));
  await expect(openLogFile(path, null)).rejects.toMatchObject({ code: 'LOG_FILE' });
  expect(openDescriptors()).toEqual([]);
});

it('compares all bits of the inode numbers', async () => {
  beforeOpen.hook = () => {};
  const first = await openLogFile(path, null);
  const second = await openLogFile(join(other, 'log'), null);
  opened.push(first, second);
  expect(second.inode).not.toBe(first.inode);
});
