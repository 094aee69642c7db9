import type { Socket } from 'node:net';
import { PassThrough, Readable } from 'node:stream';
import { describe, expect, test, vi } from 'vitest';
import { patternPieces } from '../../../src/client/chargen-pattern.ts';
import { discard } from '../../../src/client/discard.ts';
import { serve } from '../../support/daemon.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { serveTcp, answerUdp } from '../../support/fake-servers.ts';
import { freePort, takeUdpPort } from '../../support/ports.ts';
import { until } from '../../support/wait.ts';

/** A name with two addresses. */
vi.mock('node:dns', async (importOriginal) => {
  const dns = await importOriginal<typeof import('node:dns')>();
  const addresses = ['127.0.0.1', '127.0.0.2'].map((address) => ({ address, family: 'ipv4' }));
  const lookup = (host: string, options: object, done: (error: null, found: typeof addresses) => void): void =>
    host === 'twice.example' ? done(null, addresses) : dns.lookup(host, options, done as () => void);
  return { ...dns, lookup };
});

function pattern(length: number): Readable {
  return Readable.from(patternPieces(length));
}

function* failing(): Generator<Uint8Array> {
  yield Buffer.from('some');
  throw new Error('the disk is gone');
}

/** More than all buffers on the way to a server on this machine that reads nothing. */
const tooMuch = 64 * 1024 * 1024;

describe('discard against smallservd', () => {
  test.each([0, 1, 5_000_000])('sends %i bytes', async (bytes) => {
    const daemon = await serve({ discard: { listen: ['tcp://127.0.0.1:0'] } });
    const { host, port } = daemon.target('discard', 'tcp');
    const result = await discard(`${host}:${port}`, pattern(bytes));
    expect(result).toMatchObject({ bytes, end: 'discarded', datagrams: undefined, peer: { address: host, port } });
    const line = await daemon.log.closing();
    expect(line['bytesIn']).toBe(bytes);
  });

  test('sends datagrams and gets no answer', async () => {
    const daemon = await serve({ discard: { listen: ['udp://127.0.0.1:0'] } });
    const { host, port } = daemon.target('discard', 'udp');
    const result = await discard(`${host}:${port}`, pattern(1300), { udp: true, datagramBytes: 500, timeoutMs: 100 });
    expect(result).toMatchObject({ bytes: 1300, datagrams: 3, end: 'sent', peer: { address: host, port } });
  });
});

describe('discard against a misbehaving server', () => {
  test('reports an answer', async () => {
    const host = await serveTcp((socket) => void socket.pipe(socket));
    expect(await discard(host, pattern(tooMuch))).toMatchObject({ end: 'answered' });
    expect(await discard(host, pattern(10))).toMatchObject({ bytes: 10, end: 'answered' });
  });

  test('reports an answer over UDP', async () => {
    const host = await answerUdp((request) => [request]);
    expect(await discard(host, pattern(10), { udp: true, timeoutMs: 100 })).toMatchObject({ end: 'answered' });
  });

  test('stops if the server closes before everything is sent', async () => {
    const host = await serveTcp((socket) => void socket.resume().end());
    const source = new PassThrough();
    source.write('more comes');
    expect(await discard(host, source)).toMatchObject({ end: 'finished' });
    expect(source.destroyed).toBe(true);
  });

  test('reports a reset', async () => {
    const host = await serveTcp((socket) => void socket.once('data', () => socket.resetAndDestroy()));
    expect(await discard(host, pattern(tooMuch))).toMatchObject({ end: 'reset' });
  });

  test('times out if the server reads nothing', async () => {
    const host = await serveTcp((socket) => void socket.pause());
    const result = await discard(host, pattern(tooMuch), { timeoutMs: 300 });
    expect(result.end).toBe('timeout');
    expect(result.bytes).toBeLessThan(tooMuch);
  });

  test('times out if the server never closes the connection', async () => {
    const host = await serveTcp((socket) => void socket.resume());
    expect(await discard(host, pattern(10), { timeoutMs: 100 })).toMatchObject({ bytes: 10, end: 'timeout' });
  });
});

