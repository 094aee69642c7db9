import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { secondsOfWord, time } from '../../../src/client/time.ts';
import { type Clock, systemClock } from '../../../src/clock/clock.ts';
import { serve } from '../../support/daemon.ts';
import { answerTcp, serveTcp, answerUdp } from '../../support/fake-servers.ts';
import { takeUdpPort } from '../../support/ports.ts';

/** A machine whose wall clock shows this instant whenever it is asked, and where everything is done in no time. */
function clockAt(instant: string): Clock {
  return { ...systemClock, now: () => new Date(instant), monotonicMs: () => 0 };
}

function word(value: number, length = 4): Buffer {
  const bytes = Buffer.alloc(length, 0xee);
  bytes.writeUInt32BE(value);
  return bytes;
}

describe('time against smallservd', () => {
  test.each([false, true])('matches the local clock to the second (udp: %s)', async (udp) => {
    const daemon = await serve({ time: { listen: ['tcp://127.0.0.1:0', 'udp://127.0.0.1:0'] } });
    const { host, port } = daemon.target('time', udp ? 'udp' : 'tcp');
    const answer = await time(`${host}:${port}`, { udp });
    expect(Math.abs(answer.offsetSeconds)).toBeLessThanOrEqual(1);
    expect(answer).toMatchObject({ length: 4, peer: { address: host, port } });
    expect(answer.rttMs).toBeGreaterThan(0);
  });
});

describe('an answer', () => {
  // RFC 868's own examples, and the wrap.
  test.each([
    [2_208_988_800, '1970-01-01T00:00:00Z'],
    [2_398_291_200, '1976-01-01T00:00:00Z'],
    [2_524_521_600, '1980-01-01T00:00:00Z'],
    [2_629_584_000, '1983-05-01T00:00:00Z'],
    [4_294_967_295, '2036-02-07T06:28:15Z'],
    [0, '2036-02-07T06:28:16Z'],
  ])('of %i means %s', async (value, instant) => {
    const host = await answerTcp(word(value));
    const answer = await time(host, { clock: clockAt(instant) });
    expect(answer.time).toEqual(new Date(instant));
  });

  test.each([
    ['2036-02-07T06:28:10Z', 0, '2036-02-07T06:28:16Z', 6],
    ['2036-02-07T06:28:20Z', 0xffffffff, '2036-02-07T06:28:15Z', -5],
  ])('at %s resolves to the nearest era', async (own, value, instant, offset) => {
    const host = await answerUdp(() => [word(value)]);
    const answer = await time(host, { udp: true, clock: clockAt(own) });
    expect(answer.time).toEqual(new Date(instant));
    expect(answer.offsetSeconds).toBe(offset);
  });

  test('is compared with the local clock at half the round trip', async () => {
    // Each look at the monotonic clock is a second later: whatever it is asked for, the way takes a whole number of
    // them.
    let nowMs = 0;
    const clock: Clock = { ...clockAt('2026-11-22T11:07:12.500Z'), monotonicMs: () => (nowMs += 1000) };
    const host = await answerUdp(() => [word(Date.parse('2026-11-22T11:07:12Z') / 1000 + 2_208_988_800)]);
    const answer = await time(host, { udp: true, clock });
    expect(answer.rttMs).toBe(1000);
    // At 12.5 less 0.5 seconds.
    expect(answer.offsetSeconds).toBe(0);
    const later = await answerUdp(() => [word(Date.parse('2026-11-22T11:07:12Z') / 1000 + 2_208_988_800)]);
    const early: Clock = { ...clock, now: () => new Date('2026-11-22T11:07:12.499Z') };
    expect((await time(later, { udp: true, clock: early })).offsetSeconds).toBe(1);
  });

  test.each([4, 5, 7, 8, 40])(
    'of %i bytes is read from its first four bytes and reports its length',
    async (length) => {
      const host = await answerTcp(word(2_629_584_000, length));
      const answer = await time(host, { clock: clockAt('1983-05-01T00:00:00Z') });
      expect(answer).toMatchObject({ time: new Date('1983-05-01T00:00:00Z'), length });
    },
  );

  test('may arrive byte by byte', async () => {
    const host = await serveTcp((socket) => {
      const bytes = [...word(2_629_584_000)];
      const send = (): void => {
        const byte = bytes.shift();
        if (byte === undefined) socket.end();
        else socket.write(Buffer.of(byte), send);
      };
      send();
    });
    expect(await time(host, { clock: clockAt('1983-05-01T00:00:00Z') })).toMatchObject({ length: 4, offsetSeconds: 0 });
  });

  test.each([1, 2, 3])('of %i bytes is rejected as truncated', async (length) => {
    const bytes = word(0).subarray(0, length);
    const rejected = { code: 'ANSWER_WRONG', message: expect.stringContaining(`truncated time: ${length} of 4 bytes`) };
    await expect(time(await answerTcp(bytes))).rejects.toMatchObject(rejected);
    await expect(time(await answerUdp(() => [bytes]), { udp: true })).rejects.toMatchObject(rejected);
  });

  test('that is empty or missing is an error', async () => {
    const rejected = { code: 'ANSWER_WRONG', message: expect.stringMatching(/sent no time: its clock may not be set/) };
    await expect(time(await answerTcp(''))).rejects.toMatchObject(rejected);
    const silent = `127.0.0.1:${await takeUdpPort()}`;
    await expect(time(silent, { udp: true, timeoutMs: 50 })).rejects.toMatchObject({ code: 'NO_ANSWER' });
  });
});

test('resolves to the server time if the clocks differ by less than half an era', () => {
  const seconds = fc.integer({ min: 0, max: 8_000_000_000 });
  const apart = fc.integer({ min: -(2 ** 31) + 1, max: 2 ** 31 - 1 });
  fc.assert(
    fc.property(seconds, apart, (server, difference) => {
      const sent = (((server + 2_208_988_800) % 2 ** 32) + 2 ** 32) % 2 ** 32;
      expect(secondsOfWord(sent, server + difference)).toBe(server);
    }),
  );
});
