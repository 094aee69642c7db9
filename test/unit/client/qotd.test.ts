import type { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { qotd } from '../../../src/client/qotd.ts';
import { AskedClock } from '../../support/asked-clock.ts';
import { serve } from '../../support/daemon.ts';
import { answerTcp, serveTcp, answerUdp } from '../../support/fake-servers.ts';
import { until } from '../../support/wait.ts';

test.each([false, true])('returns a quotation from smallservd (udp: %s)', async (udp) => {
  const daemon = await serve({ qotd: { listen: ['tcp://127.0.0.1:0', 'udp://127.0.0.1:0'] } });
  const { host, port } = daemon.target('qotd', udp ? 'udp' : 'tcp');
  const { text, end, peer } = await qotd(`${host}:${port}`, { udp });
  expect(text).toMatch(/^[ -~\r\n]+[ -~]$/);
  expect(end).toBe('finished');
  expect(peer).toEqual({ address: host, port });
});

test('accepts long text, several lines and any characters', async () => {
  const text = `${'long '.repeat(1000)}\r\nsecond \u00e9\r\n`;
  const host = await answerTcp(Buffer.from(text, 'latin1'));
  expect(await qotd(host)).toMatchObject({ text: text.slice(0, -2), end: 'finished' });
});

test('rejects an empty answer', async () => {
  const rejected = { code: 'ANSWER_WRONG', message: expect.stringMatching(/sent no quotation$/) };
  await expect(qotd(await answerTcp(''))).rejects.toMatchObject(rejected);
  await expect(qotd(await answerUdp(() => ['']), { udp: true })).rejects.toMatchObject(rejected);
});

test('truncates endless text at 64 KiB', async () => {
  const host = await serveTcp((socket) => void socket.write(Buffer.alloc(1024 * 1024, 'x')));
  const { text, end } = await qotd(host);
  expect(text).toBe('x'.repeat(64 * 1024));
  expect(end).toBe('limit');
});

test('reports a server that never closes the connection', async () => {
  const host = await serveTcp((socket) => void socket.write('half a'));
  expect(await qotd(host, { timeoutMs: 100 })).toMatchObject({ text: 'half a', end: 'timeout' });
});

test('accepts a reset after the text', async () => {
  const clock = new AskedClock();
  let client: Socket | undefined;
  const host = await serveTcp((socket) => {
    client = socket;
    socket.write('all of it');
  });
  const asked = qotd(host, { clock });
  // When it begins, resolves, connects, has connected, waits, and when the text has come: a reset that comes together
  // with bytes is read as FIN.
  await until(() => clock.asked === 6, 'the text');
  client?.resetAndDestroy();
  expect(await asked).toMatchObject({ text: 'all of it', end: 'reset' });
});
