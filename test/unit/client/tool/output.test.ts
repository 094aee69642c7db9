import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { root } from '../../../support/daemon-process.ts';
import { answerTcp } from '../../../support/fake-servers.ts';
import { within } from '../../../support/wait.ts';

test('prints one error line and exits 1 if the disk is full', async () => {
  const host = await answerTcp('now\r\n');
  const full = openSync('/dev/full', 'w');
  const tool = spawn(process.execPath, [join(root, 'dist/smallserv.js'), 'daytime', host], {
    stdio: ['ignore', full, 'pipe'],
  });
  closeSync(full);
  onTestFinished(() => void tool.kill('SIGKILL'));
  let stderr = '';
  tool.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  await within(once(tool, 'close'), 'the end of smallserv');
  expect(stderr).toMatch(/^smallserv: cannot write the output: .*no space left on device.*\n$/);
  expect(tool.exitCode).toBe(1);
});
