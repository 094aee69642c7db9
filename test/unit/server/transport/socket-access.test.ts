import { chmodSync, chownSync, lstatSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { expect, it, onTestFinished, vi } from 'vitest';
import type { SocketAccess } from '../../../../src/server/transport/listener.ts';
import { fileIdAt } from '../../../../src/server/transport/bound-file.ts';
import { SocketFiles } from '../../../../src/server/transport/unix-socket.ts';

const steps = vi.hoisted(() => ({ done: () => {} }));

/** Looks at the file after each of its changes. */
vi.mock('node:fs', async (original) => {
  const fs = await original<typeof import('node:fs')>();
  return {
    ...fs,
    chmodSync(...args: Parameters<typeof fs.chmodSync>) {
      fs.chmodSync(...args);
      steps.done();
    },
    chownSync(...args: Parameters<typeof fs.chownSync>) {
      fs.chownSync(...args);
      steps.done();
    },
  };
});

const isRoot = process.geteuid?.() === 0;
const self = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
const ids = [1, 2, 3] as const;

/** The bits of a mode that hold for a user. */
function bitsFor(uid: number, gid: number, access: SocketAccess): number {
  const shift = uid === access.uid ? 6 : gid === access.gid ? 3 : 0;
  return (access.mode >> shift) & 0o7;
}

it('never grants more access during a change than the old or the new owner, group and mode do', async () => {
  const path = join(mkdtempSync(join(tmpdir(), 'smallservd-access-')), 'echo.sock');
  onTestFinished(() => rmSync(join(path, '..'), { recursive: true, force: true }));
  const planned = (access: SocketAccess) => {
    return [
      { id: 0, service: 'echo', text: '', optional: false, target: { transport: 'unix', path, access } },
    ] as const;
  };
  const files = new SocketFiles();
  await files.prepare(planned({ mode: 0, ...self }));
  const server = createServer();
  onTestFinished(() => void server.close());
  await new Promise<void>((resolve) => void server.listen(path, resolve));

  const created = new Map([[path, fileIdAt(path) ?? { dev: 0n, ino: 0n }]]);
  let seen: SocketAccess[] = [];
  steps.done = () => {
    const { mode, uid, gid } = lstatSync(path);
    seen.push({ mode: mode & 0o7777, uid, gid });
  };
  const [uids, gids] = isRoot ? [ids, ids] : [[self.uid], [self.gid]];
  const access = fc.record({ mode: fc.nat(0o777), uid: fc.constantFrom(...uids), gid: fc.constantFrom(...gids) });
  fc.assert(
    fc.property(access, access, (before, after) => {
      files.grant(planned(before), created);
      seen = [];
      files.grant(planned(after), created);
      expect(seen.at(-1) ?? before).toEqual(after);
      for (const step of seen) {
        for (const uid of ids) {
          for (const gid of ids) {
            const [old, next] = [bitsFor(uid, gid, before), bitsFor(uid, gid, after)];
            expect([old, next].some((bits) => (bitsFor(uid, gid, step) & ~bits) === 0)).toBe(true);
          }
        }
      }
    }),
  );
});

it('the fs mock reports every chmod and chown', () => {
  const file = join(mkdtempSync(join(tmpdir(), 'smallservd-access-')), 'file');
  onTestFinished(() => rmSync(join(file, '..'), { recursive: true, force: true }));
  writeFileSync(file, '');
  const done = vi.fn();
  steps.done = done;
  chmodSync(file, 0o600);
  chownSync(file, self.uid, self.gid);
  expect(done).toHaveBeenCalledTimes(2);
});
