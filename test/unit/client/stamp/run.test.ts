import { setImmediate } from 'node:timers/promises';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { errorEstimate, writeNtpTime } from '../../../../src/clock/ntp-format.ts';
import { StampRun } from '../../../../src/client/stamp/run.ts';
import type { StampEvent, StampReplyEvent, StampResult } from '../../../../src/client/stamp/measurement.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

const noonUs = 1_795_345_632e6;
const session = 0x1234;

/** A path and a reflector in the test's hands. Times are milliseconds since noon, by the clock of the sender. */
interface Path {
  readonly forwardMs: number;
  readonly insideMs: number;
  readonly backwardMs: number;
}

/** A run against a reflector whose clock is ahead of ours by so much. */
class Lab {
  readonly clock = new FakeClock();
  readonly events: StampEvent[] = [];
  readonly requests: Buffer[] = [];
  readonly abort = new AbortController();
  readonly run: StampRun;
  readonly over: Promise<void>;
  /** Added to the wall clock alone: somebody has set it. */
  stepMs = 0;
  aheadMs = 0;
  isReflectorSynchronized = true;

  constructor(options: { count?: number; isSynchronized?: boolean } = {}) {
    const { count = 100, isSynchronized = true } = options;
    const wallClock = {
      readUs: () => noonUs + (this.clock.nowMs + this.stepMs) * 1000,
      read: () => ({ isSynchronized, estimatedErrorUs: 250, maximumErrorUs: 1000 }),
    };
    const settings = {
      family: 'ipv4' as const,
      timeoutMs: 5000,
      clock: this.clock,
      signal: this.abort.signal,
      count,
      intervalMs: 1000,
      sizeBytes: 52,
      observe: (event: StampEvent) => void this.events.push(event),
    };
    this.run = new StampRun({ address: '192.0.2.1', port: 862 }, session, settings, wallClock);
    this.over = this.run.start(async (packet) => void this.requests.push(Buffer.from(packet)));
  }

  /** The reply to the last request, which the reflector gives this number, after it has gone this path. */
  reply(number: number, { forwardMs, insideMs, backwardMs }: Path): void {
    const request = this.requests.at(-1) as Buffer;
    const sentAtUs = noonUs + (this.clock.nowMs + this.stepMs) * 1000;
    const receivedUs = sentAtUs + (forwardMs + this.aheadMs) * 1000;
    const packet = Buffer.from(request);
    packet.writeUInt32BE(number);
    writeNtpTime(packet, 4, receivedUs + insideMs * 1000);
    packet.writeUInt16BE(errorEstimate(750, this.isReflectorSynchronized), 12);
    writeNtpTime(packet, 16, receivedUs);
    request.copy(packet, 24, 0, 14);
    packet.writeUInt8(61, 40);
    packet.writeUInt8(0, 44);
    packet.writeUInt16BE((46 << 10) | (10 << 4) | (1 << 2), 48);
    this.clock.advance(forwardMs + insideMs + backwardMs);
    this.take(packet);
  }

  take(packet: Uint8Array): void {
    const receivedAtUs = noonUs + (this.clock.nowMs + this.stepMs) * 1000;
    this.run.takeDatagram(packet, 0, { receivedAtUs, ttl: 62, trafficClass: (46 << 2) | 2 });
  }

  /** Sends the next request. */
  async next(): Promise<void> {
    // The kernel has taken the last one by then.
    await setImmediate();
    this.clock.advance(1000 - (this.clock.nowMs % 1000));
  }

  async result(): Promise<StampResult> {
    this.abort.abort();
    this.clock.advance(10_000);
    await this.over;
    return this.run.result(undefined);
  }

  get replies(): readonly StampReplyEvent[] {
    return this.events.filter((event) => event.kind === 'reply');
  }
}

const path: Path = { forwardMs: 20, insideMs: 300, backwardMs: 30 };

describe('the delays', () => {
  it('leave out the time in the reflector, and are told for each direction', async () => {
    const lab = new Lab();
    lab.reply(0, path);
    const [reply] = lab.replies;
    expect(reply).toMatchObject({
      sequence: 0,
      bytes: 52,
      forward: { ttl: 61, dscp: 10, ecn: 1 },
      backward: { ttl: 62, dscp: 46, ecn: 2 },
      isDuplicate: false,
    });
    expect(reply?.rttMs).toBeCloseTo(50, 3);
    expect(reply?.reflectorMs).toBeCloseTo(300, 3);
    expect(reply?.forwardMs).toBeCloseTo(20, 3);
    expect(reply?.backwardMs).toBeCloseTo(30, 3);
    expect(reply?.errorMs).toBeCloseTo(1, 1);
    const result = await lab.result();
    expect(result.forward?.meanMs).toBeCloseTo(20, 3);
    expect(result.backward?.meanMs).toBeCloseTo(30, 3);
    expect(result).toMatchObject({ outcome: 'ok', sent: 1, received: 1, lost: 0 });
    expect(result.clocks).toMatchObject({ local: { isSynchronized: true, errorMs: 0.25 } });
  });

  it('of any path and clocks add up to the round trip', () => {
    const ms = fc.integer({ min: 0, max: 2000 });
    const aheadMs = fc.integer({ min: -1_000_000, max: 1_000_000 });
    fc.assert(
      fc.property(ms, ms, ms, aheadMs, (forwardMs, insideMs, backwardMs, ahead) => {
        const lab = new Lab();
        lab.aheadMs = ahead;
        lab.reply(0, { forwardMs, insideMs, backwardMs });
        const [reply] = lab.replies;
        expect(reply?.rttMs).toBeCloseTo(forwardMs + backwardMs, 2);
        expect(reply?.forwardMs).toBeCloseTo(forwardMs + ahead, 2);
        expect(reply?.backwardMs).toBeCloseTo(backwardMs - ahead, 2);
      }),
    );
  });

  it.each([
    { local: false, reflector: true },
    { local: true, reflector: false },
  ])('of one direction are not told unless both clocks are synchronized ($local, $reflector)', async (which) => {
    const lab = new Lab({ isSynchronized: which.local });
    lab.isReflectorSynchronized = which.reflector;
    lab.reply(0, path);
    expect(lab.replies[0]).toMatchObject({ forwardMs: undefined, backwardMs: undefined, errorMs: undefined });
    expect(lab.replies[0]?.rttMs).toBeCloseTo(50, 3);
    expect(await lab.result()).toMatchObject({ forward: undefined, backward: undefined, oneWayErrorMs: undefined });
  });

  it('of the round trip are right if the wall clock is set in between', () => {
    const lab = new Lab();
    const request = lab.requests[0] as Buffer;
    const packet = Buffer.from(request);
    request.copy(packet, 24, 0, 14);
    writeNtpTime(packet, 4, noonUs + 20_000);
    writeNtpTime(packet, 16, noonUs + 20_000);
    lab.clock.advance(50);
    lab.stepMs = -3_600_000;
    lab.take(packet);
    expect(lab.replies[0]?.rttMs).toBeCloseTo(50, 3);
  });
});

