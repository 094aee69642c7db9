import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Deadline, Deadlines, sweepPeriodMs } from '../../../../src/server/guard/deadlines.ts';
import { streamLimits } from './fixtures.ts';

const limits = {
  ...streamLimits,
  idleTimeoutMs: 1000,
  stallTimeoutMs: 400,
  minProgressBytes: 3,
  maxLifetimeMs: 5000,
  lingerTimeoutMs: 200,
};
const never = {
  ...streamLimits,
  idleTimeoutMs: Infinity,
  stallTimeoutMs: Infinity,
  maxLifetimeMs: Infinity,
  lingerTimeoutMs: Infinity,
};

/** A look: the time, bytes received and sent so far, bytes pending, and what passes. */
type Look = readonly [nowMs: number, received: number, sent: number, pending: number, passed: Deadline | undefined];

const no = undefined;

const cases: readonly [string, readonly Look[]][] = [
  [
    'idle: closes a client that never sends or takes anything',
    [
      [10_999, 0, 0, 0, no],
      [11_000, 0, 0, 0, 'idle'],
    ],
  ],
  [
    'idle: restarts when the client sends',
    [
      [10_500, 1, 0, 0, no],
      [11_499, 1, 0, 0, no],
      [11_500, 1, 0, 0, 'idle'],
    ],
  ],
  [
    'idle: restarts when the client takes bytes',
    [
      [10_500, 0, 1, 0, no],
      [11_499, 0, 1, 0, no],
      [11_500, 0, 1, 0, 'idle'],
    ],
  ],
  [
    'stalled: starts at the first check that finds pending bytes',
    [
      [10_100, 9, 0, 9, no],
      [10_499, 9, 0, 9, no],
      [10_500, 9, 0, 9, 'stalled'],
    ],
  ],
  [
    'stalled: restarts when the client has taken enough',
    [
      [10_100, 0, 5, 9, no],
      [10_200, 0, 7, 7, no],
      [10_400, 0, 8, 6, no],
      [10_799, 0, 8, 6, no],
      [10_800, 0, 8, 6, 'stalled'],
    ],
  ],
  [
    'stalled: a byte now and then is not enough',
    [
      [10_100, 0, 5, 9, no],
      [10_300, 0, 6, 8, no],
      [10_499, 0, 7, 7, no],
      [10_500, 0, 7, 7, 'stalled'],
    ],
  ],
  [
    'stalled: a small answer taken in full is enough, although the next is on its way',
    [
      [10_100, 1, 0, 2, no],
      [10_300, 2, 2, 2, no],
      [10_499, 2, 3, 1, no],
      [10_600, 3, 4, 2, no],
      [10_999, 3, 5, 1, no],
      [11_000, 3, 5, 1, 'stalled'],
    ],
  ],
  [
    'stalled: does not restart when the client sends',
    [
      [10_100, 1, 0, 9, no],
      [10_300, 2, 0, 9, no],
      [10_500, 3, 0, 9, 'stalled'],
    ],
  ],
  [
    'stalled: does not run while nothing is pending',
    [
      [10_100, 9, 0, 9, no],
      [10_400, 9, 9, 0, no],
      [10_900, 9, 9, 0, no],
    ],
  ],
  [
    'stalled: restarts after the queue was empty',
    [
      [10_100, 9, 0, 9, no],
      [10_300, 9, 9, 0, no],
      [10_600, 18, 9, 9, no],
      [10_999, 18, 9, 9, no],
      [11_000, 18, 9, 9, 'stalled'],
    ],
  ],
  [
    'lifetime: closes a busy client',
    [
      [10_900, 1, 1, 0, no],
      [11_800, 2, 2, 0, no],
      [12_700, 3, 3, 0, no],
      [13_600, 4, 4, 0, no],
      [14_500, 5, 5, 0, no],
      [14_999, 6, 6, 0, no],
      [15_000, 7, 7, 0, 'lifetime'],
    ],
  ],
  [
    'gives lifetime precedence over the others',
    [
      [10_001, 1, 0, 9, no],
      [15_000, 1, 0, 9, 'lifetime'],
    ],
  ],
  [
    'gives stalled precedence over idle',
    [
      [10_001, 1, 0, 9, no],
      [12_000, 1, 0, 9, 'stalled'],
    ],
  ],
];

