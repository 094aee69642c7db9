import { assert, integer, property } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isAnswerLength, makePayloads, payloadCount } from '../../../../src/client/load/lane.ts';

describe('payloads', () => {
  it('have the requested size and differ from each other in every byte', () => {
    const turn = integer({ min: 0, max: payloadCount - 1 });
    assert(
      property(integer({ min: 1, max: 3000 }), turn, turn, (size, one, other) => {
        const payloads = makePayloads(size);
        expect(payloads).toHaveLength(payloadCount);
        const [first, second] = [payloads[one] as Buffer, payloads[other] as Buffer];
        expect(first).toHaveLength(size);
        expect(first.some((byte, index) => byte === second[index])).toBe(one === other);
      }),
    );
  });

  it('cover every byte value', () => {
    expect(new Set(makePayloads(1).map((payload) => payload[0])).size).toBe(256);
  });
});

describe('isAnswerLength', () => {
  it.each([
    ['time', 0, false],
    ['time', 3, false],
    ['time', 4, true],
    ['time', 8, true],
    ['time', 26, false],
    ['daytime', 0, false],
    ['daytime', 1, true],
  ] as const)('checks a %s answer of %i bytes', (service, length, isRight) => {
    expect(isAnswerLength(service, length)).toBe(isRight);
  });
});
