import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { firstDifference } from '../../../src/client/first-difference.ts';

test.each([
  [[], [], undefined],
  [[1, 2], [1, 2], undefined],
  [[1, 2], [1, 3], 1],
  [[1, 2], [1], 1],
  [[], [1], 0],
])('%j and %j first differ at %j', (one, other, at) => {
  expect(firstDifference(Uint8Array.from(one), Uint8Array.from(other))).toBe(at);
});

test('buffers are equal up to the first difference and differ there', () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array(), fc.uint8Array(), (start, one, other) => {
      const first = Buffer.concat([start, one]);
      const second = Buffer.concat([start, other]);
      const at = firstDifference(first, second);
      if (at === undefined) return first.equals(second);
      return first.subarray(0, at).equals(second.subarray(0, at)) && first[at] !== second[at];
    }),
  );
});
