import type { Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import type { ConformResult } from '../../../../src/client/conform.ts';
import { judge } from '../../../../src/client/tool/conform.ts';
import { DaemonProcess, inOneProcess } from '../../../support/daemon-process.ts';
import { hasIpv6 } from '../../../support/daemon.ts';
import { answerTcp, serveTcp } from '../../../support/fake-servers.ts';
import { freePort } from '../../../support/ports.ts';
import { runTool, type ToolEnd, ToolProcess } from '../../../support/tool-process.ts';
import { until } from '../../../support/wait.ts';

/** The port of a fake server. */
function portIn(target: string): string {
  return target.split(':').at(-1) ?? '';
}

/** Checks a time server over TCP. */
async function checkTime(server: string, ...options: readonly string[]): Promise<ToolEnd> {
  const port = `time=${portIn(server)}`;
  return runTool(['conform', '127.0.0.1', '--tcp-only', '--services', 'time', '--port', port, ...options]);
}

const eightBytes = Buffer.from([0xee, 0xad, 0x4b, 0x60, 0, 0, 0, 0]);

describe('smallserv conform', () => {
  // All services take their time: that is for the tests of the library, and of the system.
  test.each(hasIpv6 ? ['-4', '-6'] : ['-4'])('finds nothing wrong with the built smallservd (%s)', async (family) => {
    const ports = new Map<string, number>();
    for (const service of ['discard', 'daytime', 'time']) ports.set(service, await freePort());
    const host = family === '-6' ? '[::1]' : '127.0.0.1';
    const services = [...ports].map(([service, port]) => [
      service,
      { listen: [`tcp://${host}:${port}`, `udp://${host}:${port}`] },
    ]);
    await DaemonProcess.serve({ ...inOneProcess, services: Object.fromEntries(services) });
    const portOptions = [...ports].flatMap(([service, port]) => ['--port', `${service}=${port}`]);
    const args = ['conform', host, family, '--services', [...ports.keys()].join(','), ...portOptions];
    const { code, stdout, stderr } = await runTool(args);
    expect(stderr).toBe('');
    expect(stdout).toMatch(/\n\d+ passed, 0 failed, \d+ skipped, 0 unreachable\n$/);
    expect(stdout).toContain(
      'time over UDP\npassed       four-bytes             RFC 868  it sends exactly four bytes\n',
    );
    // Low ports may be somebody else's.
    expect(stdout).not.toMatch(/^(?:FAILED|unreachable)|^skipped +(?!source-port| )/m);
    expect(code).toBe(0);
  });

  test('shows the bytes of a failed check', async () => {
    const time = await answerTcp(eightBytes);
    const { code, stdout, stderr } = await checkTime(time);
    expect(stdout).toContain(
      'FAILED       four-bytes             RFC 868  it sends exactly four bytes\n' +
        '             expected 4 bytes; saw ee ad 4b 60 00 00 00 00 (8 bytes)\n',
    );
    expect(stderr).toBe('');
    expect(code).toBe(1);
  });

  test('prints the full result as JSON', async () => {
    const time = await answerTcp(eightBytes);
    const { code, stdout } = await checkTime(time, '--json');
    const result = JSON.parse(stdout) as ConformResult;
    expect(result).toMatchObject({ host: '127.0.0.1', counts: { unreachable: 0, skipped: 0 } });
    expect(result.checks[0]).toEqual({
      id: 'time.tcp.four-bytes',
      service: 'time',
      transport: 'tcp',
      basis: 'RFC 868',
      fact: 'it sends exactly four bytes',
      outcome: 'failed',
      detail: 'expected 4 bytes; saw ee ad 4b 60 00 00 00 00 (8 bytes)',
      bytes: eightBytes.toString('base64'),
    });
    expect(code).toBe(1);
  });

  test('reports a broken check as a fault of smallserv', async () => {
    const said: string[] = [];
    const counts = { passed: 86, failed: 0, unreachable: 0, skipped: 0, broken: 1 };
    const checks = Array.from({ length: 87 }) as ConformResult['checks'];
    const terminal = { complain: (message: string) => void said.push(message) };
    expect(judge({ host: 'echo.example', checks, counts }, terminal)).toBe(1);
    expect(said).toEqual(['checks broken by an error in smallserv: 1; they say nothing about echo.example']);
  });

  test('reports missing services and checks the others', async () => {
    const time = await answerTcp(Buffer.alloc(4));
    const closed = await freePort();
    const { code, stdout } = await checkTime(time, '--services', 'systat,time', '--port', `systat=${closed}`);
    const reason = `cannot connect to 127.0.0.1:${closed}: connection refused`;
    expect(stdout).toContain(`systat over TCP\nunreachable  ${reason}\n\ntime over TCP\npassed `);
    expect(code).toBe(1);
  });

  test('exits 2 if no service is reachable', async () => {
    const closed = await freePort();
    const { code, stdout, stderr } = await runTool([
      'conform',
      '127.0.0.1',
      '--services',
      'time',
      '--port',
      `time=${closed}`,
    ]);
    expect(stdout).toBe('');
    expect(stderr).toBe(
      `smallserv: no service on 127.0.0.1 could be reached: cannot connect to 127.0.0.1:${closed}: connection refused; 1 more like it\n`,
    );
    expect(code).toBe(2);
  });

  test('exits 2 if the host has no address', async () => {
    const { code, stdout, stderr } = await runTool(['conform', 'no-such-host.invalid']);
    expect([code, stdout], stderr).toEqual([2, '']);
    expect(stderr).toMatch(/^smallserv: (?:cannot resolve )?no-such-host\.invalid\b.*\n$/);
  });

  test('exits 130 on Ctrl-C', async () => {
    const clients: Socket[] = [];
    const silent = await serveTcp((socket) => void clients.push(socket.resume()));
    const port = `time=${portIn(silent)}`;
    const tool = new ToolProcess(['conform', '127.0.0.1', '--services', 'time', '--tcp-only', '--port', port]);
    // The first one only looks whether somebody is there.
    await until(() => clients.length === 2, 'the connection of a check');
    tool.signal('SIGINT');
    const { code } = await tool.ended();
    expect(code).toBe(130);
    expect([tool.stdout, tool.stderr]).toEqual(['', 'smallserv: interrupted\n']);
  });

  test.each([
    [['conform'], "missing required argument 'host'"],
    [['conform', 'localhost:7'], '"localhost:7" is not a host'],
    [['conform', 'localhost', '--services', 'telnet'], '"telnet" is not a service to check'],
    [['conform', 'localhost', '--port', 'echo'], 'is not valid for --port: expected a service and a port'],
    [['conform', 'localhost', '--port', 'echo=70000'], 'is not valid for --port: expected a service and a port'],
    [
      ['conform', 'localhost', '--base-port', 'x'],
      '"x" is not valid for --base-port: expected a whole number from 0 to 65535\n',
    ],
    [['conform', 'localhost', '--tcp-only', '--udp-only'], '--tcp-only cannot be used with --udp-only\n'],
  ])('rejects the command line %j', async (args, message) => {
    const { code, stdout, stderr } = await runTool(args);
    expect([code, stdout]).toEqual([64, '']);
    expect(stderr).toContain(message);
    expect(stderr).not.toMatch(/\n +at /);
  });

  test('shows examples in the help', async () => {
    const { code, stdout } = await runTool(['conform', '--help']);
    expect(code).toBe(0);
    expect(stdout.replaceAll(/ \\\n +/g, ' ')).toContain(
      'smallserv conform localhost --base-port 1200 --port daytime=1200 --port echo=1201',
    );
  });
});
