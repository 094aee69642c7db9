import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  errorEstimate,
  msBetween,
  ntpTime,
  readErrorEstimate,
  readNtpTime,
  readPtpTime,
  writeNtpTime,
} from '../../../src/clock/ntp-format.ts';

/** 2026-11-22T11:07:12Z is eead4b60 in NTP's seconds. */
const noonUs = 1_795_345_632e6;

describe('times in the format of NTP', () => {
  it('count seconds from 1900, and their fraction', () => {
    const packet = Buffer.alloc(8);
    writeNtpTime(packet, 0, noonUs + 250_000);
    expect(packet.toString('hex')).toBe('eead4b6040000000');
    expect(readNtpTime(packet, 0)).toEqual(ntpTime(noonUs + 250_000));
  });

  it('differ by what they were apart, to a microsecond, in 2036 as well', () => {
    const us = fc.integer({ min: 0, max: 3_000_000_000_000_000 });
    const apartUs = fc.integer({ min: -60_000_000, max: 60_000_000 });
    fc.assert(
      fc.property(us, apartUs, (at, apart) => {
        expect(Math.abs(msBetween(ntpTime(at), ntpTime(at + apart)) * 1000 - apart)).toBeLessThan(0.01);
      }),
    );
  });

  it('can be compared with those of PTP among themselves', () => {
    const [earlier, later] = [Buffer.alloc(8), Buffer.alloc(8)];
    earlier.writeUInt32BE(7);
    earlier.writeUInt32BE(999_000_000, 4);
    later.writeUInt32BE(8);
    later.writeUInt32BE(1_500_000, 4);
    expect(msBetween(readPtpTime(earlier, 0), readPtpTime(later, 0))).toBeCloseTo(2.5, 6);
  });
});

describe('error estimates', () => {
  it('come back at least as large, by less than one part in 64', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 16_000_000 }), fc.boolean(), (errorUs, isSynchronized) => {
        const read = readErrorEstimate(errorEstimate(errorUs, isSynchronized));
        expect(read).toMatchObject({ isSynchronized, format: 'ntp' });
        expect(read.errorMs * 1000).toBeGreaterThanOrEqual(errorUs * (1 - 1e-9));
        expect(read.errorMs * 1000).toBeLessThan(errorUs * (1 + 1 / 64) + 0.001);
      }),
    );
  });

  it('say which format the times have', () => {
    expect(readErrorEstimate(0xc001)).toMatchObject({ isSynchronized: true, format: 'ptp' });
    expect(readErrorEstimate(0x2001)).toEqual({ isSynchronized: false, format: 'ntp', errorMs: 1000 });
  });
});
