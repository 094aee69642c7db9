import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { growthOf, type Rest, slices } from './growth.ts';

const requestsOfSlice = 2000;

/** A process at rest before the first slice and after each. */
function series(
  heldAfter: (requests: number, slice: number) => number,
  descriptorsAfter = (_slice: number) => 35,
): Rest[] {
  return Array.from({ length: slices + 1 }, (_rest, slice) => {
    const requests = slice * requestsOfSlice;
    return {
      requests,
      heldBytes: 20_000_000 + heldAfter(requests, slice),
      residentBytes: 100_000_000 + slice,
      descriptors: descriptorsAfter(slice),
    };
  });
}

/** What remains of a garbage collection differs by so much. */
const noise = fc.array(fc.integer({ min: -10_000, max: 10_000 }), { minLength: slices + 1, maxLength: slices + 1 });

describe('growthOf', () => {
  test('a process that keeps nothing does not grow, whatever its warm-up took', () => {
    const { heldBytes, heldBytesPerRequest } = growthOf(
      series((_requests, slice) => (slice < 2 ? slice * 300_000 : 600_000)),
    );
    expect({ heldBytes, heldBytesPerRequest }).toEqual({ heldBytes: 0, heldBytesPerRequest: 0 });
  });

  test.each([1, 8, 16, 56])('a leak of %d bytes a request', (leak) => {
    const { heldBytes, heldBytesPerRequest } = growthOf(series((requests) => leak * requests));
    expect(heldBytes).toBe(leak * 8 * requestsOfSlice);
    expect(heldBytesPerRequest).toBe(leak);
  });

  test('a leak of 16 bytes a request is above 12 under any noise, and none is far below', () => {
    fc.assert(
      fc.property(noise, (bytes) => {
        expect(
          growthOf(series((requests, slice) => 16 * requests + (bytes[slice] ?? 0))).heldBytesPerRequest,
        ).toBeGreaterThan(12);
        expect(growthOf(series((_requests, slice) => bytes[slice] ?? 0)).heldBytesPerRequest).toBeLessThan(4);
      }),
    );
  });

  test.each([4, 6, 9])('a rest out of line, after slice %d, is no slope', (odd) => {
    expect(growthOf(series((_requests, slice) => (slice === odd ? 500_000 : 0))).heldBytesPerRequest).toBe(0);
  });

  test('descriptors and resident memory are those after the first slice and after the last', () => {
    const { descriptors, residentBytes } = growthOf(
      series(
        () => 0,
        (slice) => 30 + slice,
      ),
    );
    expect(descriptors).toEqual([31, 30 + slices]);
    expect(residentBytes).toEqual([100_000_001, 100_000_000 + slices]);
  });

  test('too few rests', () => {
    expect(() => growthOf(series(() => 0).slice(0, 3))).toThrow('3 rests are too few to see a growth');
  });
});