describe('a reflector with wrong times', () => {
  it.each([
    ['long before it arrived', -20_000_000_000],
    ['before it arrived', -1000],
    ['after the reply was here', 500],
    ['long after the reply was here', 20_000_000_000],
  ])('counts with the round trip alone: sent %s', async (_name, insideMs) => {
    const lab = new Lab();
    lab.reply(0, { ...path, insideMs, backwardMs: 100 - path.forwardMs - insideMs });
    expect(lab.replies).toMatchObject([
      { reflectorMs: undefined, forwardMs: undefined, backwardMs: undefined, errorMs: undefined },
    ]);
    expect(lab.replies[0]?.rttMs).toBeCloseTo(100, 3);
    await lab.next();
    lab.reply(1, path);
    const result = await lab.result();
    expect(result).toMatchObject({ outcome: 'ok', received: 2, jitter: undefined, forward: { count: 1 } });
    expect(result.reflectorTimes).toMatchObject({ count: 1 });
  });

  it('counts a time of 0 likewise', async () => {
    const lab = new Lab();
    const request = lab.requests[0] as Buffer;
    const packet = Buffer.from(request);
    request.copy(packet, 24, 0, 14);
    packet.fill(0, 16, 24);
    lab.clock.advance(50);
    lab.take(packet);
    expect(lab.replies).toMatchObject([{ reflectorMs: undefined }]);
    expect(await lab.result()).toMatchObject({ received: 1, reflectorTimes: undefined });
  });
});

describe('jitter', () => {
  it('is told for each direction, whatever the clocks say', async () => {
    const lab = new Lab({ isSynchronized: false });
    lab.aheadMs = 5_000;
    lab.reply(0, { forwardMs: 10, insideMs: 0, backwardMs: 10 });
    await lab.next();
    lab.reply(1, { forwardMs: 26, insideMs: 50, backwardMs: 10 });
    const { jitter } = await lab.result();
    expect(jitter?.forwardMs).toBeCloseTo(1, 3);
    expect(jitter?.backwardMs).toBeCloseTo(0, 3);
    expect(jitter?.roundTripMs).toBeCloseTo(1, 3);
  });
});

describe('loss', () => {
  it('is told for each direction if the reflector counts', async () => {
    const lab = new Lab();
    lab.reply(0, path);
    await lab.next();
    await lab.next();
    // One of two is lost there: the reflector has counted three.
    await lab.next();
    lab.reply(2, path);
    await lab.next();
    const result = await lab.result();
    expect(result).toMatchObject({ sent: 5, received: 2, lost: 3, reflectorMode: 'stateful' });
    expect(result.oneWayLoss).toEqual({ forward: 1, backward: 1, unknown: 1 });
  });

  it('is only a sum if it does not', async () => {
    const lab = new Lab();
    lab.reply(0, path);
    await lab.next();
    await lab.next();
    lab.reply(2, path);
    lab.abort.abort();
    lab.clock.advance(10_000);
    await lab.over;
    expect(lab.run.result('stateless')).toMatchObject({ lost: 1, reflectorMode: 'stateless', oneWayLoss: undefined });
    // With the same numbers, a reflector that counts has received all.
    const { oneWayLoss } = lab.run.result('stateful');
    expect(oneWayLoss).toEqual({ forward: 0, backward: 1, unknown: 0 });
  });
});

describe('what is not a reply to this run', () => {
  it.each<[string, (reply: Buffer) => Uint8Array]>([
    ['too short', (reply) => reply.subarray(0, 40)],
    ['of another session', (reply) => (reply.writeUInt16BE(session + 1, 14), reply)],
    ['to a request that was not sent', (reply) => (reply.writeUInt32BE(7, 24), reply)],
    ['to a request of another time', (reply) => (reply.writeUInt32BE(7, 28), reply)],
  ])('is reported: %s', async (_name, change) => {
    const lab = new Lab();
    const packet = Buffer.from(lab.requests[0] as Buffer);
    (lab.requests[0] as Buffer).copy(packet, 24, 0, 14);
    const changed = change(packet);
    lab.take(changed);
    expect(lab.events.at(-1)).toEqual({ kind: 'wrong', bytes: changed.length });
    expect(await lab.result()).toMatchObject({ received: 0, corrupted: 1, outcome: 'wrong-answer' });
  });
});