describe('discard with data still in buffers', () => {
  test.each([
    ['as long as sending took, plus timeoutMs', 24_999, 'discarded'],
    ['no longer than that', 25_000, 'timeout'],
  ])('waits %s', async (_how, waitedMs, end) => {
    const clock = new FakeClock();
    let client: Socket | undefined;
    let isFinished = false;
    const host = await serveTcp((socket) => {
      client = socket.resume().on('end', () => {
        isFinished = true;
      });
    });
    const slow = function* (): Generator<Uint8Array> {
      yield Buffer.from('some');
      clock.advance(20_000);
      yield Buffer.from('more');
    };
    const sent = discard(host, Readable.from(slow()), { timeoutMs: 5000, clock });
    await until(() => isFinished, 'our FIN');
    clock.advance(waitedMs);
    client?.end();
    expect(await sent).toMatchObject({ bytes: 8, end });
  });
});

describe('the signal', () => {
  test('interrupts discard while it waits for input', async () => {
    let client: Socket | undefined;
    const host = await serveTcp((socket) => {
      client = socket.resume();
    });
    const abort = new AbortController();
    const source = new PassThrough();
    source.write('some');
    const sent = discard(host, source, { signal: abort.signal });
    await until(() => client?.bytesRead === 4, 'the first bytes');
    abort.abort();
    expect(await sent).toMatchObject({ bytes: 4, end: 'interrupted' });
    expect(source.destroyed).toBe(true);
  });

  test('interrupts discard over UDP while it sends and while it waits for input', async () => {
    const host = `127.0.0.1:${await takeUdpPort()}`;
    const abort = new AbortController();
    const pieces = function* (): Generator<Uint8Array> {
      for (let count = 0; ; count++) {
        if (count === 10) abort.abort();
        yield Buffer.alloc(512);
      }
    };
    const result = await discard(host, Readable.from(pieces()), { udp: true, signal: abort.signal });
    expect(result.end).toBe('interrupted');
    expect(result.bytes).toBeGreaterThan(0);

    const idle = new AbortController();
    const waiting = discard(host, new PassThrough(), { udp: true, signal: idle.signal });
    setImmediate(() => idle.abort());
    expect(await waiting).toMatchObject({ bytes: 0, end: 'interrupted' });
  });
});

describe('discard', () => {
  test('fails if nothing listens on the port', async () => {
    const host = `127.0.0.1:${await freePort()}`;
    const source = pattern(10);
    await expect(discard(host, source)).rejects.toMatchObject({ code: 'CONNECT_FAILED' });
    expect(source.destroyed).toBe(true);
    await expect(discard(host, pattern(10), { udp: true })).rejects.toMatchObject({ code: 'CONNECT_FAILED' });
    await expect(discard(host, pattern(100_000), { udp: true })).rejects.toMatchObject({ code: 'CONNECT_FAILED' });
  });

  test('reports datagrams as sent if the peer stays silent', async () => {
    const host = `127.0.0.1:${await takeUdpPort()}`;
    expect(await discard(host, pattern(10), { udp: true, timeoutMs: 100 })).toMatchObject({
      datagrams: 1,
      end: 'sent',
    });
  });
});

test.each([0, 1.5, 65_508])('rejects datagrams of %d bytes', async (datagramBytes) => {
  const sent = discard('127.0.0.1:9', pattern(1), { udp: true, datagramBytes });
  await expect(sent).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' });
});

test('rethrows errors from the source', async () => {
  const host = await serveTcp((socket) => void socket.resume());
  await expect(discard(host, Readable.from(failing()))).rejects.toThrow('the disk is gone');
  await expect(discard(host, Readable.from(failing()), { udp: true })).rejects.toThrow('the disk is gone');
});

test('fills datagrams regardless of chunk boundaries in the source', async () => {
  const requests: string[] = [];
  const host = await answerUdp((request) => {
    requests.push(request.toString());
    return [];
  });
  const source = Readable.from([Buffer.from('ab'), Buffer.from('cdefg'), Buffer.from('h')]);
  const sent = await discard(host, source, { udp: true, datagramBytes: 3, timeoutMs: 100 });
  expect(sent).toMatchObject({ bytes: 8, datagrams: 3 });
  expect(requests).toEqual(['abc', 'def', 'gh']);
});

test('excludes the wait for a refusal from elapsedMs if the host has another address', async () => {
  const clock = new FakeClock();
  let requests = 0;
  const host = await answerUdp(() => {
    requests += 1;
    return [];
  });
  const name = host.replace('127.0.0.1', 'twice.example');
  const sent = discard(name, pattern(1024), { udp: true, datagramBytes: 512, clock });
  for (const count of [1, 2]) {
    await until(() => requests === count && clock.waiting === 1, `datagram ${count}`);
    clock.advance(500);
  }
  expect(await sent).toMatchObject({ datagrams: 2, bytes: 1024, elapsedMs: 0 });
});
