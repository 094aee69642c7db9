import { spawn } from 'node:child_process';
import { get } from 'node:http';
import { text } from 'node:stream/consumers';
import { expect, it, onTestFinished } from 'vitest';
import { childArguments, removeNodeVariables } from '../../../src/server/child-arguments.ts';
import { until } from '../../support/wait.ts';

/** Says `up`, and then what it hears. */
const program = `console.log('up'); process.stdin.pipe(process.stdout);`;

it('keeps SIGUSR1 from exposing a debugger before the child code runs', async () => {
  const child = spawn(process.execPath, [...childArguments, '--inspect-port=0', '--eval', program]);
  onTestFinished(() => void child.kill('SIGKILL'));
  child.stdin.on('error', () => {});
  let complaints = '';
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (part: string) => {
    complaints += part;
  });
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    said += part;
  });
  await until(() => said === 'up\n', 'a child');
  child.kill('SIGUSR1');
  if (childArguments.includes('--disable-sigusr1')) {
    child.stdin.write('still here\n');
    await until(() => said.endsWith('still here\n') || child.signalCode !== null, 'the child, or its end');
    expect(complaints).toBe('');
    return;
  }
  const opened = (): RegExpExecArray | null => /ws:\/\/127\.0\.0\.1:(\d+)\/([\w-]+)/.exec(complaints);
  await until(() => opened() !== null, 'the debugger');
  const [, port, id = ''] = opened() ?? [];
  const answer = await new Promise<string>((resolve, reject) => {
    get({ host: '127.0.0.1', port, path: '/json/list' }, (response) => resolve(text(response))).on('error', reject);
  });
  expect(id).not.toBe('');
  expect(answer).not.toContain(id);
});

it('removes variables that Node reads from the child environment', () => {
  const environment = { NODE_OPTIONS: '--require=/tmp/x.js', NODE_PATH: '/tmp', PATH: '/bin', MY_NODE_: '1' };
  removeNodeVariables(environment);
  expect(environment).toEqual({ PATH: '/bin', MY_NODE_: '1' });
});