describe('Deadlines', () => {
  it.each(cases)('%s', (_rule, looks) => {
    const deadlines = new Deadlines(limits, 10_000);
    const passed = looks.map(([nowMs, received, sent, pending]) => deadlines.passed(nowMs, received, sent, pending));
    expect(passed).toEqual(looks.map((look) => look[4]));
  });

  it('linger: starts at finished and replaces the other timeouts', () => {
    const deadlines = new Deadlines({ ...limits, lingerTimeoutMs: 20_000 }, 0);
    deadlines.finished(100);
    expect(deadlines.passed(20_099, 0, 0, 0)).toBeUndefined();
    expect(deadlines.passed(20_100, 0, 0, 0)).toBe('linger');
  });

  it('linger: does not restart when the client sends', () => {
    const deadlines = new Deadlines(limits, 0);
    deadlines.finished(0);
    expect(deadlines.passed(199, 1000, 0, 0)).toBeUndefined();
    expect(deadlines.passed(200, 2000, 0, 0)).toBe('linger');
  });

  it('linger: does not restart when finished again', () => {
    const deadlines = new Deadlines(limits, 0);
    deadlines.finished(0);
    deadlines.finished(150);
    expect(deadlines.passed(200, 0, 0, 0)).toBe('linger');
  });

  it.each([
    ['open', false],
    ['finished', true],
  ])('never expires an infinite timeout: %s', (_state, finish) => {
    const deadlines = new Deadlines(never, 0);
    if (finish) deadlines.finished(1);
    expect(deadlines.passed(10, 0, 0, 5)).toBeUndefined();
    expect(deadlines.passed(1e15, 0, 0, 5)).toBeUndefined();
  });

  it('reports idle and stalled no earlier than the timeout and within two sweeps of it', () => {
    const acts = fc.array(
      fc.record({ waitMs: fc.integer({ min: 1, max: 900 }), sends: fc.nat(1), queue: fc.nat(2), takes: fc.nat(3) }),
    );
    const sweepMs = sweepPeriodMs(limits);
    fc.assert(
      fc.property(acts, (list) => {
        const deadlines = new Deadlines({ ...limits, minProgressBytes: 1, maxLifetimeMs: Infinity }, 0);
        const client = { received: 0, sent: 0, pending: 0, activeMs: 0, behindMs: Infinity };
        let nextLookMs = sweepMs;
        let nowMs = 0;
        for (const act of [...list, { waitMs: 5000, sends: 0, queue: 0, takes: 0 }]) {
          nowMs += act.waitMs;
          for (; nextLookMs <= nowMs; nextLookMs += sweepMs) {
            const passed = deadlines.passed(nextLookMs, client.received, client.sent, client.pending);
            const idleMs = nextLookMs - client.activeMs;
            const stalledMs = nextLookMs - client.behindMs;
            if (passed === 'idle') expect(idleMs).toBeGreaterThanOrEqual(limits.idleTimeoutMs);
            if (passed === 'stalled') expect(stalledMs).toBeGreaterThanOrEqual(limits.stallTimeoutMs);
            if (passed !== undefined) return;
            expect(idleMs).toBeLessThan(limits.idleTimeoutMs + 2 * sweepMs);
            expect(stalledMs).toBeLessThan(limits.stallTimeoutMs + 2 * sweepMs);
          }
          const taken = Math.min(client.pending + act.queue, act.takes);
          client.received += act.sends;
          client.sent += taken;
          client.pending += act.queue - taken;
          if (taken > 0 || act.sends > 0) client.activeMs = nowMs;
          if (client.pending === 0) client.behindMs = Infinity;
          else if (taken > 0 || client.behindMs === Infinity) client.behindMs = nowMs;
        }
        expect.fail('nothing passed in the end');
      }),
    );
  });
});

describe('sweepPeriodMs', () => {
  it.each([
    ['is at most a second', streamLimits, 1000],
    ['is a quarter of the shortest timeout: idle', { ...streamLimits, idleTimeoutMs: 400 }, 100],
    ['is a quarter of the shortest timeout: stall', { ...streamLimits, stallTimeoutMs: 400 }, 100],
    ['is a quarter of the shortest timeout: lifetime', { ...streamLimits, maxLifetimeMs: 400 }, 100],
    ['is a quarter of the shortest timeout: linger', { ...streamLimits, lingerTimeoutMs: 400 }, 100],
    ['is at least 10 ms', { ...streamLimits, idleTimeoutMs: 1 }, 10],
    ['is a second when all timeouts are infinite', never, 1000],
  ])('%s', (_rule, timeouts, periodMs) => {
    expect(sweepPeriodMs(timeouts)).toBe(periodMs);
  });
});
