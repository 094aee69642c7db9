import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DaemonProcess, root, runToEnd, temporaryDirectory, writeConfig } from '../support/daemon-process.ts';
import { freePort } from '../support/ports.ts';
import { TcpClient } from '../support/tcp.ts';
import { runTool } from '../support/tool-process.ts';
import { until } from '../support/wait.ts';

const services = { echo: { listen: ['tcp://127.0.0.1:0'] } };

async function echoes(target: { readonly host: string; readonly port: number }): Promise<void> {
  const client = await TcpClient.connect(target);
  client.finish('here');
  expect((await client.takeAll()).toString()).toBe('here');
}

describe('40 HUPs in a row', () => {
  it('reload the config, the last one after all of them, and disturb no client', async () => {
    const daemon = await DaemonProcess.serve({ workers: 2, services });
    const client = await TcpClient.connect(daemon.target('echo', 'tcp'));
    for (let turn = 0; turn < 40; turn += 1) daemon.signal('SIGHUP');
    await daemon.line('config reloaded');
    client.write('still ');
    await client.take(6);
    client.finish('here');
    expect((await client.takeAll()).toString()).toBe('still here');
    await echoes(daemon.target('echo', 'tcp'));
    expect(await daemon.stop()).toBe(0);
    // HUPs during a reload cause one more.
    expect(daemon.linesWith('config reloaded').length).toBeLessThan(40);
    const failed = daemon.linesWith('reload failed, keeping the running config');
    // The stop may come during the last one.
    expect(failed.filter(({ code }) => code !== 'RELOAD_CUT_SHORT')).toEqual([]);
  });
});

describe('closed standard descriptors', () => {
  it.each([2, 0])('are not taken for a socket or a file, with %d workers', async (workers) => {
    const port = await freePort();
    const file = join(temporaryDirectory(0o755), 'smallservd.log');
    const config = writeConfig({ workers, log: { file }, services: { echo: { listen: [`tcp://127.0.0.1:${port}`] } } });
    const script = 'exec "$@" <&- >&- 2>&-';
    const program = [process.execPath, join(root, 'dist/smallservd.js'), '--config', config];
    const daemon = DaemonProcess.spawn([], { command: ['sh', '-c', script, 'sh', ...program] }, false);
    await until(() => readText(file).includes('"msg":"ready"'), 'the log');
    await echoes({ host: '127.0.0.1', port });
    daemon.signal('SIGTERM');
    expect(await daemon.closed()).toBe(0);
    const lines = readText(file).trimEnd().split('\n');
    for (const line of lines) expect(() => JSON.parse(line) as unknown, line).not.toThrow();
    expect(lines.at(-1)).toContain('"msg":"stopped"');
  });
});

describe('an argument of 100,000 characters', () => {
  const long = 'x'.repeat(100_000);

  it.each([
    [[long], 64],
    [['check', '--config', long], 78],
    [['check', '--set', long], 78],
    [['check', '--set', `services.${long}=1`], 78],
    [['check', '--set', `services.echo.listen=${long}`], 78],
    [['status', '--admin', long], 64],
  ] as const)('is an error that can be read: smallservd %#', async (args, expected) => {
    const { code, stdout, stderr } = await runToEnd(args);
    expect([code, stdout]).toEqual([expected, '']);
    expect(stderr.length).toBeLessThan(2000);
  });

  it.each([
    [[long], 64],
    [['echo', long], 64],
    [['mask', long], 1],
    [['ip', long], 1],
    [['lookup-port', 'tcp', long], 2],
    [['resolve', `${long}.example`], 64],
    [['ping', '-c', long, 'localhost'], 64],
  ] as const)('is an error that can be read: smallserv %#', async (args, expected) => {
    const { code, stdout, stderr } = await runTool(args);
    expect([code, stdout]).toEqual([expected, '']);
    expect(stderr.length).toBeLessThan(2000);
  });
});

describe('a config in an odd encoding', () => {
  const text = 'services:\n  echo:\n    listen: "tcp://127.0.0.1:1"\n';
  it.each([
    ['a byte order mark', `\ufeff${text}`],
    ['CRLF', text.replaceAll('\n', '\r\n')],
  ])('is valid with %s', async (_what, config) => {
    expect(await check(Buffer.from(config))).toEqual({ code: 0, stderr: '' });
  });

  it.each([
    ['UTF-16 with a byte order mark', Buffer.from(`\ufeff${text}`, 'utf16le')],
    ['UTF-16 without one', Buffer.from(text, 'utf16le')],
    ['ISO 8859-1', Buffer.from(`# caf\u00e9\n${text}`, 'latin1')],
    ['a NUL character', Buffer.from(`${text}\0`)],
  ])('is an error in %s', async (_what, config) => {
    const stderr = 'smallservd: cannot read the config FILE: it is not UTF-8 text\n';
    expect(await check(config)).toEqual({ code: 78, stderr });
  });
});

async function check(bytes: Uint8Array): Promise<{ code: unknown; stderr: string }> {
  const file = join(temporaryDirectory(0o755), 'smallservd.yaml');
  writeFileSync(file, bytes, { mode: 0o644 });
  const { code, stderr } = await runToEnd(['check', '--config', file]);
  return { code, stderr: stderr.replace(file, 'FILE') };
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
