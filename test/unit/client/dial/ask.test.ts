import { describe, expect, test } from 'vitest';
import type { Cancel } from '../../../../src/clock/clock.ts';
import { ask, type AskOptions } from '../../../../src/client/dial/ask.ts';
import type { AddressLookup } from '../../../../src/client/dial/resolve-host.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { fakeUdpServer } from '../../../support/fake-servers.ts';
import { freePort } from '../../../support/ports.ts';
import { until } from '../../../support/wait.ts';

function hostWith(...addresses: readonly string[]): AddressLookup {
  return (_host, _family, done) =>
    done(
      null,
      addresses.map((address) => ({ address, family: 4 })),
    );
}

/** Numbers its requests. */
const request = (attempt: number): Uint8Array => Buffer.from(`request ${attempt}`);

interface Asked {
  readonly clock: FakeClock;
  readonly answer: ReturnType<typeof ask>;
}

function askAt(port: number, options: Partial<AskOptions> = {}): Asked {
  const clock = new FakeClock();
  const lookup = hostWith('127.0.0.1');
  return {
    clock,
    answer: ask({ host: 'some.example', port }, request, { timeoutMs: 5000, clock, lookup, ...options }),
  };
}

/** Keeps what it hears, and answers only what it is told to. */
async function listener(host: string, answers: (text: string) => string | undefined, port = 0) {
  const heard: string[] = [];
  const server = await fakeUdpServer(
    (bytes, reply) => {
      heard.push(String(bytes));
      const answer = answers(String(bytes));
      if (answer !== undefined) reply(answer);
    },
    host,
    port,
  );
  return { ...server, heard };
}

const silence = (): undefined => undefined;

describe('ask', () => {
  test('returns the first answer', async () => {
    const { port, heard } = await listener('127.0.0.1', () => 'answer');
    const { answer, clock } = askAt(port);
    expect(await answer).toEqual({
      bytes: Buffer.from('answer'),
      further: [],
      peer: { address: '127.0.0.1', port },
      attempts: 1,
      rttMs: 0,
      answeredAt: clock.now(),
    });
    expect([heard, clock.waiting]).toEqual([['request 0'], 0]);
  });

  test('sends another request after each second of silence', async () => {
    const { port, heard } = await listener('127.0.0.1', (text) => (text === 'request 2' ? 'answer' : undefined));
    const { answer, clock } = askAt(port);
    await until(() => heard.length === 1, 'the first request');
    clock.advance(999);
    expect(clock.nowMs).toBe(999);
    clock.advance(1);
    await until(() => heard.length === 2, 'the second request');
    clock.advance(1000);
    expect(await answer).toMatchObject({ attempts: 3, rttMs: 0 });
    expect(heard).toEqual(['request 0', 'request 1', 'request 2']);
  });

  test('measures the round trip from the last request to the answer', async () => {
    const replies: ((text: string) => void)[] = [];
    const { port } = await fakeUdpServer((_bytes, reply) => replies.push(reply));
    const { answer, clock } = askAt(port);
    await until(() => replies.length === 1, 'the request');
    clock.advance(30);
    replies[0]?.('answer');
    expect(await answer).toMatchObject({ attempts: 1, rttMs: 30 });
  });

  test('gives up after the timeout', async () => {
    const { port, heard } = await listener('127.0.0.1', silence);
    const { answer, clock } = askAt(port);
    for (let second = 1; second <= 5; second += 1) {
      await until(() => heard.length === second, `request ${second}`);
      clock.advance(1000);
    }
    const message = `some.example:${port} is silent over UDP: no answer to 5 datagrams within 5s`;
    await expect(answer).rejects.toMatchObject({ code: 'NO_ANSWER', exitCode: 1, message });
    expect(clock.waiting).toBe(0);
  });

  test('reports a single unanswered datagram in the singular', async () => {
    const { port, heard } = await listener('127.0.0.1', silence);
    const { answer, clock } = askAt(port, { timeoutMs: 500 });
    await until(() => heard.length === 1, 'the request');
    clock.advance(500);
    const message = `some.example:${port} is silent over UDP: no answer to one datagram within 500ms`;
    await expect(answer).rejects.toMatchObject({ message });
  });

  test('can be interrupted', async () => {
    const { port, heard } = await listener('127.0.0.1', silence);
    const abort = new AbortController();
    const { answer, clock } = askAt(port, { signal: abort.signal });
    await until(() => heard.length === 1, 'the request');
    abort.abort();
    await expect(answer).rejects.toMatchObject({ code: 'INTERRUPTED' });
    expect(clock.waiting).toBe(0);
  });

  test('fails if the port is closed', async () => {
    const port = await freePort();
    const { answer, clock } = askAt(port);
    const message = `cannot reach 127.0.0.1:${port} over UDP: refused by 127.0.0.1 (port unreachable)`;
    await expect(answer).rejects.toMatchObject({ code: 'CONNECT_FAILED', exitCode: 2, message });
    expect(clock.waiting).toBe(0);
  });
});

