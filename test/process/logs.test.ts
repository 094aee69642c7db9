import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  DaemonProcess,
  fixtures,
  inOneProcess,
  runToEnd,
  temporaryDirectory,
  writeConfig,
} from '../support/daemon-process.ts';
import { TcpClient } from '../support/tcp.ts';
import { UdpClient } from '../support/udp.ts';
import { until } from '../support/wait.ts';

const echo = { listen: ['tcp://127.0.0.1:0'] };
const linesAClient = 3;
/** Several, which together stay within the lines that a service may write in a second. */
const chatties = Array.from({ length: 10 }, (_, index) => `chatty-${index}`);
const chatty = Object.fromEntries(
  chatties.map((name) => [
    name,
    {
      module: join(fixtures, 'chatty.js'),
      listen: ['tcp://127.0.0.1:0'],
      options: { lines: linesAClient, bytes: 100_000 },
    },
  ]),
);
/** 24 MB of lines: more than all pipes and all waiting lines of supervisor and workers together. */
const clients = 80;

describe('a stalled reader of standard output', () => {
  it.each([{ workers: 2 }, inOneProcess])('loses log lines but does not block clients: %o', async (workers) => {
    const daemon = await DaemonProcess.serve({ ...workers, services: { ...chatty, echo } });
    daemon.stall();
    for (let each = 0; each < clients; each += 1) await chat(daemon, each);
    await echoes(daemon);

    daemon.resume();
    const lost = (): number =>
      daemon.lines
        .filter(({ msg }) => msg.startsWith('log lines lost'))
        .reduce((sum, { lines }) => sum + Number(lines), 0);
    const all = clients * linesAClient;
    await daemon.waitFor(() => daemon.linesWith('chatter').length + lost() >= all, `${all} lines, or their loss`);
    expect(lost()).toBeGreaterThan(0);
    expect(daemon.linesWith('chatter').length).toBeGreaterThan(0);
    // The closing line of each client may be among the lost ones; no line is counted as lost that came.
    expect(daemon.linesWith('chatter').length + lost()).toBeLessThanOrEqual(all + clients + 1);
    expect(await daemon.stop()).toBe(0);
  });

  it('does not keep the daemon from stopping', async () => {
    const daemon = await DaemonProcess.serve({ workers: 2, services: { ...chatty, echo } });
    daemon.stall();
    for (let each = 0; each < clients; each += 1) await chat(daemon, each);
    daemon.signal('SIGTERM');
    expect(await daemon.ended()).toBe(0);
  });

  it('does not keep a daemon that fails to start from exiting', async () => {
    const first = await DaemonProcess.serve({ workers: 2, services: { echo } });
    const { port } = first.target('echo', 'tcp');
    const second = DaemonProcess.spawn([
      '--config',
      writeConfig({ services: { echo: { listen: [`tcp://127.0.0.1:${port}`] } } }),
    ]);
    second.stall();
    expect(await second.ended()).toBe(1);
  });
});

describe('a closed standard output', () => {
  it('interrupts neither the services nor the shutdown', async () => {
    const daemon = await DaemonProcess.serve({ workers: 2, services: { echo } });
    daemon.hangUp();
    await echoes(daemon);
    await echoes(daemon);
    daemon.signal('SIGTERM');
    expect(await daemon.ended()).toBe(0);
  });
});

describe('a flood of datagrams to a service that logs each of them', () => {
  it.each([{ workers: 2 }, inOneProcess])(
    'logs at most 100 lines a second and counts the suppressed ones: %o',
    async (workers) => {
      const listen = ['udp://127.0.0.1:0'];
      const module = join(fixtures, 'chatty.js');
      const daemon = await DaemonProcess.serve({ ...workers, services: { logs: { module, listen } } });
      const target = daemon.target('logs', 'udp');
      const client = await UdpClient.open('127.0.0.1');
      const beganMs = Date.now();
      // No more at a time than fit into the buffers: each is logged, or counted.
      for (let wave = 1; wave <= 100; wave += 1) {
        for (let each = 0; each < 100; each += 1) client.send('x', target);
        await client.take(wave * 100);
      }
      expect(await daemon.stop()).toBe(0);
      const seconds = Math.ceil((Date.now() - beganMs) / 1000);
      const written = daemon.linesWith('datagram').length;
      expect(written).toBeGreaterThan(0);
      expect(written).toBeLessThanOrEqual(seconds * 100);
      const leftOut = daemon.linesWith('log lines suppressed').map(({ linesNotLogged }) => Number(linesNotLogged));
      expect(written + leftOut.reduce((sum, lines) => sum + lines, 0)).toBe(10_000);
    },
  );
});

