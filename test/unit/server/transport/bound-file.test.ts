import {
  chmodSync,
  chownSync,
  closeSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { libc } from '../../../../src/kernel/libc.ts';
import { connectUnix } from '../../../../src/kernel/sockets.ts';
import { bindUnix, fileIdAt, isSameFile } from '../../../../src/server/transport/bound-file.ts';

/** What the owner of the directory does right after a step of the bind. */
const steps = vi.hoisted(() => ({ linked: () => {}, directoryMade: (_path: string) => {} }));

vi.mock('node:fs', async (original) => {
  const fs = await original<typeof import('node:fs')>();
  return {
    ...fs,
    linkSync(...args: Parameters<typeof fs.linkSync>) {
      fs.linkSync(...args);
      steps.linked();
    },
    mkdtempSync(prefix: string) {
      const path = fs.mkdtempSync(prefix);
      steps.directoryMade(path);
      return path;
    },
  };
});

let directory = '';
let path = '';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'smallservd-bind-'));
  path = join(directory, 'echo.sock');
});

afterEach(() => {
  steps.linked = () => {};
  steps.directoryMade = () => {};
  rmSync(directory, { recursive: true, force: true });
});

function bind(): ReturnType<typeof bindUnix> {
  const bound = bindUnix(path, 16);
  onTestFinished(() => closeSync(bound.descriptor));
  return bound;
}

describe.runIf(libc !== undefined)('bindUnix', () => {
  it('creates a file that only the owner can connect to, and tells which', () => {
    const { file } = bind();
    expect(isSameFile(fileIdAt(path), file)).toBe(true);
    expect(lstatSync(path).mode & 0o7777).toBe(0o600);
    closeSync(connectUnix(path));
  });

  it('does not replace a file', () => {
    writeFileSync(path, 'precious');
    expect(bind).toThrow(expect.objectContaining({ code: 'EADDRINUSE' }));
    expect(lstatSync(path).isFile()).toBe(true);
  });
});

describe.runIf(libc !== undefined && process.geteuid?.() === 0)('bindUnix, by root in a directory of others', () => {
  beforeEach(() => chownSync(directory, 7, 7));

  it('creates a private file there, and nothing else', () => {
    const { file } = bind();
    expect(readdirSync(directory)).toEqual(['echo.sock']);
    expect(isSameFile(fileIdAt(path), file)).toBe(true);
    const { mode, uid, nlink } = lstatSync(path);
    expect([mode & 0o7777, uid, nlink]).toEqual([0o600, 0, 1]);
    closeSync(connectUnix(path));
  });

  it('does not replace a file', () => {
    writeFileSync(path, 'precious');
    expect(bind).toThrow(expect.objectContaining({ code: 'EADDRINUSE' }));
    expect([lstatSync(path).isFile(), readdirSync(directory)]).toEqual([true, ['echo.sock']]);
  });

  it('can bind a path of the greatest length', () => {
    path = join(directory, 'x'.repeat(107 - directory.length - 1));
    bind();
    expect(readdirSync(directory)).toEqual([basename(path)]);
  });

  it('does not take a file that the owner puts there for the one that it created', () => {
    const admin = join(directory, 'admin.sock');
    writeFileSync(admin, '');
    steps.linked = () => renameSync(admin, path);
    const { file } = bind();
    expect(lstatSync(path).isFile()).toBe(true);
    expect(isSameFile(fileIdAt(path), file)).toBe(false);
  });

  it.each<[string, (made: string) => void]>([
    ['of the owner', (made) => chownSync(made, 7, 7)],
    ['that others can reach into', (made) => chmodSync(made, 0o710)],
  ])('binds in no directory %s', (_which, change) => {
    steps.directoryMade = (made) => {
      renameSync(made, join(dirname(made), 'moved'));
      mkdirSync(made, 0o700);
      change(made);
    };
    expect(bind).toThrow('its directory was replaced during the bind');
    expect(readdirSync(directory)).toEqual(['moved']);
  });
});
