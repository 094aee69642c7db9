import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EchoPayloads, headerBytes } from '../../../../src/client/echo/payload.ts';
import { seededRandom } from '../../server/guard/fixtures.ts';

const seed = fc.integer();
const sent = 1000;
const sequence = fc.nat(sent - 1);

function payloads(sizeBytes: number, from: number): EchoPayloads {
  return new EchoPayloads(sizeBytes, seededRandom(from));
}

describe('payloads with a header', () => {
  const size = fc.integer({ min: headerBytes, max: 2000 });

  it('are recognized even if no request is unanswered', () => {
    fc.assert(
      fc.property(size, sequence, seed, (sizeBytes, number, from) => {
        const run = payloads(sizeBytes, from);
        const payload = run.make(number);
        expect(payload).toHaveLength(sizeBytes);
        expect(run.recognize(payload, sent, [])).toEqual({ kind: 'right', sequence: number });
      }),
    );
  });

  it('reveal any changed byte', () => {
    fc.assert(
      fc.property(
        size,
        sequence,
        seed,
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (sizeBytes, number, from, at, by) => {
          const run = payloads(sizeBytes, from);
          const answer = Buffer.from(run.make(number));
          const offset = at % sizeBytes;
          answer[offset] = (answer[offset] ?? 0) ^ by;
          const recognized = run.recognize(answer, sent, []);
          expect(recognized.kind).toBe('corrupted');
          if (offset >= headerBytes) expect(recognized).toEqual({ kind: 'corrupted', sequence: number, offset });
          else expect(recognized).toMatchObject({ sequence: undefined });
        },
      ),
    );
  });

  it('reveal missing and extra bytes', () => {
    fc.assert(
      fc.property(size, sequence, seed, fc.nat(), (sizeBytes, number, from, at) => {
        const run = payloads(sizeBytes, from);
        const payload = run.make(number);
        const length = at % sizeBytes;
        const recognized = run.recognize(payload.subarray(0, length), sent, []);
        expect(recognized).toMatchObject({ kind: 'corrupted', offset: length });
        const longer = run.recognize(Buffer.concat([payload, Buffer.alloc(1)]), sent, []);
        expect(longer).toEqual({ kind: 'corrupted', sequence: number, offset: sizeBytes });
      }),
    );
  });

  it('are corrupted if they belong to another run or were not sent yet', () => {
    const run = payloads(100, 1);
    expect(run.recognize(payloads(100, 2).make(0), sent, [])).toMatchObject({ kind: 'corrupted', sequence: undefined });
    expect(run.recognize(run.make(5), 5, [])).toEqual({ kind: 'corrupted', sequence: undefined, offset: 8 });
  });
});

describe('payloads without a header', () => {
  const size = fc.integer({ min: 1, max: headerBytes - 1 });

  it('match the unanswered request with the same bytes', () => {
    fc.assert(
      fc.property(size, sequence, seed, (sizeBytes, number, from) => {
        const run = payloads(sizeBytes, from);
        const unanswered = [number - 1, number, number + 1].filter((each) => each >= 0);
        expect(run.recognize(run.make(number), sent, unanswered)).toEqual({ kind: 'right', sequence: number });
      }),
    );
  });

  it('match the last request with the same bytes if no unanswered request does', () => {
    const run = payloads(4, 1);
    expect(run.recognize(run.make(3), 10, [7, 8])).toEqual({ kind: 'right', sequence: 3 });
    expect(run.recognize(run.make(3), 300, [])).toEqual({ kind: 'right', sequence: 259 });
  });

  it('are corrupted if no request matches', () => {
    const run = payloads(4, 1);
    const answer = Buffer.from(run.make(0));
    answer[2] = (answer[2] ?? 0) ^ 1;
    expect(run.recognize(answer, 3, [0, 1])).toEqual({ kind: 'corrupted', sequence: undefined, offset: 2 });
    expect(run.recognize(run.make(1).subarray(0, 3), 3, [1])).toEqual({
      kind: 'corrupted',
      sequence: undefined,
      offset: 3,
    });
  });

  it('match the oldest unanswered request if empty', () => {
    const run = payloads(0, 1);
    expect(run.recognize(Buffer.alloc(0), 9, [4, 6])).toEqual({ kind: 'right', sequence: 4 });
    expect(run.recognize(Buffer.alloc(0), 9, [])).toEqual({ kind: 'right', sequence: 8 });
    expect(run.recognize(Buffer.from('x'), 9, [])).toMatchObject({ kind: 'corrupted', offset: 0 });
  });
});
