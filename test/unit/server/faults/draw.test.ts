import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { drawCut, drawDelayMs, drawTimeMs, flipBit, happens } from '../../../../src/server/faults/draw.ts';
import { FaultRandom } from '../../../../src/server/faults/fault-random.ts';
import type { DelayFault } from '../../../../src/server/faults/fault-rules.ts';

const count = 100_000;

function drawMany(fault: DelayFault): readonly number[] {
  const { next } = new FaultRandom(11, 0);
  return Array.from({ length: count }, () => drawDelayMs(fault, next));
}

function drawWith(distribution: DelayFault['distribution']): readonly number[] {
  return drawMany({ probability: 1, timeMs: 100, jitterMs: 10, distribution });
}

/** How many are five deviations late. */
function lateOf(distribution: DelayFault['distribution']): number {
  return drawWith(distribution).filter((ms) => ms > 150).length;
}

function unused(): number {
  throw new Error('a number was drawn');
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

describe('a delay', () => {
  it('is its time without jitter', () => {
    const fault = { probability: 1, timeMs: 20, jitterMs: 0, distribution: 'normal' } as const;
    expect(new Set(drawMany(fault))).toEqual(new Set([20]));
  });

  it.each([
    ['normal', 10],
    ['pareto', 10],
    ['uniform', 10 / Math.sqrt(3)],
  ] as const)('with %s jitter has the mean and the deviation of its config', (distribution, deviation) => {
    const values = drawMany({ probability: 1, timeMs: 100, jitterMs: 10, distribution });
    const mean = meanOf(values);
    expect(mean).toBeCloseTo(100, 0);
    const variance = meanOf(values.map((value) => (value - mean) ** 2));
    // The fourth moment of the Pareto distribution is infinite: its variance settles slowly.
    expect(Math.abs(Math.sqrt(variance) / deviation - 1)).toBeLessThan(distribution === 'pareto' ? 0.25 : 0.02);
  });

  it('with uniform jitter stays within it, and with Pareto jitter has a longer tail than a normal one', () => {
    const uniform = drawWith('uniform');
    expect(uniform.every((ms) => ms >= 90 && ms <= 110)).toBe(true);
    expect(lateOf('normal')).toBeLessThan(5);
    expect(lateOf('pareto')).toBeGreaterThan(200);
  });

  it('is never below zero, and never longer than a timer can take', () => {
    fc.assert(
      fc.property(
        fc.record({
          probability: fc.double({ min: 0, max: 1, noNaN: true }),
          timeMs: fc.integer({ min: 0, max: 3_600_000 }),
          jitterMs: fc.integer({ min: 0, max: 3_600_000 }),
          distribution: fc.constantFrom('normal', 'uniform', 'pareto'),
        }),
        fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), { minLength: 3, maxLength: 3 }),
        (fault, draws) => {
          const rest = [...draws];
          const delayMs = drawDelayMs(fault, () => rest.shift() ?? 0);
          expect(delayMs >= 0 && delayMs < 2 ** 31).toBe(true);
        },
      ),
    );
  });

  it('does not happen with probability 0, without a time, or beyond its probability', () => {
    const fault = { probability: 0.5, timeMs: 10, jitterMs: 0, distribution: 'normal' } as const;
    expect(drawDelayMs({ ...fault, probability: 0 }, () => 0)).toBe(0);
    expect(drawDelayMs({ ...fault, timeMs: null }, () => 0)).toBe(0);
    expect(drawDelayMs(fault, () => 0.5)).toBe(0);
    expect(drawDelayMs(fault, () => 0.499)).toBe(10);
    expect(drawTimeMs(fault, () => 0.5)).toBe(0);
    expect(drawTimeMs(fault, () => 0.499)).toBe(10);
  });
});

it('decides nothing, and draws nothing, for what never happens', () => {
  expect(happens(0, unused)).toBe(false);
  expect(drawCut({ probability: 1, timeMs: null, bytes: null }, unused)).toBeUndefined();
});

it('flips exactly one bit of a copy', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 200 }),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (bytes, random) => {
        const before = Uint8Array.from(bytes);
        const flipped = flipBit(bytes, () => random);
        expect(bytes).toEqual(before);
        expect(flipped).toHaveLength(bytes.length);
        const bits = Array.from(flipped, (byte, index) => (byte ^ bytes[index]!).toString(2).replaceAll('0', ''));
        expect(bits.join('')).toBe('1');
      },
    ),
  );
  expect(flipBit(new Uint8Array(0), () => 0)).toHaveLength(0);
});
