import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { serve, type TestDaemon } from '../../../support/daemon.ts';
import { temporaryDirectory } from '../../../support/daemon-process.ts';
import { serveTcp, answerUdp } from '../../../support/fake-servers.ts';
import { freePort, takeUdpPort } from '../../../support/ports.ts';
import { runTool, ToolProcess } from '../../../support/tool-process.ts';
import { until } from '../../../support/wait.ts';

const rate = String.raw`in \d+\.\d{3} s, \d+ bytes/s \(\d+\.\d\d MiB/s\)`;

async function smallservd(): Promise<{ daemon: TestDaemon; tcp: string; udp: string }> {
  const daemon = await serve({ discard: { listen: ['tcp://127.0.0.1:0', 'udp://127.0.0.1:0'] } });
  const { port: tcp } = daemon.target('discard', 'tcp');
  const { port: udp } = daemon.target('discard', 'udp');
  return { daemon, tcp: `127.0.0.1:${tcp}`, udp: `127.0.0.1:${udp}` };
}

describe('smallserv discard', () => {
  test('sends a pattern and waits until the server has received it all', async () => {
    const { daemon, tcp } = await smallservd();
    const { code, stdout, stderr } = await runTool(['discard', tcp, '--bytes', '5MiB']);
    expect(stdout).toMatch(new RegExp(`^${tcp}: 5242880 bytes ${rate}\n$`));
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect((await daemon.log.closing())['bytesIn']).toBe(5_242_880);
  });

  test('sends a file', async () => {
    const { daemon, tcp } = await smallservd();
    const file = join(temporaryDirectory(), 'notes');
    writeFileSync(file, 'x'.repeat(100_000));
    const { code, stdout } = await runTool(['discard', tcp, file]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/: 100000 bytes /);
    expect((await daemon.log.closing())['bytesIn']).toBe(100_000);
  });

  test('sends standard input', async () => {
    const { daemon, tcp } = await smallservd();
    const { code, stdout } = await runTool(['discard', tcp], { input: 'x'.repeat(100_000) });
    expect(code).toBe(0);
    expect(stdout).toMatch(/: 100000 bytes /);
    expect((await daemon.log.closing())['bytesIn']).toBe(100_000);
  });

  test('sends datagrams without claiming delivery', async () => {
    const { udp } = await smallservd();
    const { code, stdout, stderr } = await runTool(['discard', '-u', udp, '--bytes', '1000', '--size', '300']);
    expect(stdout).toMatch(
      new RegExp(`^${udp}: 4 datagrams, 1000 bytes ${rate}\nno errors reported; UDP does not confirm delivery\n$`),
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const silent = `127.0.0.1:${await takeUdpPort()}`;
    expect(await runTool(['discard', '-u', silent], { input: 'x' })).toMatchObject({ code: 0, stderr: '' });
  });

  test('prints JSON', async () => {
    const { tcp, udp } = await smallservd();
    const stream = JSON.parse((await runTool(['discard', '--json', tcp, '--bytes', '10'])).stdout) as object;
    expect(stream).toMatchObject({ bytes: 10, end: 'discarded', elapsedMs: expect.any(Number) });
    const datagrams = JSON.parse((await runTool(['discard', '--json', '-u', udp, '--bytes', '10'])).stdout) as object;
    expect(datagrams).toMatchObject({ bytes: 10, datagrams: 1, end: 'sent' });
  });
});

describe('prints one error line and exits nonzero on', () => {
  test('a server that sends something back', async () => {
    const tcp = await serveTcp((socket) => void socket.pipe(socket));
    const udp = await answerUdp((request) => [request]);
    const stderr = 'smallserv: the server sent data back: it is not a discard service\n';
    expect(await runTool(['discard', tcp, '--bytes', '10'])).toMatchObject({ code: 1, stderr });
    expect(await runTool(['discard', '-u', udp, '--bytes', '10'])).toMatchObject({ code: 1, stderr });
  });

  test('a server that closes or resets the connection', async () => {
    const finishes = await serveTcp((socket) => void socket.resume().end());
    const early = await runTool(['discard', finishes, '--bytes', '1TiB']);
    expect(early.code).toBe(1);
    expect(early.stderr).toBe('smallserv: the server closed before everything was sent\n');
    const resets = await serveTcp((socket) => void socket.once('data', () => socket.resetAndDestroy()));
    const reset = await runTool(['discard', resets, '--bytes', '1TiB']);
    expect(reset.code).toBe(1);
    expect(reset.stderr).toBe('smallserv: the server reset the connection\n');
  });

  test('a server that reads nothing', async () => {
    const host = await serveTcp((socket) => void socket.pause());
    const { code, stdout, stderr } = await runTool(['discard', '--timeout', '300ms', host, '--bytes', '1TiB']);
    expect(code).toBe(1);
    expect(stdout).toMatch(new RegExp(`: \\d+ bytes ${rate}\n$`));
    expect(stderr).toBe('smallserv: the server did not finish reading and close in time\n');
  });

  test('a closed port', async () => {
    const host = `127.0.0.1:${await freePort()}`;
    expect(await runTool(['discard', host, '--bytes', '1'])).toEqual({
      code: 2,
      stdout: '',
      stderr: `smallserv: cannot connect to ${host}: connection refused\n`,
    });
    expect(await runTool(['discard', '-u', host, '--bytes', '1MiB'])).toEqual({
      code: 2,
      stdout: '',
      stderr: `smallserv: cannot reach ${host} over UDP: refused by 127.0.0.1 (port unreachable)\n`,
    });
  });

  test('a missing file and a directory', async () => {
    const directory = temporaryDirectory();
    const { tcp } = await smallservd();
    expect(await runTool(['discard', tcp, join(directory, 'gone')])).toEqual({
      code: 64,
      stdout: '',
      stderr: `smallserv: cannot read ${directory}/gone: no such file\n`,
    });
    expect(await runTool(['discard', tcp, directory])).toEqual({
      code: 64,
      stdout: '',
      stderr: `smallserv: cannot read ${directory}: it is a directory\n`,
    });
  });

  test('a file combined with --bytes', async () => {
    expect(await runTool(['discard', '127.0.0.1:1', 'notes', '--bytes', '1'])).toEqual({
      code: 64,
      stdout: '',
      stderr: 'smallserv: discard sends --bytes or a file, not both\n',
    });
  });
});

describe('Ctrl-C prints the totals so far', () => {
  test.each([
    ['a pattern', ['--bytes', '1TiB']],
    ['an idle pipe', []],
  ])('for %s', async (_source, options) => {
    let taken = 0;
    const host = await serveTcp((socket) => {
      socket.on('data', (chunk) => {
        taken += chunk.length;
      });
    });
    const tool = new ToolProcess(['discard', host, ...options], 'pipe');
    tool.type('some');
    await until(() => taken > 0, 'the first bytes');
    tool.signal('SIGINT');
    const { code, stdout, stderr } = await tool.ended();
    expect(stdout).toMatch(new RegExp(`^${host}: \\d+ bytes ${rate}\n$`));
    expect({ code, stderr }).toEqual({ code: 130, stderr: 'smallserv: interrupted\n' });
  });

  test('for datagrams', async () => {
    let taken = 0;
    const host = await answerUdp((_request, count) => {
      taken = count;
      return [];
    });
    const tool = new ToolProcess(['discard', '-u', host, '--bytes', '1TiB']);
    await until(() => taken > 0, 'the first datagram');
    tool.signal('SIGINT');
    const { code, stdout } = await tool.ended();
    expect(code).toBe(130);
    expect(stdout).toMatch(new RegExp(`^${host}: \\d+ datagrams?, \\d+ bytes ${rate}\n$`));
  });
});
