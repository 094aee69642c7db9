import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  type EchoPingEvent,
  type EchoPingOptions,
  type EchoPingResult,
  echoPing,
} from '../../../src/client/echo-ping.ts';
import { seededRandom } from '../server/guard/fixtures.ts';
import { hasIpv6, serve } from '../../support/daemon.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { fakeTcpServer, fakeUdpServer } from '../../support/fake-servers.ts';
import { freePort } from '../../support/ports.ts';
import { until, within } from '../../support/wait.ts';

const addresses = hasIpv6 ? ['127.0.0.1', '::1'] : ['127.0.0.1'];

/** A run on a clock in the test's hands. */
class Run {
  readonly clock = new FakeClock();
  readonly events: EchoPingEvent[] = [];
  /** When each request was sent. */
  readonly sentAtMs: number[] = [];
  readonly abort = new AbortController();
  readonly result: Promise<EchoPingResult>;
  #isOver = false;

  constructor(host: string, options: EchoPingOptions) {
    const observe = (event: EchoPingEvent): void => {
      this.events.push(event);
      if (event.kind === 'sent') this.sentAtMs.push(this.clock.nowMs);
    };
    const own = { clock: this.clock, signal: this.abort.signal, random: seededRandom(1), observe };
    this.result = within(echoPing(host, { ...own, ...options }), 'the end of the run');
    const over = (): void => {
      this.#isOver = true;
    };
    this.result.then(over, over);
  }

  of<Kind extends EchoPingEvent['kind']>(kind: Kind): readonly Extract<EchoPingEvent, { kind: Kind }>[] {
    return this.events.filter((event): event is Extract<EchoPingEvent, { kind: Kind }> => event.kind === kind);
  }

