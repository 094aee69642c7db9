import type { Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { daytime } from '../../../src/client/daytime.ts';
import { AskedClock } from '../../support/asked-clock.ts';
import { serve } from '../../support/daemon.ts';
import { answerTcp, serveTcp, answerUdp } from '../../support/fake-servers.ts';
import { freePort, takeUdpPort } from '../../support/ports.ts';
import { until } from '../../support/wait.ts';

describe('daytime against smallservd', () => {
  test.each([false, true])('returns the line without its line ending (udp: %s)', async (udp) => {
    const daemon = await serve({ daytime: { listen: ['tcp://127.0.0.1:0', 'udp://127.0.0.1:0'], format: 'iso8601' } });
    const { host, port } = daemon.target('daytime', udp ? 'udp' : 'tcp');
    const { text, peer } = await daytime(`${host}:${port}`, { udp });
    expect(text).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d$/);
    expect(peer).toEqual({ address: host, port });
  });
});

describe('daytime against other servers', () => {
  test.each(['now', 'now\n', 'now\r\n'])('accepts %j', async (answer) => {
    expect(await daytime(await answerTcp(answer))).toMatchObject({ text: 'now' });
    expect(await daytime(await answerUdp(() => [answer]), { udp: true })).toMatchObject({ text: 'now' });
  });

  test('accepts a reset after the text', async () => {
    const clock = new AskedClock();
    let client: Socket | undefined;
    const host = await serveTcp((socket) => {
      client = socket;
      socket.write('now\r\n');
    });
    const asked = daytime(host, { clock });
    // When it begins, resolves, connects, has connected, waits, and when the text has come: a reset that comes together
    // with bytes is read as FIN.
    await until(() => clock.asked === 6, 'the text');
    client?.resetAndDestroy();
    expect(await asked).toMatchObject({ text: 'now' });
  });

  test('accepts a server that never closes the connection', async () => {
    const host = await serveTcp((socket) => void socket.write('now\r\n'));
    expect(await daytime(host, { timeoutMs: 100 })).toMatchObject({ text: 'now' });
  });

  test.each(['', '\r\n'])('rejects the empty answer %j', async (answer) => {
    const rejected = expect.objectContaining({
      code: 'ANSWER_WRONG',
      message: expect.stringMatching(/ sent no time$/),
    });
    await expect(daytime(await answerTcp(answer))).rejects.toEqual(rejected);
    await expect(daytime(await answerUdp(() => [answer]), { udp: true })).rejects.toEqual(rejected);
  });

  test.each(['one\r\ntwo\r\n', `${'x'.repeat(1001)}\n`, 'endless '.repeat(10_000)])('rejects %#', async (answer) => {
    await expect(daytime(await answerTcp(answer))).rejects.toMatchObject({
      code: 'ANSWER_WRONG',
      message: expect.stringMatching(/ sent more than one line of text: this may not be a daytime server$/),
    });
  });

  test('rejects a datagram of line ends without looking at all of them', async () => {
    const host = await answerUdp(() => [`x${'\n'.repeat(60_000)}y`]);
    await expect(daytime(host, { udp: true })).rejects.toMatchObject({ code: 'ANSWER_WRONG' });
  });

  test('accepts a line within line ends, as from NIST', async () => {
    const line = '59000 22-11-26 12:00:00 00 0 0 50.0 UTC(NIST) *';
    expect(await daytime(await answerTcp(`\n${line}\n`))).toMatchObject({ text: line });
  });

  test('fails on a reset before the text', async () => {
    const host = await serveTcp((socket) => void socket.resetAndDestroy());
    // It may come before the connection stands on our side.
    await expect(daytime(host)).rejects.toMatchObject({ code: expect.stringMatching(/^CONNECT(ION_LOST|_FAILED)$/) });
  });

  test('retries over UDP if the server is silent', async () => {
    const requests: number[] = [];
    const host = await answerUdp((request, count) => {
      requests.push(request.length);
      return count === 1 ? [] : ['now\r\n'];
    });
    expect(await daytime(host, { udp: true })).toMatchObject({ text: 'now' });
    expect(requests).toEqual([0, 1]);
  });
});

describe('daytime', () => {
  test('fails if nothing listens on the port', async () => {
    const host = `127.0.0.1:${await freePort()}`;
    await expect(daytime(host)).rejects.toMatchObject({ code: 'CONNECT_FAILED' });
    await expect(daytime(host, { udp: true })).rejects.toMatchObject({ code: 'CONNECT_FAILED' });
  });

  test('fails if the server never answers', async () => {
    const silent = await serveTcp(() => {});
    await expect(daytime(silent, { timeoutMs: 50 })).rejects.toMatchObject({ code: 'NO_ANSWER' });
    const udp = `127.0.0.1:${await takeUdpPort()}`;
    await expect(daytime(udp, { timeoutMs: 50, udp: true })).rejects.toMatchObject({ code: 'NO_ANSWER' });
  });

  test.each([false, true])('is interrupted by the signal (udp: %s)', async (udp) => {
    const host = udp ? `127.0.0.1:${await takeUdpPort()}` : await serveTcp(() => {});
    const abort = new AbortController();
    const asked = daytime(host, { udp, signal: abort.signal });
    abort.abort();
    await expect(asked).rejects.toMatchObject({ code: 'INTERRUPTED' });
  });

  test('fails if the host has no address of the requested family', async () => {
    await expect(daytime('127.0.0.1:13', { family: 'ipv6' })).rejects.toMatchObject({ code: 'HOST_NOT_FOUND' });
  });

  test('rejects a malformed host or port', async () => {
    await expect(daytime('a host')).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' });
    await expect(daytime('127.0.0.1:0')).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' });
  });

  test.each([0, -1, 0.5, 2 ** 31, Infinity, NaN])('rejects a timeout of %d ms', async (timeoutMs) => {
    const message = `the timeout in milliseconds is ${timeoutMs}: expected 1 to 2147483647`;
    for (const udp of [false, true])
      await expect(daytime('127.0.0.1:13', { udp, timeoutMs })).rejects.toMatchObject({
        code: 'ARGUMENT_INVALID',
        message,
      });
  });
});
