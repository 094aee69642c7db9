import { once } from 'node:events';
import type { Socket } from 'node:net';
import { createServer, type TlsOptions } from 'node:tls';
import { describe, expect, onTestFinished, test } from 'vitest';
import { answerText, type ProbeOptions, type ProbeSample, probe, probeSamples } from '../../../src/client/probe.ts';
import { Deferred } from '../../../src/deferred.ts';
import { answerTcp, answerUdp, fakeUdpServer, serveTcp } from '../../support/fake-servers.ts';
import { selfSigned } from '../../support/certificates.ts';
import { freePort } from '../../support/ports.ts';

/** The only sample of a run. */
async function sampleOf(target: string, options: ProbeOptions = {}): Promise<ProbeSample> {
  const { latest } = await probe(target, { timeoutMs: 20_000, ...options });
  expect(latest).toHaveLength(1);
  return latest[0] as ProbeSample;
}

function hold(socket: Socket): void {
  socket.resume();
}

async function serveTls(options: TlsOptions = selfSigned): Promise<string> {
  const server = createServer(options, (socket) => socket.on('error', () => {}).end('220 hello\r\n')).listen(
    0,
    '127.0.0.1',
  );
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return `127.0.0.1:${(server.address() as { port: number }).port}`;
}

describe('a probe over TCP', () => {
  test('is ok when the connection is made, and sends nothing', async () => {
    let received = '';
    const ended = new Deferred<void>();
    const target = await serveTcp((socket) => {
      socket.on('data', (bytes) => (received += String(bytes))).on('end', ended.resolve);
    });
    const sample = await sampleOf(target);
    expect(sample).toMatchObject({ target, transport: 'tcp', round: 1, outcome: 'ok', error: undefined });
    expect(sample.peer).toEqual({ address: '127.0.0.1', port: sample.port });
    await ended.promise;
    expect(received).toBe('');
  });

  test('is refused where nobody listens', async () => {
    const target = `127.0.0.1:${await freePort()}`;
    expect(await sampleOf(target)).toMatchObject({
      outcome: 'refused',
      error: `cannot connect to ${target}: connection refused`,
      peer: undefined,
    });
  });

  test('waits for an answer to what it sends', async () => {
    const target = await serveTcp((socket) => socket.on('data', (bytes) => socket.write(bytes)));
    const { outcome, answer } = await sampleOf(target, { send: Buffer.from('hello') });
    expect([outcome, Buffer.from(answer ?? []).toString()]).toEqual(['ok', 'hello']);
    const silent = await serveTcp(hold);
    expect(await sampleOf(silent, { send: Buffer.from('hello'), timeoutMs: 50 })).toMatchObject({
      outcome: 'timeout',
      error: `${silent}: no data within 50ms`,
      answer: undefined,
    });
  });

  test('reads until the answer matches', async () => {
    const target = await serveTcp((socket) => {
      socket.write('22');
      socket.once('data', () => socket.write('0 ready\r\n'));
    });
    const late = await sampleOf(target, { send: Buffer.from('x'), expect: /^220 ready$/m });
    expect([late.outcome, Buffer.from(late.answer ?? []).toString()]).toEqual(['ok', '220 ready\r\n']);
  });

  test.each([
    ['ends', async () => answerTcp('220 no\r\n'), 'no match in 8 bytes'],
    ['goes silent', async () => serveTcp((socket) => void socket.write('2')), 'no match in 1 byte'],
    ['never ends', async () => answerTcp(Buffer.alloc(100_000)), 'no match in 65536 bytes'],
  ])('is wrong if an answer %s without a match', async (_what, start, reason) => {
    const target = await start();
    const sample = await sampleOf(target, { expect: /yes/, timeoutMs: reason.endsWith('1 byte') ? 50 : 20_000 });
    expect(sample).toMatchObject({ outcome: 'wrong-answer', error: `${target}: ${reason}` });
  });

  test('is reset if the server closes without an answer', async () => {
    const target = await answerTcp('');
    expect(await sampleOf(target, { expect: /./ })).toMatchObject({
      outcome: 'reset',
      error: `${target}: closed without an answer`,
    });
  });
});

