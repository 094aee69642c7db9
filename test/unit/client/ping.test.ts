import { describe, expect, it } from 'vitest';
import type { Clock } from '../../../src/clock/clock.ts';
import { ping, type PingEvent, type PingOptions, type PingResult } from '../../../src/client/ping.ts';
import { Attempts } from '../../../src/client/options.ts';
import type { OpenIcmpSocket, RawSocketHandlers, RawSocketOptions } from '../../../src/client/dial/raw-socket.ts';
import { SmallservdError } from '../../../src/errors.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { icmpMessage, numbersOf, packet4, packet6, replyTo } from '../../support/icmp-packets.ts';

const target = '127.0.0.1';

/** What comes back, when, and from whom. */
interface Answer {
  readonly packet: Uint8Array;
  readonly afterMs: number;
  readonly source?: string;
}

/** Answers the nth request, counted from 1. */
type Peer = (request: Uint8Array, nth: number) => readonly Answer[] | Error;

/** A ping against a peer of the test, on a clock of the test. */
class Ping {
  readonly clock = new FakeClock();
  readonly events: PingEvent[] = [];
  readonly requests: Uint8Array[] = [];
  readonly sentAtMs: number[] = [];
  readonly abort = new AbortController();
  options: RawSocketOptions | undefined;
  result: PingResult | undefined;
  error: unknown;
  isClosed = false;
  /** Time during which no timer ran. */
  sleptMs = 0;
  handlers: RawSocketHandlers | undefined;