  /**
   * Waits until so many are sent, and so many have come back, right or not; and until the next thing is up to the
   * clock.
   */
  async settled(sent: number, back: number): Promise<void> {
    const cameBack = (): number => this.of('answered').length + this.of('corrupted').length;
    await until(() => this.sentAtMs.length >= sent, `request ${sent}`);
    await until(() => cameBack() >= back, `answer ${back} of ${JSON.stringify(this.events)}`);
    await until(() => this.clock.waiting > this.#reading || this.#isOver, 'the next timer');
  }

  /** Over TCP somebody reads all the time, with a timeout of its own. */
  #reading = 0;
  overTcp(): this {
    this.#reading = 1;
    return this;
  }
}

describe('echoPing against smallservd', () => {
  for (const address of addresses) {
    const inUrl = address.includes(':') ? `[${address}]` : address;
    const listen = [`tcp://${inUrl}:0`, `udp://${inUrl}:0`];

    const largest = address.includes(':') ? 65_527 : 65_507;

    it.each([0, 1, 13, 14, 512, largest])(`receives datagrams of %i bytes back from ${address}`, async (sizeBytes) => {
      const daemon = await serve({ echo: { listen } });
      const { port } = daemon.target('echo', 'udp', address);
      const result = await echoPing(`${inUrl}:${port}`, { udp: true, count: 5, sizeBytes, intervalMs: 1 });
      expect(result).toMatchObject({
        peer: { address, port },
        protocol: 'udp',
        sizeBytes,
        sent: 5,
        received: 5,
        lost: 0,
        duplicates: 0,
        reordered: 0,
        corrupted: 0,
        problem: undefined,
        isRight: true,
      });
    });

    it.each([1, 14, 512, 100_000])(`receives requests of %i bytes back over TCP from ${address}`, async (sizeBytes) => {
      const daemon = await serve({ echo: { listen } });
      const { port } = daemon.target('echo', 'tcp', address);
      const result = await echoPing(`${inUrl}:${port}`, { count: 5, sizeBytes, intervalMs: 1, keepAliveMs: 1000 });
      expect(result).toMatchObject({ protocol: 'tcp', sent: 5, received: 5, corrupted: 0, isRight: true });
    });
  }

  it('reports the peer and every event', async () => {
    const daemon = await serve({ echo: { listen: ['udp://127.0.0.1:0'] } });
    const { port } = daemon.target('echo', 'udp');
    const told: unknown[] = [];
    await echoPing(`127.0.0.1:${port}`, {
      udp: true,
      count: 1,
      connected: (peer) => told.push(peer),
      observe: (event) => told.push(event),
    });
    expect(told).toEqual([
      { address: '127.0.0.1', port },
      { kind: 'sent', sequence: 0 },
      { kind: 'answered', sequence: 0, rttMs: expect.any(Number) as number, isDuplicate: false },
    ]);
  });
});

describe('the interval', () => {
  it('counts from the start and skips missed requests', async () => {
    const { name } = await fakeUdpServer((request, reply) => reply(request));
    const run = new Run(name, { udp: true, count: 7, intervalMs: 1000 });
    for (const [sent, ms] of [1000, 1300, 700, 1000, 3500].entries()) {
      await run.settled(sent + 1, sent + 1);
      run.clock.advance(ms);
    }
    // When the sixth has left the clock stands at 7500: the times 6000 and 7000 are gone.
    await run.settled(6, 6);
    run.clock.advance(500);
    await run.result;
    expect(run.sentAtMs).toEqual([0, 1000, 2000, 3000, 4000, 5000, 8000]);
  });
});

describe('answers on a lossy path', () => {
  it.each([1, 2, 3, 4])('are all accounted for (seed %i)', async (seed) => {
    const count = 60;
    const random = seededRandom(seed);
    const truth = { back: 0, right: [] as number[], corrupted: 0 };
    let requests = 0;
    let held: (() => void) | undefined;
    const { name } = await fakeUdpServer((request, reply) => {
      const sequence = requests;
      requests += 1;
      const answer = (bytes: Uint8Array = request): void => {
        truth.back += 1;
        if (bytes === request) truth.right.push(sequence);
        else truth.corrupted += 1;
        reply(bytes);
      };
      const fate = Math.floor(random() * 6);
      const release = held;
      held = undefined;
      if (fate === 0) answer();
      if (fate === 1) for (let times = 0; times < 2; times++) answer();
      if (fate === 2) held = answer;
      if (fate === 3) {
        const wrong = Buffer.from(request);
        const at = Math.floor(random() * wrong.length);
        wrong[at] = (wrong[at] ?? 0) ^ (1 + Math.floor(random() * 255));
        answer(wrong);
      }
      if (fate === 4) answer(request.subarray(0, Math.floor(random() * request.length)));
      release?.();
    });
    const run = new Run(name, { udp: true, count, sizeBytes: 100 });
    for (let sent = 1; sent <= count; sent++) {
      await until(() => requests === sent, `request ${sent}`);
      await run.settled(sent, truth.back);
      run.clock.advance(1000);
    }
    run.clock.advance(5000);
    const answered = new Set(truth.right);
    const firsts = truth.right.filter((sequence, index) => truth.right.indexOf(sequence) === index);
    const reordered = firsts.filter((sequence, index) => sequence < Math.max(-1, ...firsts.slice(0, index)));
    expect(await run.result).toMatchObject({
      sent: count,
      received: answered.size,
      lost: count - answered.size,
      duplicates: truth.right.length - answered.size,
      reordered: reordered.length,
      corrupted: truth.corrupted,
      isRight: false,
    });
    expect(run.of('corrupted')).toHaveLength(truth.corrupted);
  });

  it('are matched by content without headers', async () => {
    let requests = 0;
    const { name } = await fakeUdpServer((request, reply) => {
      requests += 1;
      if (requests !== 2) reply(request);
    });
    const run = new Run(name, { udp: true, count: 4, sizeBytes: 1 });
    for (const [sent, back] of [1, 1, 2].entries()) {
      await run.settled(sent + 1, back);
      run.clock.advance(1000);
    }
    await run.settled(4, 3);
    run.clock.advance(5000);
    expect(await run.result).toMatchObject({ received: 3, lost: 1, reordered: 0, corrupted: 0 });
    expect(run.of('answered').map(({ sequence }) => sequence)).toEqual([0, 2, 3]);
  });

  it('are matched by order within the timeout if empty', async () => {
    let requests = 0;
    const { name } = await fakeUdpServer((request, reply) => {
      requests += 1;
      if (requests !== 1) reply(request);
    });
    const run = new Run(name, { udp: true, count: 8, sizeBytes: 0, timeoutMs: 2000 });
    await run.settled(1, 0);
    for (let sent = 2; sent <= 8; sent++) {
      // Past its timeout the first request is not in question any more.
      run.clock.advance(sent === 2 ? 2500 : 1000);
      await run.settled(sent, sent - 1);
    }
    run.clock.advance(2000);
    const { received, lost, duplicates } = await run.result;
    expect({ received, lost, duplicates }).toEqual({ received: 7, lost: 1, duplicates: 0 });
    expect(run.of('answered').map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });

  it('are missed once their timeout has passed', async () => {
    const { name } = await fakeUdpServer(() => {});
    const run = new Run(name, { udp: true, count: 2, timeoutMs: 1500 });
    await run.settled(1, 0);
    run.clock.advance(1000);
    await run.settled(2, 0);
    run.clock.advance(500);
    expect(run.of('silence')).toEqual([{ kind: 'silence', sequence: 0, waitedMs: 1500 }]);
    run.clock.advance(1000);
    expect(await run.result).toMatchObject({ sent: 2, lost: 2, elapsedMs: 2500, outcome: 'timeout' });
    expect(run.of('silence').map(({ sequence }) => sequence)).toEqual([0, 1]);
  });

  it.each([false, true])('are not awaited after the deadline (udp: %s)', async (udp) => {
    const answers: (() => void)[] = [];
    const { name } = udp
      ? await fakeUdpServer((request, reply) => void answers.push(() => reply(request)))
      : await fakeTcpServer((client) => {
          client.on('data', (request) => answers.push(() => client.write(request)));
        });
    const run = new Run(name, { udp, deadlineMs: 1700 });
    if (!udp) run.overTcp();
    await run.settled(1, 0);
    await until(() => answers.length === 1, 'the first request');
    answers[0]?.();
    await run.settled(1, 1);
    run.clock.advance(1000);
    await run.settled(2, 1);
    run.clock.advance(700);
    expect(await run.result).toMatchObject({ sent: 2, received: 1, elapsedMs: 1700, outcome: 'timeout' });
    expect(run.of('silence')).toEqual([{ kind: 'silence', sequence: 1, waitedMs: 700 }]);
  });

  it('end the run before the deadline if no request is due any more', async () => {
    const { name } = await fakeUdpServer((request, reply) => reply(request));
    const run = new Run(name, { udp: true, deadlineMs: 1000 });
    expect(await run.result).toMatchObject({ sent: 1, received: 1, isRight: true });
  });

  it('are awaited for one timeout after the last request', async () => {
    const late: (() => void)[] = [];
    const { name } = await fakeUdpServer((request, reply) => void late.push(() => reply(request)));
    const run = new Run(name, { udp: true, count: 2, timeoutMs: 3000 });
    await run.settled(1, 0);
    run.clock.advance(1000);
    await run.settled(2, 0);
    await until(() => late.length === 2, 'both requests');
    run.clock.advance(2999);
    late[0]?.();
    await run.settled(2, 1);
    run.clock.advance(1);
    expect(await run.result).toMatchObject({ received: 1, lost: 1, lossRatio: 0.5, elapsedMs: 4000, isRight: false });
    expect(run.of('answered')).toEqual([{ kind: 'answered', sequence: 0, rttMs: 3999, isDuplicate: false }]);
  });
});

describe('a port where nothing listens', () => {
  it('is reported at once', async () => {
    const host = `127.0.0.1:${await freePort()}`;
    const expected = { code: 'CONNECT_FAILED', exitCode: 2 };
    await expect(echoPing(host, { udp: true })).rejects.toMatchObject({
      ...expected,
      message: `cannot reach ${host} over UDP: refused by 127.0.0.1 (port unreachable)`,
    });
    await expect(echoPing(host)).rejects.toMatchObject(expected);
  });

  it('counts as loss if the server answered before', async () => {
    const server = createSocket('udp4').bind(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void (isOpen && server.close()));
    let isOpen = true;
    server.on('message', (request, { port, address }) => server.send(request, port, address));
    const run = new Run(`127.0.0.1:${server.address().port}`, { udp: true, count: 3 });
    await run.settled(1, 1);
    server.close();
    isOpen = false;
    run.clock.advance(1000);
    await run.settled(2, 1);
    await until(() => run.of('refused').length === 1, 'the refusal');
    run.clock.advance(1000);
    await run.settled(3, 1);
    run.clock.advance(5000);
    expect(await run.result).toMatchObject({ sent: 3, received: 1, lost: 2, problem: undefined, isRight: false });
    expect(run.of('refused')[0]?.message).toMatch(/refused by 127\.0\.0\.1 \(port unreachable\)$/);
  });
});

describe('a connection', () => {
  it('may deliver answers in arbitrary pieces', async () => {
    const { name } = await fakeTcpServer((client) => {
      client.on('data', (chunk) => {
        for (let start = 0; start < chunk.length; start += 7) client.write(chunk.subarray(start, start + 7));
      });
    });
    const result = await echoPing(name, { count: 5, sizeBytes: 100, intervalMs: 1 });
    expect(result).toMatchObject({ received: 5, corrupted: 0, isRight: true });
  });

  it('reports a changed byte with its offset in the stream', async () => {
    let offset = 0;
    const { name } = await fakeTcpServer((client) => {
      client.on('data', (chunk) => {
        const at = 700 - offset;
        offset += chunk.length;
        const answer = Buffer.from(chunk);
        if (at >= 0 && at < answer.length) answer[at] = (answer[at] ?? 0) ^ 0x20;
        client.write(answer);
      });
    });
    const run = new Run(name, { count: 3, sizeBytes: 512 }).overTcp();
    for (const sent of [1, 2]) {
      await run.settled(sent, sent);
      run.clock.advance(1000);
    }
    await run.settled(3, 3);
    run.clock.advance(5000);
    expect(await run.result).toMatchObject({ received: 2, lost: 1, corrupted: 1, isRight: false });
    expect(run.of('corrupted')).toEqual([{ kind: 'corrupted', sequence: 1, sizeBytes: 512, offset: 700 }]);
  });

  it('ends the run if more comes back than was sent', async () => {
    const { name } = await fakeTcpServer((client) => {
      client.on('data', (chunk) => client.write(Buffer.concat([chunk, chunk, chunk])));
    });
    const result = await echoPing(name, { count: 2, sizeBytes: 20 });
    expect(result).toMatchObject({ sent: 1, received: 1, corrupted: 1, isRight: false });
    expect(result.problem).toBe(`${name}: more came back than was sent`);
  });

  it('ends the run when the peer closes it', async () => {
    const { name } = await fakeTcpServer((client) => {
      client.on('data', (chunk) => client.end(chunk.subarray(0, 3)));
    });
    const result = await echoPing(name, { count: 5, sizeBytes: 20 });
    expect(result).toMatchObject({ sent: 1, received: 0, problem: `${name} closed the connection`, isRight: false });
  });

  it('ends the run when it is reset', async () => {
    const { name } = await fakeTcpServer((client) => {
      client.once('data', (chunk) => client.write(chunk, () => client.once('data', () => client.resetAndDestroy())));
    });
    const run = new Run(name, { count: 5 }).overTcp();
    await run.settled(1, 1);
    run.clock.advance(1000);
    const result = await run.result;
    expect(result).toMatchObject({ sent: 2, received: 1, isRight: false });
    expect(result.problem).toBe(`${name}: connection reset`);
  });

  it('ends the run after the timeout if the peer reads nothing', async () => {
    const { name } = await fakeTcpServer((client) => client.pause());
    const result = await echoPing(name, { sizeBytes: 16 * 1024 * 1024, timeoutMs: 200 });
    expect(result.problem).toMatch(/: accepted no data for 200ms$/);
    expect(result).toMatchObject({ received: 0, isRight: false });
  });
});

describe('the signal', () => {
  it.each([false, true])('ends the run and keeps the results so far (udp: %s)', async (udp) => {
    const daemon = await serve({ echo: { listen: ['tcp://127.0.0.1:0', 'udp://127.0.0.1:0'] } });
    const { port } = daemon.target('echo', udp ? 'udp' : 'tcp');
    const run = new Run(`127.0.0.1:${port}`, { udp });
    if (!udp) run.overTcp();
    await run.settled(1, 1);
    run.clock.advance(1000);
    await run.settled(2, 2);
    run.abort.abort();
    expect(await run.result).toMatchObject({ sent: 2, received: 2, problem: undefined, isRight: true });
    await until(() => run.clock.waiting === 0, 'the end of all timers');
  });

  it.each([false, true])('waits for the last answer at most twice the longest round trip (udp: %s)', async (udp) => {
    const answers: (() => void)[] = [];
    const { name } = udp
      ? await fakeUdpServer((request, reply) => void answers.push(() => reply(request)))
      : await fakeTcpServer((client) => {
          client.on('data', (request) => answers.push(() => client.write(request)));
        });
    /** Two requests, the first answered after 100 ms; then the signal 10 ms after the second. */
    const interrupted = async (): Promise<Run> => {
      answers.length = 0;
      const run = new Run(name, { udp });
      if (!udp) run.overTcp();
      await until(() => answers.length === 1, 'the first request');
      await run.settled(1, 0);
      run.clock.advance(100);
      answers[0]?.();
      await run.settled(1, 1);
      run.clock.advance(900);
      await until(() => answers.length === 2, 'the second request');
      await run.settled(2, 1);
      run.clock.advance(10);
      run.abort.abort();
      return run;
    };
    const right = await interrupted();
    answers[1]?.();
    expect(await right.result).toMatchObject({ sent: 2, received: 2, isRight: true });
    const late = await interrupted();
    late.clock.advance(190);
    expect(await late.result).toMatchObject({ sent: 2, received: 1, elapsedMs: 1200, isRight: false });
  });

  it('ends the run at once if nothing has come back', async () => {
    const { name } = await fakeUdpServer(() => {});
    const run = new Run(name, { udp: true });
    await run.settled(1, 0);
    run.abort.abort();
    expect(await run.result).toMatchObject({ sent: 1, received: 0, isRight: false, outcome: 'interrupted' });
  });

  it('has the outcome timeout if a request was late before', async () => {
    const { name } = await fakeUdpServer(() => {});
    const run = new Run(name, { udp: true, timeoutMs: 500 });
    await run.settled(1, 0);
    run.clock.advance(1000);
    await run.settled(2, 0);
    run.abort.abort();
    expect(await run.result).toMatchObject({ sent: 2, received: 0, outcome: 'timeout' });
  });

  it.each([false, true])('fails a run that is aborted before it starts (udp: %s)', async (udp) => {
    const signal = AbortSignal.abort();
    await expect(echoPing('127.0.0.1:7', { udp, signal })).rejects.toMatchObject({ code: 'INTERRUPTED' });
  });
});

it.each([
  [{ sizeBytes: 0 }, 'the size of a request over TCP is 0'],
  [{ sizeBytes: 65_508, udp: true }, 'the size is 65508 bytes: 127.0.0.1 takes at most 65507 bytes over IPv4'],
  [{ sizeBytes: 65_528, udp: true }, 'the size of a datagram is 65528'],
  [{ deadlineMs: 0 }, 'the deadline in milliseconds is 0'],
  [{ sizeBytes: 1.5, udp: true }, 'the size of a datagram is 1.5'],
  [{ count: -1 }, 'the count is -1'],
  [{ intervalMs: 0 }, 'the interval in milliseconds is 0'],
  [{ keepAliveMs: 999 }, 'the keepalive delay in milliseconds is 999'],
  [{ keepAliveMs: 5000, udp: true }, '--keepalive needs TCP'],
])('rejects %j', async (options, message) => {
  await expect(echoPing('127.0.0.1:7', options)).rejects.toMatchObject({
    code: 'ARGUMENT_INVALID',
    message: expect.stringContaining(message) as string,
  });
});

it('fails if the host does not exist', async () => {
  await expect(echoPing('no-such-host.invalid', { udp: true })).rejects.toMatchObject({ code: 'HOST_NOT_FOUND' });
});
