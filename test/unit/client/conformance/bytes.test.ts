import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { describeBytes } from '../../../../src/client/conformance/bytes.ts';

describe('describeBytes', () => {
  test.each([
    [[], 'nothing'],
    [[0x41], '"A" (1 byte)'],
    [[0x22, 0x5c, 0x0d, 0x0a], '"\\"\\\\\\r\\n" (4 bytes)'],
    [[0x41, 0x42, 0x1b], '"AB\\x1b" (3 bytes)'],
    [[0xee, 0xad, 0x4b, 0x60], 'ee ad 4b 60 (4 bytes)'],
  ])('describes %j as %s', (bytes, words) => {
    expect(describeBytes(Uint8Array.from(bytes))).toBe(words);
  });

  test('shows only the first 48 bytes of a long buffer', () => {
    expect(describeBytes(Buffer.alloc(1024, 'a'))).toBe(`"${'a'.repeat(48)}…" (1024 bytes)`);
  });

  test('emits only printable characters', () => {
    fc.assert(fc.property(fc.uint8Array(), (bytes) => /^[ -~…]*$/.test(describeBytes(bytes))));
  });
});
