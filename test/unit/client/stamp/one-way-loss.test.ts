import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OneWayLossCounter } from '../../../../src/client/stamp/one-way-loss.ts';

/** What becomes of a request. */
const fate = fc.constantFrom('answered', 'lost there', 'lost back');

describe('a reflector that counts', () => {
  it('tells the directions of loss apart, up to the last answer', () => {
    fc.assert(
      fc.property(fc.array(fate, { maxLength: 60 }), fc.nat({ max: 5 }), (fates, earlier) => {
        const counter = new OneWayLossCounter();
        // With an earlier session, the first request must be answered for its numbers to be understood.
        const all = earlier > 0 ? (['answered', ...fates] as const) : fates;
        let number = earlier;
        for (const [request, each] of all.entries()) {
          if (each === 'answered') counter.heard(request, number, false);
          if (each !== 'lost there') number += 1;
        }
        const known = all.slice(0, all.lastIndexOf('answered') + 1);
        const count = (wanted: string): number => known.filter((each) => each === wanted).length;
        const expected = {
          forward: count('lost there'),
          backward: count('lost back'),
          unknown: all.length - known.length,
        };
        expect(counter.summary(all.length)).toEqual(known.length === 0 ? undefined : expected);
      }),
    );
  });

  it('is understood if packets overtake each other on either way', () => {
    const counter = new OneWayLossCounter();
    for (const [request, number] of [
      [1, 0],
      [3, 3],
      [0, 1],
      [2, 2],
    ] as const)
      counter.heard(request, number, false);
    expect(counter.summary(4)).toEqual({ forward: 0, backward: 0, unknown: 0 });
  });

  it('is understood if packets are duplicated on either way', () => {
    const counter = new OneWayLossCounter();
    counter.heard(0, 0, false);
    counter.heard(0, 1, true);
    counter.heard(2, 2, false);
    counter.heard(2, 2, true);
    expect(counter.summary(3)).toEqual({ forward: 1, backward: 0, unknown: 0 });
  });

  it('says nothing more once it has begun to count again', () => {
    const counter = new OneWayLossCounter();
    counter.heard(0, 0, false);
    counter.heard(5, 0, false);
    expect(counter.summary(6)).toBeUndefined();
  });

  it('fills no memory with numbers at random', () => {
    const counter = new OneWayLossCounter();
    for (let reply = 0; reply < 150_000; reply += 1) counter.heard(0, (reply * 2_654_435_761) % 2 ** 32, reply > 0);
    expect(counter.known).toBeGreaterThan(32_768);
    expect(counter.known).toBeLessThanOrEqual(65_536);
  });

  it('differs from one that copies numbers as soon as a request is lost', () => {
    const counter = new OneWayLossCounter();
    counter.heard(0, 0, false);
    expect(counter.isCopying).toBe(true);
    counter.heard(2, 1, false);
    expect(counter.isCopying).toBe(false);
  });
});
