import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeStampReply, encodeStampRequest, stampTime } from '../../../../src/client/stamp/packet.ts';

const request = { sequence: 7, session: 0x1234, isSynchronized: true, errorUs: 1, dscp: 46 } as const;

describe('a test packet', () => {
  it('has Class of Service and padding after the base packet, byte for byte', () => {
    const packet = encodeStampRequest({ ...request, sizeBytes: 58 });
    stampTime(packet, 1_795_345_632e6 + 500_000);
    expect(packet.toString('hex')).toBe(
      [
        '00000007',
        'eead4b6080000000',
        '8587', // synchronized, 135 × 2^(5 − 32) s
        '1234',
        '00'.repeat(28),
        '80040004', // U, Class of Service, 4 bytes
        'b8000000', // DSCP 46
        '80010002', // U, Extra Padding, 2 bytes
        '0000',
      ].join(''),
    );
  });

  it.each([44, 51, 52, 55, 56, 1472])('has %i bytes', (sizeBytes) => {
    expect(encodeStampRequest({ ...request, sizeBytes })).toHaveLength(sizeBytes);
  });
});

describe('a reply', () => {
  it('is decoded field by field', () => {
    const hex = [
      '00000003',
      'eead4b60c0000000',
      '2001',
      '1234',
      'eead4b6080000000',
      '00000007',
      'eead4b6040000000',
      '8587',
      '0000',
      '3d',
      '000000',
      '00040004',
      'b8a90000', // DSCP1 46, DSCP2 10, ECN 2, RP 1
    ].join('');
    expect(decodeStampReply(Buffer.from(hex, 'hex'))).toEqual({
      sequence: 3,
      session: 0x1234,
      senderSequence: 7,
      senderTime: { seconds: 0xeead4b60, fraction: 0x40000000 },
      receivedAt: { seconds: 0xeead4b60, fraction: 0x80000000 },
      sentAt: { seconds: 0xeead4b60, fraction: 0xc0000000 },
      clock: { isSynchronized: false, format: 'ntp', errorMs: 1000 },
      ttl: 61,
      classOfService: { dscp: 10, ecn: 2 },
    });
  });

  it('without knowledge of Class of Service tells none', () => {
    const packet = encodeStampRequest({ ...request, sizeBytes: 52 });
    expect(decodeStampReply(packet)?.classOfService).toBeUndefined();
  });

  it('of any bytes is decoded or refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        expect(decodeStampReply(bytes) === undefined).toBe(bytes.length < 41);
      }),
    );
  });
});
