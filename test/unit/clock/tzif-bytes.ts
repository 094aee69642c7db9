import type { LocalTimeType } from '../../../src/clock/posix-zone.ts';

/** What a made-up TZif file holds; transitions as pairs of seconds since 1970 and an index of `types`. */
export interface TzifContent {
  readonly types: readonly LocalTimeType[];
  readonly transitions?: readonly (readonly [at: number, type: number])[];
  /** Makes it a file of version 2; without it the file has version 1. */
  readonly footer?: string;
  readonly leapSeconds?: number;
}

/** Writes a TZif file as RFC 8536 lays it out. */
export function tzifBytes({ types, transitions = [], footer, leapSeconds = 0 }: TzifContent): Buffer {
  const version = footer === undefined ? 0 : 0x32;
  const names = [...new Set(types.map((type) => type.abbreviation))];
  const chars = names.map((name) => `${name}\0`).join('');

  function header(): Buffer {
    const bytes = Buffer.alloc(44);
    bytes.write('TZif', 'latin1');
    bytes.writeUInt8(version, 4);
    const counts = [0, 0, leapSeconds, transitions.length, types.length, chars.length];
    for (const [index, count] of counts.entries()) bytes.writeUInt32BE(count, 20 + 4 * index);
    return bytes;
  }

  function block(timeBytes: 4 | 8): Buffer {
    const times = Buffer.alloc(transitions.length * timeBytes);
    for (const [index, [at]] of transitions.entries()) {
      if (timeBytes === 4) times.writeInt32BE(at, index * 4);
      else times.writeBigInt64BE(BigInt(at), index * 8);
    }
    const records = types.map(({ offsetSeconds, abbreviation }) => {
      const record = Buffer.alloc(6);
      record.writeInt32BE(offsetSeconds, 0);
      record.writeUInt8(chars.indexOf(`${abbreviation}\0`), 5);
      return record;
    });
    const leaps = Buffer.alloc(leapSeconds * (timeBytes + 4));
    return Buffer.concat([
      times,
      Buffer.from(transitions.map(([, type]) => type)),
      ...records,
      Buffer.from(chars, 'latin1'),
      leaps,
    ]);
  }

  const first = Buffer.concat([header(), block(4)]);
  return footer === undefined ? first : Buffer.concat([first, header(), block(8), Buffer.from(`\n${footer}\n`)]);
}
