import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { DaemonProcess, root } from '../support/daemon-process.ts';
import { within } from '../support/wait.ts';

interface End {
  readonly code: number | NodeJS.Signals | null;
  readonly stderr: string;
}

/** Of the tools that send many requests. `ping` needs root. */
async function commandLines(): Promise<readonly (readonly string[])[]> {
  const set = [
    'workers=1',
    'services.echo.listen=tcp://127.0.0.1:0, udp://127.0.0.1:0',
    'services.stamp.listen=udp://127.0.0.1:0',
  ];
  const daemon = DaemonProcess.spawn(set.flatMap((each) => ['--set', each]));
  await daemon.line('ready');
  const [tcp, udp, stamp] = [daemon.target('echo', 'tcp'), daemon.target('echo', 'udp'), daemon.target('stamp', 'udp')];
  const [echoed, echoing] = [tcp, udp].map(({ host, port }) => `${host}:${port}`);
  return [
    ['echo', '-u', '-c', '1000', '-i', '1ms', echoing ?? ''],
    ['echo', '-c', '1000', '-i', '1ms', echoed ?? '', echoed ?? ''],
    ['ping', '-c', '1000', '-i', '1ms', '127.0.0.1'],
    ['probe', '-c', '1000', '-i', '1ms', echoed ?? '', `${echoing}/udp`],
    ['probe', '-c', '1000', '-i', '1ms', '--json', echoed ?? ''],
    ['stamp', '-c', '1000', '-i', '1ms', `${stamp.host}:${stamp.port}`],
    ['stamp', '-c', '1000', '-i', '1ms', '--flows', '4', '--json', `${stamp.host}:${stamp.port}`],
    ['load', '--duration', '300ms', echoed ?? ''],
    ['mtu', echoing ?? ''],
  ];
}

function start(args: readonly string[], stdout: number | 'pipe'): ChildProcess {
  const child = spawn(process.execPath, [join(root, 'dist/smallserv.js'), ...args], {
    env: { ...process.env, NO_COLOR: '1' },
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
  return { code: child.exitCode ?? child.signalCode, stderr };
}

it('exit with 1 if the disk is full', { timeout: 120_000 }, async () => {
  const full = openSync('/dev/full', 'w');
  onTestFinished(() => closeSync(full));
  await Promise.all(
    (await commandLines()).map(async (args) => {
      const { code, stderr } = await endOf(start(args, full));
      expect({ args, code, stderr }).toEqual({
        args,
        code: 1,
        stderr: 'smallserv: cannot write the output: no space left on device\n',
      });
    }),
  );
});

it('end silently when their reader goes', { timeout: 120_000 }, async () => {
  await Promise.all(
    (await commandLines()).map(async (args) => {
      const child = start(args, 'pipe');
      child.stdout?.once('data', () => child.stdout?.destroy());
      expect({ args, ...(await endOf(child)) }).toEqual({ args, code: 0, stderr: '' });
    }),
  );
});

it('end at once with Ctrl-C, at any moment, without a stack', { timeout: 240_000 }, async () => {
  for (const args of await commandLines())
    await Promise.all(
      [10, 50, 100, 150, 200, 300, 500].map(async (ms) => {
        const child = start(args, 'pipe');
        child.stdout?.resume();
        // Some are done before the last moments.
        const end = endOf(child);
        await pause(ms);
        child.kill('SIGINT');
        const { code, stderr } = await end;
        // As long as Node loads modules, the signal ends it.
        expect([0, 1, 130, 'SIGINT'], `${args.join(' ')} after ${ms} ms: ${stderr}`).toContain(code);
        expect(stderr).not.toMatch(/^ +at /m);
      }),
    );
});