describe('ask with several addresses', () => {
  test('tries the next address immediately after a refusal', async () => {
    const { port, heard } = await listener('127.0.0.2', () => 'answer');
    const { answer, clock } = askAt(port, { lookup: hostWith('127.0.0.1', '127.0.0.2') });
    expect(await answer).toMatchObject({ peer: { address: '127.0.0.2', port }, attempts: 1 });
    expect([heard, clock.nowMs]).toEqual([['request 0'], 0]);
  });

  test('tries the next address after 250 ms of silence', async () => {
    const first = await listener('127.0.0.1', silence);
    const second = await listener('127.0.0.2', () => 'answer', first.port);
    const { answer, clock } = askAt(first.port, { lookup: hostWith('127.0.0.1', '127.0.0.2') });
    await until(() => first.heard.length === 1, 'the first request');
    clock.advance(250);
    expect(await answer).toMatchObject({ peer: { address: '127.0.0.2', port: first.port }, attempts: 1 });
    expect([first.heard, second.heard]).toEqual([['request 0'], ['request 0']]);
  });

  test('asks the next one from the same source port', async () => {
    const sourcePort = await freePort();
    const first = await listener('127.0.0.1', silence);
    await fakeUdpServer((_bytes, reply) => reply('answer'), '127.0.0.2', first.port);
    const lookup = hostWith('127.0.0.1', '127.0.0.2');
    const { answer, clock } = askAt(first.port, { lookup, pathControls: { sourcePort } });
    await until(() => first.heard.length === 1, 'the first request');
    clock.advance(250);
    expect(await answer).toMatchObject({ peer: { address: '127.0.0.2' } });
  });

  test('still accepts an answer from the first address', async () => {
    const replies: ((text: string) => void)[] = [];
    const first = await fakeUdpServer((_bytes, reply) => replies.push(reply));
    const second = await listener('127.0.0.2', silence, first.port);
    const { answer, clock } = askAt(first.port, { lookup: hostWith('127.0.0.1', '127.0.0.2') });
    await until(() => replies.length === 1, 'the first request');
    clock.advance(250);
    await until(() => second.heard.length === 1, 'the second request');
    replies[0]?.('late');
    expect(await answer).toMatchObject({ bytes: Buffer.from('late'), peer: { address: '127.0.0.1' } });
  });

  test('fails if all addresses refuse', async () => {
    const port = await freePort();
    const { answer } = askAt(port, { lookup: hostWith('127.0.0.1', '127.0.0.2') });
    const message = expect.stringContaining(`cannot reach 127.0.0.1:${port}`) as string;
    await expect(answer).rejects.toMatchObject({ code: 'CONNECT_FAILED', message });
  });

  test('does not retry an address that refused and keeps waiting for a silent address', async () => {
    const { port, heard } = await listener('127.0.0.2', silence);
    const { answer, clock } = askAt(port, { lookup: hostWith('127.0.0.1', '127.0.0.2') });
    await until(() => heard.length === 1, 'the request');
    clock.advance(1000);
    await until(() => heard.length === 2, 'the next');
    expect(heard).toEqual(['request 0', 'request 1']);
    clock.advance(4000);
    await expect(answer).rejects.toMatchObject({ code: 'NO_ANSWER' });
  });
});

/** Counts the waits for quiet: each datagram begins one. */
class QuietClock extends FakeClock {
  quiets = 0;
  readonly #quietMs: number;

  constructor(quietMs: number) {
    super();
    this.#quietMs = quietMs;
  }

  override after(ms: number, task: () => void): Cancel {
    if (ms === this.#quietMs) this.quiets += 1;
    return super.after(ms, task);
  }
}

describe('an answer of several datagrams', () => {
  test('is complete after quietMs without a datagram', async () => {
    const { port } = await fakeUdpServer((_bytes, reply) => ['one', 'two', 'three'].forEach((part) => reply(part)));
    const clock = new QuietClock(40);
    const { answer } = askAt(port, { clock, quietMs: 40 });
    await until(() => clock.quiets === 3, 'three datagrams');
    clock.advance(40);
    const { bytes, further } = await answer;
    expect([bytes, ...further].map(String)).toEqual(['one', 'two', 'three']);
  });

  test('is returned at the timeout even if quietMs has not passed', async () => {
    const { port } = await fakeUdpServer((_bytes, reply) => reply('one'));
    const clock = new QuietClock(6000);
    const { answer } = askAt(port, { clock, quietMs: 6000 });
    await until(() => clock.quiets === 1, 'the datagram');
    clock.advance(5000);
    expect(String((await answer).bytes)).toBe('one');
  });

  test('contains no datagrams from other addresses', async () => {
    const replies: ((text: string) => void)[] = [];
    const first = await fakeUdpServer((_bytes, reply) => replies.push(reply));
    await fakeUdpServer((_bytes, reply) => replies.push(reply), '127.0.0.2', first.port);
    const clock = new QuietClock(40);
    const { answer } = askAt(first.port, { clock, quietMs: 40, lookup: hostWith('127.0.0.1', '127.0.0.2') });
    await until(() => replies.length === 1, 'the first request');
    clock.advance(250);
    await until(() => replies.length === 2, 'the second request');
    replies[0]?.('one');
    await until(() => clock.quiets === 1, 'the first datagram');
    replies[1]?.('other');
    replies[0]?.('two');
    await until(() => clock.quiets === 2, 'the second datagram');
    clock.advance(40);
    const { bytes, further } = await answer;
    expect([bytes, ...further].map(String)).toEqual(['one', 'two']);
  });
});
