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
  test('reports no growth for a process without a leak, regardless of warm-up', () => {
    const { heldBytes, heldBytesPerRequest } = growthOf(
      series((_requests, slice) => (slice < 2 ? slice * 300_000 : 600_000)),
    );
    expect({ heldBytes, heldBytesPerRequest }).toEqual({ heldBytes: 0, heldBytesPerRequest: 0 });
  });

  test.each([1, 8, 16, 56])('measures a leak of %d bytes per request', (leak) => {
    const { heldBytes, heldBytesPerRequest } = growthOf(series((requests) => leak * requests));
    expect(heldBytes).toBe(leak * 8 * requestsOfSlice);
    expect(heldBytesPerRequest).toBe(leak);
  });

  test('tells a leak of 16 bytes per request from no leak under any noise', () => {
    fc.assert(
      fc.property(noise, (bytes) => {
        expect(
          growthOf(series((requests, slice) => 16 * requests + (bytes[slice] ?? 0))).heldBytesPerRequest,
        ).toBeGreaterThan(12);
        expect(growthOf(series((_requests, slice) => bytes[slice] ?? 0)).heldBytesPerRequest).toBeLessThan(4);
      }),
    );
  });

  test.each([4, 6, 9])('ignores an outlier after slice %d', (odd) => {
    expect(growthOf(series((_requests, slice) => (slice === odd ? 500_000 : 0))).heldBytesPerRequest).toBe(0);
  });

  test('reports descriptors and resident memory after the first and the last slice', () => {
    const { descriptors, residentBytes } = growthOf(
      series(
        () => 0,
        (slice) => 30 + slice,
      ),
    );
    expect(descriptors).toEqual([31, 30 + slices]);
    expect(residentBytes).toEqual([100_000_001, 100_000_000 + slices]);
  });

  test('rejects too few samples', () => {
    expect(() => growthOf(series(() => 0).slice(0, 3))).toThrow('3 rests are too few to see a growth');
  });
});