describe('log.file', () => {
  it('receives every line instead of standard output', async () => {
    const file = join(temporaryDirectory(0o755), 'smallservd.log');
    const { stdout, stop } = await serveIntoFile(file);
    expect(await stop()).toBe(0);
    expect(stdout()).toBe('');
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    const messages = lines.map((line) => (JSON.parse(line) as { msg: string }).msg);
    expect(messages.slice(-1)).toEqual(['stopped']);
    expect(messages).toContain('ready');
  });

  it('is appended to', async () => {
    const file = join(temporaryDirectory(0o755), 'smallservd.log');
    for (let run = 0; run < 2; run += 1) await (await serveIntoFile(file, run + 1)).stop();
    expect(readFileSync(file, 'utf8').match(/"msg":"starting"/g)).toHaveLength(2);
  });

  it('is named in the error if it cannot be opened', async () => {
    const directory = temporaryDirectory(0o755);
    mkdirSync(join(directory, 'is-a-directory'));
    for (const [name, message] of [
      ['is-a-directory', 'it is a directory'],
      ['missing/smallservd.log', `there is no directory ${directory}/missing`],
    ] as const) {
      const file = join(directory, name);
      const { code, stdout, stderr } = await runToEnd(['--config', writeConfig({ log: { file }, services: { echo } })]);
      expect(stderr).toBe(`smallservd: log.file ${file}: ${message}\n`);
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    }
  });
});

describe('client data', () => {
  it('never adds control characters or line breaks to the log', async () => {
    const tells = { module: join(fixtures, 'tells.js'), listen: ['tcp://127.0.0.1:0'] };
    const daemon = await DaemonProcess.serve({ workers: 2, services: { tells } });
    const attack =
      '\u001b]0;owned\u0007\u001b[2J\u009b31m\u007f\u0000\r\n{"level":"info","time":"now","msg":"forged"}\n\u2028';
    const client = await TcpClient.connect(daemon.target('tells', 'tcp'));
    client.write(attack);
    await client.takeAll();
    await daemon.line('closed', { reason: 'service-error' });
    await daemon.waitForLine(({ output }) => String(output).includes('forged'), 'of what the service printed');
    const [field] = daemon.linesWith('a field');
    expect(field?.['text']).toBe(attack);
    expect(daemon.linesWith(attack)).toHaveLength(1);
    expect(daemon.lines.filter(({ err }) => err !== undefined)).toHaveLength(1);
    expect(daemon.linesWith('forged')).toEqual([]);
    expect(await daemon.stop()).toBe(0);
    // oxlint-disable-next-line no-control-regex
    expect(daemon.stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029]/);
    for (const line of daemon.stdout.trimEnd().split('\n')) expect(line).toMatch(/^\{"level":"\w+","time":/);
  });
});

async function chat(daemon: DaemonProcess, index: number): Promise<void> {
  const client = await TcpClient.connect(daemon.target(chatties[index % chatties.length] ?? '', 'tcp'));
  client.finish();
  await client.takeAll();
}

async function echoes(daemon: DaemonProcess): Promise<void> {
  const client = await TcpClient.connect(daemon.target('echo', 'tcp'));
  client.finish('served');
  expect((await client.takeAll()).toString()).toBe('served');
}

/** Serves until `stop`; ready when the file says so for the `run`th time. */
async function serveIntoFile(
  file: string,
  run = 1,
): Promise<{ stdout: () => string; stop: () => Promise<number | NodeJS.Signals | null> }> {
  const daemon = DaemonProcess.spawn(['--config', writeConfig({ log: { file }, services: { echo } })]);
  const readies = (): number => (existsSync(file) ? readFileSync(file, 'utf8').split('"msg":"ready"').length - 1 : 0);
  await until(() => readies() === run, 'the log file to say ready');
  return { stdout: () => daemon.stdout, stop: () => daemon.stop() };
}