  constructor(peer: Peer, options: PingOptions = {}, host = target) {
    const { clock, requests } = this;
    const open: OpenIcmpSocket = (socketOptions, handlers) => {
      this.options = socketOptions;
      this.handlers = handlers;
      const send = async (bytes: Uint8Array): Promise<number> => {
        requests.push(bytes);
        this.sentAtMs.push(this.#monotonicMs());
        const answers = peer(bytes, requests.length);
        if (answers instanceof Error) throw answers;
        for (const { packet, afterMs, source = host } of answers)
          clock.after(afterMs, () => handlers.packet(packet, source, this.#monotonicMs()));
        return this.#monotonicMs();
      };
      return { send, close: () => void (this.isClosed = true) };
    };
    const sleepy: Clock = {
      monotonicMs: () => this.#monotonicMs(),
      now: () => clock.now(),
      after: (ms, task) => clock.after(ms, task),
      every: (ms, task) => clock.every(ms, task),
    };
    const all = { random: () => 0.5, clock: sleepy, signal: this.abort.signal, ...options };
    ping(host, { ...all, observe: (event) => this.events.push(event) }, open).then(
      (result) => (this.result = result),
      (error: unknown) => (this.error = error),
    );
  }

  /** Lets time pass, and between its milliseconds all that waits for nothing else. */
  async pass(ms: number): Promise<this> {
    while (this.handlers === undefined && this.error === undefined) await settled();
    await settled();
    for (let passed = 0; passed < ms && this.result === undefined && this.error === undefined; passed++) {
      this.clock.advance(1);
      await settled();
    }
    return this;
  }

  #monotonicMs(): number {
    return this.clock.nowMs + this.sleptMs;
  }

  /** What was told, but for the start. */
  get told(): readonly object[] {
    return this.events.slice(1).map(({ ...event }) => event);
  }
}

async function settled(): Promise<void> {
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
}

function answer(request: Uint8Array, afterMs: number): Answer {
  return { packet: packet4(replyTo(4, request)), afterMs };
}

const faithful: Peer = (request) => [answer(request, 10)];
const silent: Peer = () => [];
const reply = { kind: 'reply', bytes: 64, ttl: 64, rttMs: 10, isDuplicate: false, isLate: false };

describe('ping', () => {
  it('sends count requests at the interval and checks the replies', async () => {
    const run = await new Ping(faithful, { count: 3, intervalMs: 100 }).pass(1000);
    expect(run.events[0]).toEqual({ kind: 'started', address: target, sizeBytes: 56 });
    expect(run.told).toEqual([1, 2, 3].map((sequence) => ({ ...reply, sequence })));
    expect(run.sentAtMs).toEqual([0, 100, 200]);
    expect(run.result).toMatchObject({ address: target, sent: 3, received: 3, lost: 0, late: 0, errors: [] });
    expect(run.result).toMatchObject({ times: { minMs: 10, maxMs: 10 }, elapsedMs: 210 });
    expect(run.isClosed).toBe(true);
    expect(run.clock.waiting).toBe(0);
  });

  it('ends at the deadline with what it has, and sends nothing from then on', async () => {
    const options = { intervalMs: 100, timeoutMs: 5000 };
    const answered = await new Ping(faithful, { ...options, deadlineMs: 200 }).pass(1000);
    expect(answered.sentAtMs).toEqual([0, 100]);
    expect(answered.result).toMatchObject({ sent: 2, received: 2, outcome: 'ok', elapsedMs: 110 });
    const waited = await new Ping(silent, { ...options, deadlineMs: 150 }).pass(1000);
    expect(waited.told).toEqual([
      { kind: 'silence', sequence: 1, waitedMs: 150 },
      { kind: 'silence', sequence: 2, waitedMs: 50 },
    ]);
    expect(waited.result).toMatchObject({ sent: 2, received: 0, outcome: 'timeout', elapsedMs: 150 });
    expect(waited.clock.waiting).toBe(0);
  });

  it('uses one random identifier per run and different data per request', async () => {
    const run = await new Ping(faithful, { count: 2, intervalMs: 1, sizeBytes: 33, random: () => 0.75 }).pass(100);
    const [one, other] = run.requests.map((each) => Buffer.from(each));
    expect([one, other].map((each) => numbersOf(each ?? Buffer.alloc(8)))).toEqual([
      { identifier: 0xc000, sequence: 1 },
      { identifier: 0xc000, sequence: 2 },
    ]);
    expect(one?.length).toBe(8 + 33);
    expect(one?.subarray(8)).not.toEqual(other?.subarray(8));
  });

  it('passes the TTL to the socket', async () => {
    const run = await new Ping(faithful, { count: 1, ttl: 3 }).pass(100);
    expect(run.options).toMatchObject({ family: 'ipv4', ttl: 3 });
  });

  it('records the address that it sends to', async () => {
    const attempts = new Attempts();
    await new Ping(silent, { count: 1, timeoutMs: 10, attempts }).pass(100);
    expect(attempts.list('timeout')).toMatchObject([{ address: target, outcome: 'timeout' }]);
  });

  it('works without data', async () => {
    const run = await new Ping(faithful, { count: 1, sizeBytes: 0 }).pass(100);
    expect(run.told).toEqual([{ ...reply, sequence: 1, bytes: 8 }]);
  });

  it('reports silence after the timeout and counts it as lost', async () => {
    const run = new Ping((request, nth) => (nth === 2 ? [] : [answer(request, 10)]), { count: 3, timeoutMs: 3000 });
    await run.pass(4999);
    expect(run.told.filter((each) => 'rttMs' in each)).toHaveLength(2);
    expect(run.result).toMatchObject({ sent: 3, received: 2, lost: 1, lossRatio: 1 / 3, elapsedMs: 4000 });
    expect(run.told.at(-1)).toMatchObject({ kind: 'silence', sequence: 2 });
  });

  it('reports total loss if nothing answers', async () => {
    const run = await new Ping(silent, { count: 2, timeoutMs: 500 }).pass(2000);
    expect(run.told).toMatchObject([1, 2].map((sequence) => ({ kind: 'silence', sequence })));
    expect(run.result).toMatchObject({ sent: 2, received: 0, lossRatio: 1, times: undefined, elapsedMs: 1500 });
  });

  it('waits no longer than the timeout for a reply', async () => {
    const run = await new Ping((request) => [answer(request, 500)], { count: 1, timeoutMs: 500 }).pass(2000);
    expect(run.told).toMatchObject([{ kind: 'silence' }]);
    expect(run.result?.elapsedMs).toBe(500);
  });

  it('marks late replies and counts them while the run lasts', async () => {
    const run = await new Ping((request, nth) => [answer(request, nth === 1 ? 1500 : 10)], {
      count: 3,
      timeoutMs: 1200,
    }).pass(5000);
    expect(run.told).toEqual([
      { ...reply, sequence: 2 },
      { kind: 'silence', sequence: 1, waitedMs: 1200 },
      { ...reply, sequence: 1, rttMs: 1500, isLate: true },
      { ...reply, sequence: 3 },
    ]);
    expect(run.result).toMatchObject({ received: 3, lost: 0, late: 1, reordered: 1 });
  });

  it('marks duplicates and counts them separately', async () => {
    const run = await new Ping((request) => [answer(request, 10), answer(request, 12), answer(request, 13)], {
      count: 2,
      intervalMs: 50,
    }).pass(500);
    expect(run.told).toMatchObject([
      { sequence: 1, rttMs: 10, isDuplicate: false },
      { sequence: 1, rttMs: 12, isDuplicate: true },
      { sequence: 1, rttMs: 13, isDuplicate: true },
      { sequence: 2, rttMs: 10, isDuplicate: false },
    ]);
    expect(run.result).toMatchObject({ sent: 2, received: 2, duplicates: 2 });
  });

  it('counts reordered replies', async () => {
    const run = await new Ping((request, nth) => [answer(request, nth === 1 ? 25 : 10)], {
      count: 2,
      intervalMs: 10,
    }).pass(500);
    expect(run.told).toMatchObject([{ sequence: 2 }, { sequence: 1, rttMs: 25 }]);
    expect(run.result).toMatchObject({ received: 2, reordered: 1, duplicates: 0 });
  });

  it('reports the offset of the first wrong byte', async () => {
    const run = await new Ping(
      (request) => {
        const wrong = Buffer.from(request);
        wrong[8 + 40]! ^= 1;
        return [{ packet: packet4(replyTo(4, wrong)), afterMs: 10 }];
      },
      { count: 1 },
    ).pass(100);
    expect(run.told).toEqual([{ kind: 'corrupted', sequence: 1, offset: 40 }]);
    expect(run.result).toMatchObject({ received: 0, lost: 1, corrupted: 1 });
  });

  it.each([
    ['cut short', -1, 55],
    ['with an extra byte', 1, 56],
  ])('reports data %s as corrupted', async (_name, difference, offset) => {
    const run = await new Ping(
      (request) => {
        const longer = Buffer.concat([request, Buffer.alloc(1)]);
        const packet = packet4(replyTo(4, longer.subarray(0, request.length + difference)));
        return [{ packet, afterMs: 10 }];
      },
      { count: 1 },
    ).pass(100);
    expect(run.told).toEqual([{ kind: 'corrupted', sequence: 1, offset }]);
  });

  it('reports a reply with a wrong checksum as corrupted', async () => {
    const run = await new Ping(
      (request) => {
        const packet = packet4(replyTo(4, request));
        packet[22]! ^= 1;
        return [{ packet, afterMs: 10 }];
      },
      { count: 1 },
    ).pass(100);
    expect(run.told).toEqual([{ kind: 'corrupted', sequence: 1, offset: undefined }]);
    expect(run.result).toMatchObject({ received: 0, corrupted: 1 });
  });

  it.each<[string, (request: Buffer) => Answer]>([
    ['for another program', (request) => answer(changed(request, 4), 10)],
    ['for a request that was never sent', (request) => answer(changed(request, 6), 10)],
    ['from another host', (request) => ({ ...answer(request, 10), source: '127.0.0.2' })],
    [
      'that reports another host as unreachable',
      (request) => unreachable(packet4(request, { destination: '127.0.0.2' })),
    ],
    ['that reports an error for another program', (request) => unreachable(packet4(changed(request, 4), ours))],
    ['that is the request itself, seen on loopback', (request) => ({ packet: packet4(request), afterMs: 10 })],
    ['that is garbage', () => ({ packet: Buffer.from('rubbish'), afterMs: 10 })],
  ])('ignores a packet %s', async (_name, strange) => {
    const run = new Ping((request) => [strange(Buffer.from(request))], { count: 1, timeoutMs: 100 });
    await run.pass(200);
    expect(run.told).toEqual([{ kind: 'silence', sequence: 1, waitedMs: 100 }]);
    expect(run.result).toMatchObject({ received: 0, duplicates: 0, corrupted: 0, errors: [] });
  });

  it('reports an ICMP error, counts it and stops waiting', async () => {
    const run = new Ping((request) => [unreachable(packet4(request, ours))], { count: 2, intervalMs: 100 });
    await run.pass(1000);
    const error = {
      kind: 'error',
      from: '192.0.2.254',
      reason: 'Destination Host Unreachable',
      outcome: 'unreachable',
    };
    expect(run.told).toEqual([1, 2].map((sequence) => ({ ...error, sequence })));
    const errors = [{ from: '192.0.2.254', reason: 'Destination Host Unreachable', count: 2 }];
    expect(run.result).toMatchObject({ sent: 2, received: 0, lost: 2, errors, elapsedMs: 110 });
  });

  it('counts one error for each request, and of the kinds only the first 64 apart', async () => {
    const run = await new Ping(
      (request, nth) => {
        const error = unreachable(packet4(request, ours));
        return [`192.0.2.${nth}`, `198.51.100.${nth}`].map((source) => ({ ...error, source }));
      },
      { count: 70, intervalMs: 1 },
    ).pass(1000);
    expect(run.told).toHaveLength(70);
    const { errors = [] } = run.result ?? {};
    expect(errors).toHaveLength(65);
    expect(errors.at(-2)).toMatchObject({ from: '192.0.2.64', count: 1 });
    expect(errors.at(-1)).toEqual({ from: undefined, reason: 'other errors', outcome: 'unreachable', count: 6 });
  });

  it('counts no error about a request that was answered', async () => {
    const run = await new Ping((request) => [answer(request, 5), unreachable(packet4(request, ours))], {
      count: 2,
      intervalMs: 100,
    }).pass(1000);
    expect(run.result).toMatchObject({ received: 2, errors: [] });
    expect(run.told.map((event) => 'kind' in event && event.kind)).toEqual(['reply', 'reply']);
  });

  it('continues after a local send error', async () => {
    const run = await new Ping((request, nth) => (nth === 1 ? new Error('no way') : [answer(request, 10)]), {
      count: 2,
    }).pass(2000);
    expect(run.told).toMatchObject([
      { kind: 'error', sequence: 1, from: undefined, reason: 'no way', outcome: 'failed' },
      { sequence: 2 },
    ]);
    expect(run.result).toMatchObject({ sent: 2, received: 1, lost: 1 });
  });

  it('wraps the sequence number after 65,535 and still matches replies to requests', async () => {
    const count = 65_540;
    const clock = new FakeClock();
    const sequences: number[] = [];
    const open: OpenIcmpSocket = (_options, handlers) => ({
      send: async (bytes) => {
        setImmediate(() => {
          handlers.packet(packet4(replyTo(4, bytes)), target, clock.nowMs);
          clock.advance(1);
        });
        return clock.nowMs;
      },
      close: () => {},
    });
    const observe = (event: PingEvent): void => {
      if (event.kind === 'reply') sequences.push(event.sequence);
    };
    const result = await ping(target, { count, intervalMs: 1, clock, observe, random: () => 0.5 }, open);
    expect(result).toMatchObject({ sent: count, received: count, duplicates: 0, reordered: 0, corrupted: 0 });
    expect(sequences.slice(65_533, 65_539)).toEqual([65_534, 65_535, 0, 1, 2, 3]);
  });

  it('runs until interrupted and then returns a result', async () => {
    const run = await new Ping(faithful).pass(2500);
    expect(run.result).toBeUndefined();
    run.abort.abort();
    await settled();
    expect(run.result).toMatchObject({ sent: 3, received: 3, elapsedMs: 2500 });
    expect(run.isClosed).toBe(true);
    expect(run.clock.waiting).toBe(0);
  });

  it.each([
    [500, 'interrupted'],
    [6000, 'timeout'],
  ])('if interrupted after %i ms of silence, has the outcome %s', async (ms, outcome) => {
    const run = await new Ping(() => []).pass(ms);
    run.abort.abort();
    await settled();
    expect(run.result).toMatchObject({ received: 0, outcome });
  });

  it('fails if interrupted at the start', async () => {
    const run = new Ping(faithful);
    run.abort.abort();
    await run.pass(10);
    expect(run.error).toMatchObject({ code: 'INTERRUPTED' });
  });

  it('does not catch up on requests missed while the machine slept', async () => {
    const run = await new Ping(faithful, { count: 4 }).pass(1000);
    run.sleptMs = 60_000;
    await run.pass(3000);
    expect(run.sentAtMs).toEqual([0, 1000, 62_000, 63_000]);
  });

  it('fails if the socket fails', async () => {
    const run = await new Ping(silent).pass(10);
    run.handlers?.failed(new SmallservdError('CONNECTION_LOST', 'the raw socket failed'));
    await settled();
    expect(run.error).toMatchObject({ code: 'CONNECTION_LOST' });
    expect(run.isClosed).toBe(true);
    expect(run.clock.waiting).toBe(0);
  });

  it('uses ICMPv6 for an IPv6 address', async () => {
    const run = await new Ping(
      (request, nth) => [
        nth === 1
          ? { packet: replyTo(6, request), afterMs: 10 }
          : {
              packet: icmpMessage(1, 3, 0, packet6(request, { destination: '::1' })),
              source: 'fe80::1',
              afterMs: 10,
            },
      ],
      { count: 2, intervalMs: 20 },
      '::1',
    ).pass(100);
    expect(run.options).toMatchObject({ family: 'ipv6' });
    expect(run.requests.map(([type]) => type)).toEqual([128, 128]);
    expect(run.told).toEqual([
      { ...reply, sequence: 1, ttl: undefined },
      {
        kind: 'error',
        sequence: 2,
        from: 'fe80::1',
        reason: 'Destination unreachable: Address unreachable',
        outcome: 'unreachable',
      },
    ]);
  });

  it('accepts replies from 127.0.0.1 when pinging 0.0.0.0', async () => {
    const run = await new Ping(
      (request) => [{ ...answer(request, 10), source: '127.0.0.1' }],
      { count: 1 },
      '0.0.0.0',
    ).pass(100);
    expect(run.result).toMatchObject({ address: '127.0.0.1', received: 1 });
  });

  it.each(['224.0.0.1', '255.255.255.255', 'ff02::1%lo'])(
    'rejects the multicast or broadcast address %s',
    async (host) => {
      const run = await new Ping(faithful, {}, host).pass(10);
      expect(run.error).toMatchObject({ code: 'ARGUMENT_INVALID' });
    },
  );

  it.each(['localhost:7', '', '[127.0.0.1]'])('rejects host %j', async (host) => {
    const run = await new Ping(faithful, {}, host).pass(10);
    expect(run.error).toMatchObject({ code: 'ARGUMENT_INVALID' });
  });
});

const ours = { destination: target };

function changed(request: Buffer, at: number): Buffer {
  const copy = Buffer.from(request);
  copy[at]! ^= 0x10;
  return copy;
}

function unreachable(quoted: Uint8Array): Answer {
  return { packet: packet4(icmpMessage(3, 1, 0, quoted)), source: '192.0.2.254', afterMs: 10 };
}

const unopened: OpenIcmpSocket = () => {
  throw new Error('nothing should be opened');
};

describe('ping with options out of range', () => {
  it.each([
    [{ count: 0 }, 'the count is 0: expected a whole number of at least 1'],
    [{ count: 1.5 }, 'the count is 1.5: expected a whole number of at least 1'],
    [{ intervalMs: NaN }, 'the interval in milliseconds is NaN: expected 1 to 2147483647'],
    [{ sizeBytes: 65_528 }, 'the size of the data is 65528: expected 0 to 65527'],
    [{ deadlineMs: 0 }, 'the deadline in milliseconds is 0: expected 1 to 2147483647'],
    [{ ttl: 256 }, 'the time to live is 256: expected 1 to 255'],
    [{ timeoutMs: Infinity }, 'the timeout in milliseconds is Infinity: expected 1 to 2147483647'],
  ])('rejects %j', async (options, message) => {
    await expect(ping(target, options, unopened)).rejects.toMatchObject({ code: 'ARGUMENT_INVALID', message });
  });
});
