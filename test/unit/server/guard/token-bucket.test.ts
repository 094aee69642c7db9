import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Rate } from '../../../../src/server/guard/limits.ts';
import { SourceHash } from '../../../../src/server/guard/source-hash.ts';
import { TokenBucket, TokenTable } from '../../../../src/server/guard/token-bucket.ts';
import { seededRandom } from './fixtures.ts';

/** How many of `tries` takes at the same time succeed. */
function taken(take: () => boolean, tries: number): number {
  return Array.from({ length: tries }, take).filter(Boolean).length;
}

/** The textbook's bucket, in integers: a token is worth `intervalMs`. */
class NaiveBucket {
  readonly #intervalMs: number;
  readonly #capacityMs: number;
  #levelMs: number;
  #lastMs = 0;

  constructor(intervalMs: number, burst: number) {
    this.#intervalMs = intervalMs;
    this.#capacityMs = burst * intervalMs;
    this.#levelMs = this.#capacityMs;
  }

  take(nowMs: number): boolean {
    this.#levelMs = Math.min(this.#levelMs + nowMs - this.#lastMs, this.#capacityMs);
    this.#lastMs = nowMs;
    if (this.#levelMs < this.#intervalMs) return false;
    this.#levelMs -= this.#intervalMs;
    return true;
  }
}

const intervals = fc.constantFrom(1, 2, 4, 5, 10, 20, 50, 100, 500, 1000);
const bursts = fc.integer({ min: 1, max: 20 });

const forms: readonly [string, (rate: Rate) => { take(nowMs: number): boolean }][] = [
  ['TokenBucket', (rate) => new TokenBucket(rate)],
  [
    'TokenTable per source',
    (rate) => {
      const table = TokenTable.own(rate, seededRandom(1));
      return { take: (nowMs) => table.take(0, 0xc0000201, nowMs) };
    },
  ],
];

describe.each(forms)('%s', (_name, create) => {
  it.each([1, 3, 7, 400, 20_000])('starts with a full burst of %d', (burst) => {
    for (const perSecond of [1, 3, 7, 200, 20_000]) {
      const bucket = create({ perSecond, burst });
      expect(
        taken(() => bucket.take(123_456.789), burst + 5),
        `${perSecond} a second`,
      ).toBe(burst);
    }
  });

  it('refills a token after its interval, not before', () => {
    const bucket = create({ perSecond: 10, burst: 2 });
    expect(taken(() => bucket.take(1000), 3)).toBe(2);
    expect(bucket.take(1099)).toBe(false);
    expect(bucket.take(1100)).toBe(true);
    expect(bucket.take(1100)).toBe(false);
  });

  it('never holds more than the burst', () => {
    const bucket = create({ perSecond: 10, burst: 2 });
    expect(taken(() => bucket.take(0), 3)).toBe(2);
    expect(taken(() => bucket.take(3_600_000), 5)).toBe(2);
  });

  it('charges nothing for a refused request', () => {
    const bucket = create({ perSecond: 1, burst: 1 });
    expect(bucket.take(0)).toBe(true);
    expect(taken(() => bucket.take(500), 1000)).toBe(0);
    expect(bucket.take(1000)).toBe(true);
  });

  it.each([1, 5, Infinity])('never refuses at an infinite rate with a burst of %d', (burst) => {
    const bucket = create({ perSecond: Infinity, burst });
    expect(taken(() => bucket.take(1), 10_000)).toBe(10_000);
  });

  it('never refuses with an infinite burst', () => {
    const bucket = create({ perSecond: 1, burst: Infinity });
    expect(taken(() => bucket.take(1), 10_000)).toBe(10_000);
  });

  it('never refills at a rate of 0', () => {
    const bucket = create({ perSecond: 0, burst: 3 });
    expect(taken(() => bucket.take(0), 10)).toBe(3);
    expect(bucket.take(1e10)).toBe(false);
  });

  it('always refuses with a burst of 0', () => {
    expect(taken(() => create({ perSecond: 10, burst: 0 }).take(5000), 10)).toBe(0);
  });

  it('behaves like a textbook token bucket', () => {
    fc.assert(
      fc.property(intervals, bursts, fc.array(fc.integer({ min: 0, max: 300 })), (intervalMs, burst, steps) => {
        const bucket = create({ perSecond: 1000 / intervalMs, burst });
        const naive = new NaiveBucket(intervalMs, burst);
        let nowMs = 0;
        for (const step of steps) {
          nowMs += step;
          expect(bucket.take(nowMs)).toBe(naive.take(nowMs));
        }
      }),
    );
  });
});

/** With memory in which another process has written. */
const shared: readonly [string, (rate: Rate, written: number) => { take(nowMs: number): boolean }][] = [
  ['TokenBucket', (rate, written) => new TokenBucket(rate, Float64Array.of(written))],
  [
    'TokenTable',
    (rate, written) => {
      const table = new TokenTable(rate, SourceHash.random(seededRandom(1)), new Float64Array(32).fill(written));
      return { take: (nowMs) => table.take(0, 1, nowMs) };
    },
  ],
];

describe.each(shared)('%s in shared memory', (_name, create) => {
  const nowMs = 1e6;

  it('keeps to its rate, soon after anything was written into it', () => {
    fc.assert(
      fc.property(intervals, bursts, fc.double(), (intervalMs, burst, written) => {
        const bucket = create({ perSecond: 1000 / intervalMs, burst }, written);
        bucket.take(nowMs);
        const laterMs = nowMs + (burst + 2) * intervalMs + 10_000;
        expect(taken(() => bucket.take(laterMs), burst + 5)).toBe(burst);
      }),
      { examples: [Infinity, Number.NaN, 1e300, nowMs + 10_000, -Infinity].map((written) => [10, 5, written]) },
    );
  });

  it('does not forget what a process has taken whose time is a little ahead', () => {
    const bucket = create({ perSecond: 10, burst: 5 }, 0);
    expect(taken(() => bucket.take(nowMs), 10)).toBe(5);
    for (const behindMs of [0.001, 1, 1000, 9000]) expect(bucket.take(nowMs - behindMs)).toBe(false);
  });
});

describe('TokenBucket.ready', () => {
  it('returns what take would, without taking a token', () => {
    const bucket = new TokenBucket({ perSecond: 1, burst: 1 });
    expect(taken(() => bucket.ready(0), 5)).toBe(5);
    expect(bucket.take(0)).toBe(true);
    expect(bucket.ready(999)).toBe(false);
    expect(bucket.ready(1000)).toBe(true);
  });
});

describe('TokenTable', () => {
  const single = { perSecond: 1, burst: 1 };

  it('counts each source separately', () => {
    const table = TokenTable.own(single, seededRandom(1));
    expect(table.take(0, 1, 0)).toBe(true);
    expect(table.take(0, 1, 0)).toBe(false);
    expect(table.take(0, 2, 0)).toBe(true);
    expect(table.take(1, 1, 0)).toBe(true);
    expect(table.take(0x80000000, 0xffffff00, 0)).toBe(true);
    // The same words, signed.
    expect(table.take(0x80000000 | 0, 0xffffff00 | 0, 0)).toBe(false);
  });

  it('uses every byte of both words', () => {
    const table = TokenTable.own(single, seededRandom(1));
    const sources = [0, ...Array.from({ length: 32 }, (_, bit) => 2 ** bit)];
    expect(sources.filter((high) => !table.take(high, 0, 0))).toEqual([]);
    expect(sources.slice(1).filter((low) => !table.take(0, low, 0))).toEqual([]);
  });

  it('uses every byte of the host, too', () => {
    const table = TokenTable.own(single, seededRandom(1));
    const hosts = [0, ...Array.from({ length: 32 }, (_, bit) => 2 ** bit)];
    expect(hosts.filter((high) => !table.take(1, 2, 0, high, 0))).toEqual([]);
    expect(hosts.slice(1).filter((low) => !table.take(1, 2, 0, 0, low))).toEqual([]);
  });

  it('refuses an innocent source only if both slots collide, about 1 in 16 * 16', () => {
    const random = seededRandom(7);
    const tries = 4000;
    let spoilt = 0;
    for (let run = 0; run < tries; run++) {
      const table = TokenTable.own(single, random, 16);
      taken(() => table.take(0, 1, 0), 100);
      if (!table.take(0, 2, 0)) spoilt++;
    }
    // One row would spoil 250, both of them 16.
    expect(spoilt).toBeGreaterThan(4);
    expect(spoilt).toBeLessThan(40);
  });

  it('barely affects 1,000 other sources during a flood', () => {
    const table = TokenTable.own(single, seededRandom(3));
    taken(() => table.take(0, 0x0a000000, 0), 10_000);
    const refused = Array.from({ length: 1000 }, (_, at) => table.take(0, 0xc0000000 + at * 256, 0)).filter(
      (ok) => !ok,
    );
    expect(refused.length).toBeLessThanOrEqual(5);
  });

  it('maps sources to slots by seed', () => {
    const patterns = Array.from({ length: 10 }, (_, seed) => {
      const table = TokenTable.own(single, seededRandom(seed), 2);
      return Array.from({ length: 32 }, (__, source) => table.take(0, source, 0)).join();
    });
    expect(new Set(patterns).size).toBeGreaterThan(1);
  });

  it('never grants a source more than its own bucket would, even with shared slots', () => {
    const requests = fc.array(fc.record({ source: fc.nat(9), step: fc.nat(3) }), { minLength: 100, maxLength: 400 });
    fc.assert(
      fc.property(requests, fc.integer(), bursts, (list, seed, burst) => {
        const table = TokenTable.own({ perSecond: 100, burst }, seededRandom(seed), 4);
        const own = Array.from({ length: 10 }, () => new NaiveBucket(10, burst));
        let nowMs = 0;
        for (const { source, step } of list) {
          nowMs += step;
          if (table.take(0, source, nowMs)) expect(own[source]?.take(nowMs)).toBe(true);
        }
      }),
      { numRuns: 300 },
    );
  });
});
