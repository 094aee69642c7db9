import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Jitter, OneWayDelay } from '../../../../src/client/stamp/one-way-delay.ts';

describe('the jitter of RFC 3550', () => {
  it('moves by a sixteenth of each difference', () => {
    const jitter = new Jitter();
    jitter.record(10);
    expect(jitter.ms).toBeUndefined();
    jitter.record(26);
    expect(jitter.ms).toBe(1);
    jitter.record(26);
    expect(jitter.ms).toBe(15 / 16);
  });

  it('does not depend on how far the clocks are apart', () => {
    const delays = fc.array(fc.integer({ min: 0, max: 1000 }), { minLength: 2, maxLength: 50 });
    fc.assert(
      fc.property(delays, fc.integer({ min: -1e9, max: 1e9 }), (all, offset) => {
        const [near, far] = [new Jitter(), new Jitter()];
        for (const each of all) {
          near.record(each);
          far.record(each + offset);
        }
        expect(far.ms).toBe(near.ms);
        expect(near.ms).toBeLessThanOrEqual(1000);
      }),
    );
  });
});

describe('the delay in one direction', () => {
  it('is summarized, even if it is negative', () => {
    const delay = new OneWayDelay();
    expect(delay.summary()).toBeUndefined();
    for (const ms of [-1, 2, 5]) delay.record(ms);
    expect(delay.summary()).toEqual({ count: 3, minMs: -1, meanMs: 2, maxMs: 5 });
  });
});
