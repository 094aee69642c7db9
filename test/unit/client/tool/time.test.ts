import { describe, expect, test } from 'vitest';
import { serve } from '../../../support/daemon.ts';
import { answerTcp, answerUdp, serveTcp } from '../../../support/fake-servers.ts';
import { freePort, takeUdpPort } from '../../../support/ports.ts';
import { runTool, ToolProcess } from '../../../support/tool-process.ts';
import { until } from '../../../support/wait.ts';

/** A word of the instant. */
function word(instant: string, length = 4): Buffer {
  const bytes = Buffer.alloc(length);
  bytes.writeUInt32BE((Date.parse(instant) / 1000 + 2_208_988_800) % 2 ** 32);
  return bytes;
}

describe('smallserv time', () => {
  test('prints the local time and the offset', async () => {
    const daemon = await serve({ time: { listen: ['tcp://127.0.0.1:0', 'udp://127.0.0.1:0'] } });
    const date =
      /^[SMTWF][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d UTC \d{4}\noffset [+-]?[01] s \(.*\), round trip \d+\.\d{3} ms\n$/;
    for (const [protocol, ...options] of [['tcp'], ['udp', '--udp']] as const) {
      const { port } = daemon.target('time', protocol);
      const { code, stdout, stderr } = await runTool(['time', ...options, `127.0.0.1:${port}`]);
      expect(stdout).toMatch(date);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    }
  });

  test('prints the time in the local time zone', async () => {
    const host = await answerTcp(word('2026-07-01T22:30:05Z'));
    const { stdout } = await runTool(['time', host], { env: { TZ: 'JST-9' } });
    expect(stdout.split('\n')[0]).toBe('Thu Jul  2 07:30:05 JST 2026');
  });

  test('prints JSON', async () => {
    const host = await answerTcp(word('2026-07-01T22:30:05Z'));
    const { code, stdout } = await runTool(['time', '--json', host]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      outcome: 'ok',
      target: host,
      addresses: [{ address: '127.0.0.1', outcome: 'ok', elapsedMs: expect.any(Number) as number }],
      elapsedMs: expect.any(Number) as number,
      time: '2026-07-01T22:30:05.000Z',
      offsetSeconds: expect.any(Number),
      rttMs: expect.any(Number),
      length: 4,
      peer: { address: '127.0.0.1', port: Number(host.split(':')[1]) },
    });
  });

  test('reports whether the server is ahead or behind', async () => {
    const aDayMs = 86_400_000;
    const ahead = await runTool(['time', await answerTcp(word(new Date(Date.now() + aDayMs).toISOString()))]);
    expect(ahead.stdout).toMatch(/^offset \+\d{5} s \(the server is ahead of this machine\)/m);
    const behind = await runTool(['time', await answerTcp(word(new Date(Date.now() - aDayMs).toISOString()))]);
    expect(behind.stdout).toMatch(/^offset -\d{5} s \(the server is behind this machine\)/m);
  });

  test('says over UDP that only a request with a byte was answered', async () => {
    const host = await answerUdp((request) => (request.length === 0 ? [] : [word('2026-07-01T22:30:05Z')]));
    const { code, stdout, stderr } = await runTool(['time', '--udp', host]);
    expect([code, stdout.split('\n')[0]]).toEqual([0, 'Wed Jul  1 22:30:05 UTC 2026']);
    expect(stderr).toBe(
      'smallserv: an empty datagram got no answer within a second, one of 1 byte did: ' +
        'the path may drop empty datagrams, or lose some\n',
    );
    const { stdout: json } = await runTool(['time', '--udp', '--json', host]);
    expect(JSON.parse(json)).toMatchObject({ requestBytes: 1 });
  });

  test('accepts the 8 bytes of GNU inetd with a warning', async () => {
    const host = await answerTcp(word('2026-07-01T22:30:05Z', 8));
    const { code, stdout, stderr } = await runTool(['time', host]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Wed Jul {2}1 22:30:05 UTC 2026\n/);
    expect(stderr).toMatch(/^smallserv: the answer has 8 bytes instead of 4: .*GNU inetd.*\n$/);
  });

  test.each([5, 7, 9, 40])('prints the time from %i bytes, then fails', async (length) => {
    const { code, stdout, stderr } = await runTool(['time', await answerTcp(word('2026-07-01T22:30:05Z', length))]);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^Wed Jul {2}1 22:30:05 UTC 2026\n/);
    expect(stderr).toMatch(new RegExp(`^smallserv: the answer has ${length} bytes instead of 4: .*\\n$`));
  });
});

describe('prints one error line and exits nonzero on', () => {
  test('a truncated answer', async () => {
    const host = await answerTcp('abc');
    expect(await runTool(['time', host])).toEqual({
      code: 1,
      stdout: '',
      stderr: `smallserv: ${host} sent a truncated time: 3 of 4 bytes\n`,
    });
  });

  test('an empty answer and a silent peer', async () => {
    const host = await answerTcp('');
    const { code, stdout, stderr } = await runTool(['time', host]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^smallserv: 127\.0\.0\.1:\d+ sent no time: its clock may not be set \(RFC 868\)\n$/);
    const silent = await runTool(['time', '-u', '--timeout', '100ms', `127.0.0.1:${await takeUdpPort()}`]);
    expect(silent).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^smallserv: .* is silent over UDP.*\n$/),
    });
  });

  test('a closed port', async () => {
    const host = `127.0.0.1:${await freePort()}`;
    expect(await runTool(['time', host])).toMatchObject({ code: 2, stdout: '' });
    expect(await runTool(['time', '-u', host])).toMatchObject({ code: 2, stdout: '' });
  });

  test('Ctrl-C', async () => {
    let isThere = false;
    const host = await serveTcp(() => {
      isThere = true;
    });
    const tool = new ToolProcess(['time', host]);
    await until(() => isThere, 'the client');
    tool.signal('SIGINT');
    expect(await tool.ended()).toEqual({ code: 130, stdout: '', stderr: 'smallserv: interrupted\n' });
  });
});
