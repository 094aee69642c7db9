import { spawn } from 'node:child_process';
import { get } from 'node:http';
import { text } from 'node:stream/consumers';
import { expect, it, onTestFinished } from 'vitest';
import { childArguments } from '../src/child-arguments.ts';
import { until } from './support/wait.ts';

it('lets nobody into a child before its own code runs', async () => {
  const program = 'console.log(); setInterval(() => {}, 1000);';
  const child = spawn(process.execPath, [...childArguments, '--inspect-port=0', '--eval', program]);
  onTestFinished(() => void child.kill('SIGKILL'));
  let said = '';
  let isUp = false;
  child.stderr.setEncoding('utf8').on('data', (part: string) => {
    said += part;
  });
  child.stdout.on('data', () => {
    isUp = true;
  });
  await until(() => isUp, 'a child');
  child.kill('SIGUSR1');
  const opened = (): RegExpExecArray | null => /ws:\/\/127\.0\.0\.1:(\d+)\/([\w-]+)/.exec(said);
  await until(() => child.signalCode !== null || opened() !== null, 'the debugger, or the end of the child');
  const [, port, id] = opened() ?? [];
  // Where Node knows --disable-sigusr1 the signal has ended the child.
  if (port === undefined || id === undefined) return expect(child.signalCode).toBe('SIGUSR1');
  const answer = await new Promise<string>((resolve, reject) => {
    get({ host: '127.0.0.1', port, path: '/json/list' }, (response) => resolve(text(response))).on('error', reject);
  });
  expect(answer).not.toContain(id);
});
