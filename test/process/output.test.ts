import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { DaemonProcess, root, writeConfig } from '../support/daemon-process.ts';
import { answerTcp, fakeTcpServer } from '../support/fake-servers.ts';
import { freePort } from '../support/ports.ts';
import { within } from '../support/wait.ts';

interface End {
  readonly code: number | null;
  readonly stderr: string;
}

/** Every command that prints, of both programs. */
const printing: readonly (readonly string[])[] = [
  ['smallservd', '--help'],
  ['smallservd', '--version'],
  ['smallservd', 'help', 'check'],
  ['smallservd', 'services'],
  ['smallservd', 'check'],
  ['smallservd', 'check', '--json'],
  ['smallservd', 'check', '--brief'],
  ['smallservd', 'check', '--schema'],
  ['smallserv', '--help'],
  ['smallserv', '--version'],
  ['smallserv', 'help', 'echo'],
  ['smallserv', 'ip', '192.0.2.1'],
  ['smallserv', 'mask', '192.0.2.1/24', '--json'],
  ['smallserv', 'lookup-port', 'tcp', 'echo'],
];

function start([program = '', ...args]: readonly string[], stdout: number | 'pipe'): ChildProcess {
  const child = spawn(process.execPath, [join(root, `dist/${program}.js`), ...args], {
    stdio: ['ignore', stdout, 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

async function endOf(child: ChildProcess): Promise<End> {
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  await within(once(child, 'close'), 'the end of the program');
  return { code: child.exitCode, stderr };
}

async function runIntoFull(command: readonly string[]): Promise<End> {
  const full = openSync('/dev/full', 'w');
  try {
    return await endOf(start(command, full));
  } finally {
    closeSync(full);
  }
}

function failureOf(program: string): End {
  return { code: 1, stderr: `${program}: cannot write the output: no space left on device\n` };
}

test.each(printing.map((command) => ({ command })))(
  '$command exits with 1 if the disk is full',
  async ({ command }) => {
    expect(await runIntoFull(command)).toEqual(failureOf(command[0] ?? ''));
  },
);

test('a tool that has its answer exits with 1 if the disk is full', async () => {
  expect(await runIntoFull(['smallserv', 'daytime', await answerTcp('now\r\n')])).toEqual(failureOf('smallserv'));
});

async function echoServer(): Promise<string> {
  return (await fakeTcpServer((client) => client.on('data', (bytes) => client.write(bytes)))).name;
}

describe('a tool that goes on', () => {
  const runs = [
    ['echo', '-c', '0', '-i', '1ms'],
    ['echo', '-c', '0', '-i', '1ms', '--json'],
    ['echo', '-c', '0', '-i', '1ms', '--format', 'csv'],
    ['echo', '-c', '9999', '-i', '1ms', '--format', 'fping'],
  ].map((args) => ({ args }));

  test.each(runs)('exits with 1 if the disk is full: $args', async ({ args }) => {
    expect(await runIntoFull(['smallserv', ...args, await echoServer()])).toEqual(failureOf('smallserv'));
  });

  test.each(runs)('ends silently when its reader goes: $args', async ({ args }) => {
    const child = start(['smallserv', ...args, await echoServer()], 'pipe');
    if (child.stdout !== null) await within(once(child.stdout, 'data'), 'the first output');
    child.stdout?.destroy();
    expect(await endOf(child)).toEqual({ code: 0, stderr: '' });
  });
});

test.each([[['status']], [['status', '--json']], [['reload']]])('%s exits with 1 if the disk is full', async (args) => {
  const admin = `tcp://127.0.0.1:${await freePort()}`;
  const config = writeConfig({
    admin: { listen: admin },
    services: { echo: { listen: ['tcp://127.0.0.1:0'] } },
  });
  const daemon = DaemonProcess.spawn(['--config', config]);
  await daemon.line('ready');
  expect(await runIntoFull(['smallservd', ...args, '--admin', admin])).toEqual(failureOf('smallservd'));
});

const some = printing.filter(([, command]) => command === '--help' || command === 'services' || command === 'ip');

test.each(some.map((command) => ({ command })))('$command ends silently without a reader', async ({ command }) => {
  const child = start(command, 'pipe');
  child.stdout?.destroy();
  expect(await endOf(child)).toEqual({ code: 0, stderr: '' });
});