describe('a probe over UDP', () => {
  test('sends an empty datagram, and is ok when there is an answer', async () => {
    const target = `${await answerUdp((request) => [`${request.length} bytes`])}/udp`;
    const { outcome, answer, ...sample } = await sampleOf(target);
    expect([outcome, Buffer.from(answer ?? []).toString()]).toEqual(['ok', '0 bytes']);
    expect(sample).toMatchObject({ target, transport: 'udp' });
  });

  test('may be open or filtered without one', async () => {
    const { name } = await fakeUdpServer(() => {});
    expect(await sampleOf(name, { udp: true, timeoutMs: 50 })).toMatchObject({
      target: `${name}/udp`,
      outcome: 'timeout',
      error: `${name} is silent over UDP: no answer to one datagram within 50ms (open or filtered)`,
    });
  });

  test('sends and expects what it is told', async () => {
    const target = await answerUdp((request) => [request]);
    const options = { udp: true, send: Buffer.from([0x41, 0xff]) };
    expect((await sampleOf(target, { ...options, expect: /^A\xff$/ })).outcome).toBe('ok');
    expect((await sampleOf(target, { ...options, expect: /a/ })).error).toBe(`${target}: no match in 2 bytes`);
  });
});

describe('a probe with TLS', () => {
  test('tells version, cipher and days, and does not trust an unknown certificate', async () => {
    const target = await serveTls();
    const sample = await sampleOf(target, { tls: true, serverName: 'localhost' });
    expect(sample).toMatchObject({ outcome: 'wrong-answer', error: 'TLS: the certificate is self-signed' });
    expect(sample.tls).toEqual({
      version: 'TLSv1.3',
      cipher: expect.stringMatching(/^TLS_/) as string,
      subject: 'CN=self-signed',
      issuer: 'CN=self-signed',
      validTo: new Date(Date.UTC(2126, 10, 7, 0, 52, 4)),
      validDays: expect.any(Number) as number,
      distrust: 'the certificate is self-signed',
    });
    expect(sample.tls?.validDays).toBeGreaterThan(10_000);
  });

  test('accepts any certificate if told to, and expects an answer over TLS', async () => {
    const options = { tls: true, isInsecure: true, expect: /^220 / };
    expect(await sampleOf(await serveTls(), options)).toMatchObject({ outcome: 'ok', error: undefined });
  });

  test('sends the name of the server', async () => {
    const asked: string[] = [];
    const target = await serveTls({
      ...selfSigned,
      SNICallback: (name, done) => {
        asked.push(name);
        done(null);
      },
    });
    for (const serverName of [undefined, 'www.example'])
      await sampleOf(target, { tls: true, isInsecure: true, serverName });
    expect(asked).toEqual(['www.example']);
  });

  test.each([
    ['plain text', async () => answerTcp('hello\r\n'), 'wrong-answer', 'TLS: the answer is not TLS'],
    [
      'another version',
      async () => serveTls({ ...selfSigned, maxVersion: 'TLSv1.1', minVersion: 'TLSv1' }),
      'wrong-answer',
      expect.stringMatching(/^TLS: handshake failed \(.+\)$/) as string,
    ],
    [
      'the end',
      async () => serveTcp((socket) => void socket.once('data', () => socket.end())),
      'reset',
      'TLS: the server closed the connection during the handshake',
    ],
    ['silence', async () => serveTcp(hold), 'timeout', 'TLS: the handshake was not complete within 50ms'],
  ])('fails if the server answers with %s', async (_what, start, outcome, error) => {
    const options = { tls: true, timeoutMs: outcome === 'timeout' ? 50 : 20_000 };
    expect(await sampleOf(await start(), options)).toMatchObject({ outcome, error });
  });
});

