import { describe, expect, it, vi } from 'vitest';
import { reflectExtensions } from '../../../src/services/stamp-extensions.ts';

function reflected(hex: string, from: { dscp: number | undefined; ecn: number | undefined }): string {
  const extensions = Buffer.from(hex.replaceAll(' ', ''), 'hex');
  reflectExtensions(extensions, from);
  return extensions.toString('hex');
}

const plain = { dscp: 0, ecn: 0 };

function empty(count: number, flags: string): string {
  return `${flags}c80000`.repeat(count);
}

describe('the TLVs of a reply (RFC 8972)', () => {
  it.each([
    ['nothing', '', ''],
    ['Extra Padding is recognized', '80 01 0004 deadbeef', '00 01 0004 deadbeef'],
    ['an unknown type gets U', '80 c8 0002 abcd', '80 c8 0002 abcd'],
    ['also if the sender did not set it', '00 c8 0002 abcd', '80 c8 0002 abcd'],
    ['and no other flag', 'ff c8 0002 abcd', '80 c8 0002 abcd'],
    ['a type of length 0', '80 c8 0000', '80 c8 0000'],
    [
      'those that are not ours to answer: Location, Timestamp, HMAC',
      '80020000 80030000 80080000',
      '800200008003000080080000',
    ],
    ['several in a row', '80 c8 0002 abcd 80 01 0001 ff', '80 c8 0002 abcd 00 01 0001 ff'],
    ['one that is longer than what is left gets M', '80 01 0005 deadbeef', '40 01 0005 deadbeef'],
    ['an unknown one U and M', '80 c8 ffff deadbeef', 'c0 c8 ffff deadbeef'],
    ['and nothing after it is read', '80 c8 0009 80010000 80c80000', 'c0 c8 0009 80010000 80c80000'],
    ['a header that is cut off gets M', '80 01 0000 80 01 00', '00 01 0000 40 01 00'],
    ['zeros are padding', '00000000 00000000 0000', '00000000 00000000 0000'],
    ['also after TLVs, and whatever they hide', '80 01 0000 00000000 80c80000', '00 01 0000 00000000 80c80000'],
    ['fewer than four zeros too', '80 01 0000 000000', '00 01 0000 000000'],
  ])('%s', (_what, request, reply) => {
    expect(reflected(request, plain)).toBe(reply.replaceAll(' ', ''));
  });
});

describe('a packet with many TLVs', () => {
  it('has the first 64 looked at, and the others returned as they are', () => {
    expect(reflected(empty(16_000, '00'), plain)).toBe(empty(64, '80') + empty(16_000 - 64, '00'));
    // What an honest sender has set says the truth: they are not recognized.
    expect(reflected(empty(64, '80') + '80010000', plain)).toBe(empty(64, '80') + '80010000');
    expect(reflected(empty(63, '80') + '80010000', plain)).toBe(empty(63, '80') + '00010000');
    // Nor is a header that is cut off.
    expect(reflected(`${empty(65, '80')}800100`, plain)).toBe(`${empty(65, '80')}800100`);
    expect(reflected(`${empty(64, '80')}800100`, plain)).toBe(`${empty(64, '80')}400100`);
  });

  it.each(['80c80000', '80010000', '80040000', '800400040000 0000', '80c8000100'])(
    'takes no more work than one with 64: %s',
    (tlv) => {
      const hex = tlv.replaceAll(' ', '');
      const accessesTo = (count: number): number => {
        const extensions = Buffer.from(hex.repeat(count), 'hex');
        const names = ['readUInt8', 'readUInt16BE', 'readUInt32BE', 'writeUInt8', 'writeUInt16BE'] as const;
        const spies = names.map((name) => vi.spyOn(extensions, name));
        reflectExtensions(extensions, plain);
        return spies.reduce((sum, spy) => sum + spy.mock.calls.length, 0);
      };
      // It sees that there is one more.
      expect(accessesTo(8000)).toBe(accessesTo(65));
      expect(accessesTo(65)).toBeLessThanOrEqual(accessesTo(64) + 1);
    },
  );
});

describe('Class of Service (RFC 8972 section 4.4)', () => {
  // DSCP1 46, then DSCP2, ECN and RP, which the sender leaves 0.
  const wanted = '80 04 0004 b800 0000';

  it('reports DSCP and ECN as they arrived', () => {
    // 101110 101110 10 00
    expect(reflected(wanted, { dscp: 46, ecn: 2 })).toBe('00040004bae80000');
  });

  it('rejects a DSCP other than that of the request', () => {
    // 101110 001010 01 01
    expect(reflected(wanted, { dscp: 10, ecn: 1 })).toBe('00040004b8a50000');
  });

  it('overwrites what the sender put into the answer', () => {
    expect(reflected('80 04 0004 bbff 1234', { dscp: 46, ecn: 0 })).toBe('00040004bae01234');
  });

  it('is malformed with another length', () => {
    expect(reflected('80 04 0002 b800 80 c8 0000', { dscp: 46, ecn: 0 })).toBe('40040002b80080c80000');
  });

  it('is not recognized where the system does not tell the DSCP', () => {
    expect(reflected(wanted, { dscp: undefined, ecn: undefined })).toBe('80040004b8000000');
  });
});
