import { chmodSync, closeSync, copyFileSync, openSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { spawnChild } from '../../../src/server/child-process.ts';
import { temporaryDirectory } from '../../support/daemon-process.ts';

it('starts a process', async () => {
  const child = spawnChild('/bin/true', [], {});
  expect(await once(child, 'exit')).toEqual([0, null]);
});

it.each([
  ['ETXTBSY, which Node throws', true],
  ['EACCES, which Node reports', false],
])('reports %s', async (what, isBusy) => {
  const program = join(temporaryDirectory(), 'program');
  copyFileSync('/bin/true', program);
  chmodSync(program, isBusy ? 0o755 : 0o644);
  // Somebody replaces it.
  const writer = isBusy ? openSync(program, 'a') : undefined;
  onTestFinished(() => {
    if (writer !== undefined) closeSync(writer);
  });
  const child = spawnChild(program, [], {});
  const [error] = (await once(child, 'error')) as [NodeJS.ErrnoException];
  expect([what.startsWith(error.code ?? '?'), child.pid]).toEqual([true, undefined]);
});
