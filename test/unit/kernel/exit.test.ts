import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { root, temporaryDirectory } from '../../support/daemon-process.ts';
import { makeFifo } from '../../support/odd-files.ts';

it('exitNow does not wait for a blocked thread', () => {
  const fifo = join(temporaryDirectory(), 'fifo');
  makeFifo(fifo);
  const program = `
    const { exitNow } = await import(${JSON.stringify(`${root}dist/kernel/exit.js`)});
    const { open } = await import('node:fs');
    process.stdout.write('before');
    // Nobody writes to it: the thread that opens it never comes back.
    open(${JSON.stringify(fifo)}, 'r', () => {});
    setTimeout(() => exitNow(7), 50);`;
  const { status, stdout } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
    encoding: 'utf8',
    timeout: 15_000,
    killSignal: 'SIGKILL',
  });
  expect({ status, stdout }).toEqual({ status: 7, stdout: 'before' });
});