describe('a run of probes', () => {
  test('probes each target in each round, and counts the outcomes', async () => {
    const [open, closed] = [await serveTcp(hold), `127.0.0.1:${await freePort()}`];
    const seen: string[] = [];
    const result = await probe([open, closed], {
      count: 2,
      intervalMs: 1,
      observe: ({ target, round, outcome }) => seen.push(`${target} ${round} ${outcome}`),
    });
    expect(seen.toSorted()).toEqual(
      [1, 2].flatMap((round) => [`${open} ${round} ok`, `${closed} ${round} refused`]).toSorted(),
    );
    expect(result).toMatchObject({ outcome: 'refused', targets: 2, probes: 4, counts: { ok: 2, refused: 2 } });
    expect(result.latest.map(({ target, round }) => [target, round])).toEqual([
      [open, 2],
      [closed, 2],
    ]);
    expect(result.times?.count).toBe(2);
  });

  test('keeps only the beginning of long answers, up to the end of a character', async () => {
    const answer = `${'a'.repeat(254)}漢${'b'.repeat(20_000)}END`;
    const target = await answerTcp(answer);
    const samples: ProbeSample[] = [];
    const { latest } = await probe(target, { expect: /END/, observe: (sample) => samples.push(sample) });
    expect(samples.map((sample) => answerText(sample.answer ?? Buffer.alloc(0)))).toEqual([answer]);
    const kept = latest[0]?.answer ?? Buffer.alloc(0);
    expect(answerText(kept)).toBe('a'.repeat(254));
    expect(kept.buffer.byteLength).toBe(254);
  });

  test('has the most frequent outcome of those that are not ok', async () => {
    const wrong = await answerTcp('no');
    const closed = `127.0.0.1:${await freePort()}`;
    const { outcome } = await probe([wrong, closed, closed], { expect: /yes/ });
    expect(outcome).toBe('refused');
  });

  test('has no more probes in flight than it may', async () => {
    let [unanswered, most] = [0, 0];
    const target = await serveTcp((socket) => {
      unanswered += 1;
      most = Math.max(most, unanswered);
      setImmediate(() => {
        unanswered -= 1;
        socket.resume().write('.');
      });
    });
    const targets = Array.from({ length: 20 }, () => target);
    const { counts } = await probe(targets, { parallel: 3, expect: /\./, timeoutMs: 20_000 });
    expect(counts).toEqual({ ok: 20 });
    expect(most).toBeLessThanOrEqual(3);
  });

  test('goes on until the signal aborts', async () => {
    const target = await serveTcp(hold);
    const abort = new AbortController();
    const rounds: number[] = [];
    for await (const { round } of probeSamples(target, { count: Infinity, intervalMs: 1, signal: abort.signal })) {
      rounds.push(round);
      if (round === 3) abort.abort();
    }
    expect(rounds).toEqual([1, 2, 3]);
  });

  test('is interrupted if the signal leaves something undone', async () => {
    const [target, silent] = [await serveTcp(hold), await serveTcp(hold)];
    const abort = new AbortController();
    const cut = await probe(target, { count: 3, signal: abort.signal, observe: () => abort.abort() });
    expect(cut).toMatchObject({ outcome: 'interrupted', probes: 1 });
    const waiting = new AbortController();
    setImmediate(() => waiting.abort());
    const none = await probe(silent, { count: Infinity, expect: /./, signal: waiting.signal });
    expect(none).toMatchObject({ outcome: 'interrupted', probes: 0, latest: [] });
  });

  test.each([
    [{ count: 0 }, 'the count is 0: expected a whole number of at least 1'],
    [{ parallel: 1001 }, 'the number of parallel probes is 1001: expected 1 to 1000'],
    [{ perSecond: 0 }, 'the rate is 0 probes per second: expected above 0'],
    [{ isInsecure: true }, '--servername and --insecure need --tls'],
    [{ tls: true, udp: true }, '--tls needs TCP'],
    [{ send: Buffer.alloc(65_528), udp: true }, 'the number of bytes to send is 65528: expected 0 to 65527'],
    [{ pathControls: { sourcePort: 7 } }, 'a source port is for a single connection: probe makes many'],
  ])('is not started with option %#', async (options, message) => {
    await expect(probe('127.0.0.1:1', options)).rejects.toMatchObject({ code: 'ARGUMENT_INVALID', message });
  });
});
