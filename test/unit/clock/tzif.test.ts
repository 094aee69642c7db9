import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LocalTimeType } from '../../../src/clock/posix-zone.ts';
import { parseTzif, typeAt, type ZoneHistory } from '../../../src/clock/tzif.ts';
import { tzifBytes } from './tzif-bytes.ts';

const lmt: LocalTimeType = { offsetSeconds: 561, abbreviation: 'LMT' };
const cet: LocalTimeType = { offsetSeconds: 3600, abbreviation: 'CET' };
const cest: LocalTimeType = { offsetSeconds: 7200, abbreviation: 'CEST' };

const paris = {
  types: [lmt, cet, cest],
  transitions: [
    [-2_000_000_000, 1],
    [1_000, 2],
    [2_000, 1],
  ],
  footer: 'CET-1CEST,M3.5.0,M10.5.0/3',
} as const;

function mustParse(bytes: Uint8Array): ZoneHistory {
  const history = parseTzif(bytes);
  if (history === undefined) throw new Error('the file was refused');
  return history;
}

describe('typeAt', () => {
  const history = mustParse(tzifBytes(paris));

  it.each([
    ['before the first transition', -2_000_000_001, lmt],
    ['at the first transition', -2_000_000_000, cet],
    ['between transitions', 999, cet],
    ['at the second transition', 1_000, cest],
    ['one second before the last transition', 1_999, cest],
  ])('%s', (_name, seconds, type) => {
    expect(typeAt(history, seconds)).toEqual(type);
  });

  it.each([
    ['2026-07-01T12:00:00Z', cest],
    ['2026-12-01T12:00:00Z', cet],
    ['2060-07-01T12:00:00Z', cest],
  ])('uses the footer after the last transition: %s', (instant, type) => {
    expect(typeAt(history, Date.parse(instant) / 1000)).toEqual(type);
  });

  it('keeps the last type if the file has no footer', () => {
    const { footer: _footer, ...versionOne } = paris;
    const old = mustParse(tzifBytes(versionOne));
    expect(typeAt(old, 1_500)).toEqual(cest);
    expect(typeAt(old, 9_900_000_000)).toEqual(cet);
  });

  it('keeps the last type if the footer is empty', () => {
    const history2 = mustParse(tzifBytes({ ...paris, footer: '' }));
    expect(typeAt(history2, 9_900_000_000)).toEqual(cet);
  });

  it('uses only the footer, or the first type, if there are no transitions', () => {
    const jst = { offsetSeconds: 32_400, abbreviation: 'JST' };
    expect(typeAt(mustParse(tzifBytes({ types: [lmt], footer: 'JST-9' })), 0)).toEqual(jst);
    expect(typeAt(mustParse(tzifBytes({ types: [lmt] })), 0)).toEqual(lmt);
  });

  it('uses 64-bit transition times from version 2 on', () => {
    const far = mustParse(tzifBytes({ types: [cet], transitions: [], footer: '' }));
    expect(far.transitions).toEqual([]);
    const bytes = tzifBytes({ types: [lmt, cet], transitions: [[2_000_000_000, 1]], footer: '' });
    // The only transition of the second block moves past what 32 bits hold.
    bytes.writeBigInt64BE(5_000_000_000n, bytes.length - 2 - 8 - 12 - 1 - 8);
    expect(mustParse(bytes).transitions.map(({ at }) => at)).toEqual([5_000_000_000]);
  });

  it('agrees with a linear search', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.integer({ min: -5_000, max: 5_000 }), { maxLength: 40 }),
        fc.integer(),
        (times, seed) => {
          const sorted = times.toSorted((a, b) => a - b);
          const types = Array.from({ length: 6 }, (_, index) => ({ offsetSeconds: index, abbreviation: `T${index}` }));
          const transitions = sorted.map((at, index) => [at, (index * 7 + 1) % 6] as const);
          const seconds = seed % 6_000;
          const history3 = mustParse(tzifBytes({ types, transitions, footer: '' }));
          const expected = transitions.findLast(([at]) => at <= seconds)?.[1] ?? 0;
          expect(typeAt(history3, seconds)).toEqual(types[expected]);
        },
      ),
    );
  });
});

describe('parseTzif refuses', () => {
  const sound = tzifBytes(paris);

  it.each([
    ['no bytes', Buffer.alloc(0)],
    ['a file of another format', Buffer.from('#!/bin/sh\n'.repeat(20))],
    ['an unterminated footer', sound.subarray(0, -1)],
    ['a footer that is not a TZ string', tzifBytes({ ...paris, footer: 'what?' })],
    ['leap seconds', tzifBytes({ ...paris, leapSeconds: 2 })],
    ['no types', tzifBytes({ types: [], footer: '' })],
    ['an unknown type', tzifBytes({ types: [cet], transitions: [[1, 1]], footer: '' })],
    [
      'two transitions at the same time',
      tzifBytes({
        types: [cet],
        transitions: [
          [1, 0],
          [1, 0],
        ],
        footer: '',
      }),
    ],
    [
      'transitions out of order',
      tzifBytes({
        types: [cet],
        transitions: [
          [2, 0],
          [1, 0],
        ],
        footer: '',
      }),
    ],
    ['an abbreviation with a space', tzifBytes({ types: [{ offsetSeconds: 0, abbreviation: 'a b' }], footer: '' })],
    ['an empty abbreviation', tzifBytes({ types: [{ offsetSeconds: 0, abbreviation: '' }], footer: '' })],
  ])('%s', (_name, bytes) => {
    expect(parseTzif(bytes)).toBeUndefined();
  });

  it('a file truncated anywhere', () => {
    for (let length = 0; length < sound.length; length++) expect(parseTzif(sound.subarray(0, length))).toBeUndefined();
  });

  it('damaged or random bytes without throwing', () => {
    const damaged = fc
      .tuple(fc.nat({ max: sound.length - 1 }), fc.uint8Array({ minLength: 1, maxLength: 8 }))
      .map(([at, bytes]) => Buffer.concat([sound.subarray(0, at), bytes, sound.subarray(at + bytes.length)]));
    const random = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.concat([Buffer.from('TZif2'), bytes]));
    fc.assert(
      fc.property(fc.oneof(damaged, random), (bytes) => {
        const history = parseTzif(bytes);
        if (history !== undefined) expect(typeAt(history, 1_500).abbreviation).toMatch(/^[A-Za-z0-9+-]+$/);
      }),
      { numRuns: 2_000 },
    );
  });
});
