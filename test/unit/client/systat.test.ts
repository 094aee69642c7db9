import { describe, expect, test } from 'vitest';
import { systat } from '../../../src/client/systat.ts';
import { serve } from '../../support/daemon.ts';
import { answerTcp, answerUdp } from '../../support/fake-servers.ts';
import { takeUdpPort } from '../../support/ports.ts';

const users = Array.from({ length: 40 }, (_user, index) => `user-${index} `.padEnd(40, 'x'));

describe('systat against smallservd', () => {
  test.each([false, true])('returns all lines, over UDP from several datagrams (udp: %s)', async (udp) => {
    const listen = ['tcp://127.0.0.1:0', 'udp://127.0.0.1:0'];
    const daemon = await serve({ systat: { listen, show: 'text', text: users.join('\n') } });
    const { host, port } = daemon.target('systat', udp ? 'udp' : 'tcp');
    const { text, peer } = await systat(`${host}:${port}`, { udp });
    expect(text.split('\r\n')).toEqual(users);
    expect(peer).toEqual({ address: host, port });
  });
});

describe('systat against other servers', () => {
  test('accepts an empty list', async () => {
    expect(await systat(await answerTcp(''))).toMatchObject({ text: '', end: 'finished' });
    expect(await systat(await answerUdp(() => ['']), { udp: true })).toMatchObject({ text: '' });
  });

  test('joins datagrams in order of arrival', async () => {
    const host = await answerUdp(() => ['one\r\n', 'two\r\n', 'two\r\n', 'three\r\n']);
    expect(await systat(host, { udp: true })).toMatchObject({ text: 'one\r\ntwo\r\ntwo\r\nthree' });
  });

  test('returns the list once if the server answers both requests', async () => {
    const host = await answerUdp((_request, count) =>
      count === 1 ? [] : ['one\r\n', 'two\r\n', 'one\r\n', 'two\r\n'],
    );
    expect(await systat(host, { udp: true })).toMatchObject({ text: 'one\r\ntwo' });
  });

  test('cuts off a server that never stops sending', async () => {
    const host = await answerUdp(() => Array.from({ length: 1200 }, () => 'x'));
    const { text } = await systat(host, { udp: true });
    expect(text).toBe('x'.repeat(1000));
    const large = await answerUdp(() => Array.from({ length: 9 }, () => 'x'.repeat(30_000)));
    expect((await systat(large, { udp: true })).text).toHaveLength(90_000);
  });

  test('fails if the server is silent', async () => {
    const host = `127.0.0.1:${await takeUdpPort()}`;
    await expect(systat(host, { udp: true, timeoutMs: 50 })).rejects.toMatchObject({ code: 'NO_ANSWER' });
  });
});
