import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatCidr } from '../../../../src/address/cidr.ts';
import { type Format, orNull, words } from '../../../../src/server/config/format.ts';
import { formats, optionFormats } from '../../../../src/server/config/formats.ts';
import type { Raw } from '../../../../src/server/config/raw.ts';

const all: readonly Format<unknown>[] = [
  ...Object.values(optionFormats),
  formats.grace,
  formats.keepAliveDelay,
  formats.quota,
  formats.bufferSize,
  formats.account,
  formats.workers,
  formats.backlog,
  formats.listen,
  formats.headerTimeout,
  formats.prefixIpv4,
  formats.prefixIpv6,
  formats.share,
  words(['debug', 'info']),
  orNull(formats.duration),
];

function valueOf(format: Format<unknown>, raw: Raw): unknown {
  const reading = format.read(raw, '/etc/smallservd');
  return 'value' in reading ? reading.value : undefined;
}

function flawsOf(format: Format<unknown>, raw: Raw): readonly string[] {
  const reading = format.read(raw, '/etc/smallservd');
  return 'flaws' in reading
    ? reading.flaws.map(({ item, message }) => (item === undefined ? message : `${item}: ${message}`))
    : [];
}

describe('accepted values', () => {
  test.each<[Format<unknown>, Raw, unknown]>([
    [formats.string, '', ''],
    [formats.boolean, true, true],
    [formats.boolean, 'false', false],
    [formats.count, 1, 1],
    [formats.count, '1000', 1000],
    [formats.ratio, 2.5, 2.5],
    [formats.ratio, '0.5', 0.5],
    [formats.port, '65535', 65_535],
    [formats.ports, [53, '123'], [53, 123]],
    [formats.ports, '53, 123', [53, 123]],
    [formats.ports, '53 123', [53, 123]],
    [formats.ports, '[53, 123]', [53, 123]],
    [formats.ports, 53, [53]],
    [formats.ports, '', []],
    [formats.duration, '500ms', 500],
    [formats.duration, '10s', 10_000],
    [formats.duration, '5m', 300_000],
    [formats.duration, '24h', 86_400_000],
    [formats.duration, '24d', 2_073_600_000],
    [formats.duration, 'never', Infinity],
    [formats.grace, '0s', 0],
    [formats.keepAliveDelay, '60s', 60_000],
    [formats.headerTimeout, '1ms', 1],
    [formats.headerTimeout, '1m', 60_000],
    [formats.prefixIpv4, '1', 1],
    [formats.prefixIpv4, 32, 32],
    [formats.prefixIpv6, 64, 64],
    [formats.share, '1%', 1],
    [formats.share, '25%', 25],
    [formats.share, '100%', 100],
    [formats.size, 512, 512],
    [formats.size, '512', 512],
    [formats.size, '64KiB', 65_536],
    [formats.size, '4MiB', 4_194_304],
    [formats.size, '1TiB', 1_099_511_627_776],
    [formats.quota, 'unlimited', Infinity],
    [formats.file, 'quotes.txt', '/etc/smallservd/quotes.txt'],
    [formats.file, '/srv/quotes.txt', '/srv/quotes.txt'],
    [formats.timezone, 'UTC', 'UTC'],
    [formats.strings, 'a,b', ['a', 'b']],
    [formats.strings, '["a b", c]', ['a b', 'c']],
    [formats.account, 'www-data', 'www-data'],
    [formats.account, 1000, '1000'],
    [formats.account, 4_294_967_294, '4294967294'],
    [formats.workers, 'auto', 'auto'],
    [formats.workers, 0, 0],
    [words(['debug', 'info']), 'info', 'info'],
    [orNull(formats.duration), null, null],
  ])('$0.expected: reads %j as %j', (format, raw, value) => {
    expect(valueOf(format, raw)).toEqual(value);
  });

  test('reads networks from text', () => {
    const read = formats.cidrs.read('10.0.0.0/8, fd00::/8 192.0.2.7', '/');
    expect('value' in read && read.value.map(formatCidr).map((text) => text.replace(/\/32$/, ''))).toEqual([
      '10.0.0.0/8',
      'fd00::/8',
      '192.0.2.7',
    ]);
  });
});

describe('refused values', () => {
  const duration = 'a duration with a unit, such as 500ms, 10s, 5m, 24h (1ms to 24d), or never';
  const size = 'a size in bytes, such as 512, 64KiB, 4MiB or 1TiB';

  test.each<[Format<unknown>, Raw, string]>([
    [formats.string, 5, '5 is not text (in quotes if it looks like something else)'],
    [formats.string, null, 'null is not text (in quotes if it looks like something else)'],
    [formats.boolean, 'no', '"no" is not true or false'],
    [formats.boolean, 'yes', '"yes" is not true or false'],
    [formats.boolean, 1, '1 is not true or false'],
    [formats.count, '80abc', '"80abc" is not a whole number of at least 1'],
    [formats.count, 0, '0 is not a whole number of at least 1'],
    [formats.count, 1.5, '1.5 is not a whole number of at least 1'],
    [formats.count, '1e3', '"1e3" is not a whole number of at least 1'],
    [formats.count, '007', '"007" is not a whole number of at least 1'],
    [formats.count, ' 1', '" 1" is not a whole number of at least 1'],
    [formats.count, Infinity, 'Infinity is not a whole number of at least 1'],
    [formats.ratio, 0, '0 is not a number above 0, at most 1000000, such as 1 or 2.5'],
    [formats.ratio, Number.NaN, 'NaN is not a number above 0, at most 1000000, such as 1 or 2.5'],
    [formats.ratio, Infinity, 'Infinity is not a number above 0, at most 1000000, such as 1 or 2.5'],
    ...[0, 25, 0.25, '0%', '101%', '025%', '25 %', '25', '2.5%', '-1%', '1e2%', ' 25%', true, null].map(
      (raw): [Format<unknown>, Raw, string] => [
        formats.share,
        raw,
        `${JSON.stringify(raw)} is not a whole percentage from 1% to 100%, such as 25%`,
      ],
    ),
    [formats.port, 0, '0 is not a port from 1 to 65535'],
    [formats.port, 65_536, '65536 is not a port from 1 to 65535'],
    [formats.ports, '53,dns', '1: "dns" is not a port from 1 to 65535'],
    [formats.ports, true, 'true is not a list of ports'],
    [formats.ports, [[53]], '0: a list is not a port from 1 to 65535'],
    [formats.duration, 10, `10 is not ${duration}`],
    [formats.duration, '10', `"10" is not ${duration}`],
    [formats.duration, '0s', `"0s" is not ${duration}`],
    [formats.duration, '25d', `"25d" is not ${duration}`],
    [formats.duration, '5 m', `"5 m" is not ${duration}`],
    [formats.duration, '1.5h', `"1.5h" is not ${duration}`],
    [formats.duration, '-1s', `"-1s" is not ${duration}`],
    [formats.grace, 'never', '"never" is not a duration with a unit, such as 0s, 10s or 5m (at most 1h)'],
    [formats.keepAliveDelay, '500ms', '"500ms" is not a duration in whole seconds, such as 60s or 5m (at most 9h)'],
    [formats.keepAliveDelay, '1500ms', '"1500ms" is not a duration in whole seconds, such as 60s or 5m (at most 9h)'],
    [formats.headerTimeout, 'never', '"never" is not a duration with a unit, such as 500ms or 5s (1ms to 1m)'],
    [formats.headerTimeout, '61s', '"61s" is not a duration with a unit, such as 500ms or 5s (1ms to 1m)'],
    [formats.prefixIpv4, 0, '0 is not a whole number from 1 to 32'],
    [formats.prefixIpv4, 33, '33 is not a whole number from 1 to 32'],
    [formats.prefixIpv6, 65, '65 is not a whole number from 1 to 64'],
    [formats.size, '64KB', `"64KB" is not ${size}`],
    [formats.size, '64kib', `"64kib" is not ${size}`],
    [formats.size, 0, `0 is not ${size}`],
    [formats.size, 'unlimited', `"unlimited" is not ${size}`],
    [formats.bufferSize, '2GiB', '"2GiB" is not a size in bytes, such as 256KiB or 4MiB (at most 1GiB)'],
    [
      formats.cidrs,
      '10.0.0.0/33',
      '0: "10.0.0.0/33" is not an address or network, such as 192.0.2.7, 10.0.0.0/8 or fd00::/8',
    ],
    [
      formats.cidrs,
      ['::1', '10.0.0.1/8'],
      '1: "10.0.0.1/8" has host bits set: expected a network address, such as 10.0.0.0/8',
    ],
    [formats.cidrs, 'fe80::1%eth0', '0: "fe80::1%eth0" has a zone: expected none, because rules apply to all links'],
    [formats.file, '', '"" is not a path'],
    [formats.timezone, 'Mars/Base', '"Mars/Base" is not a time zone such as UTC or Europe/Paris'],
    [formats.account, 4_294_967_295, '4294967295 is not a name such as nobody, or a number'],
    [formats.account, 'two words', '"two words" is not a name such as nobody, or a number'],
    [formats.workers, -1, '-1 is not auto or a whole number from 0 to 256'],
    [formats.workers, 'many', '"many" is not auto or a whole number from 0 to 256'],
    [formats.listen, [7], '0: 7 is not a listen address, such as tcp://localhost:1201'],
    [words(['debug', 'info']), 'Info', '"Info" is not one of debug, info'],
    [orNull(formats.duration), 5, `5 is not ${duration}, or null`],
  ])('$0.expected: refuses %j', (format, raw, message) => {
    expect(flawsOf(format, raw)).toEqual([message]);
  });

  test('reports every invalid item of a list', () => {
    expect(flawsOf(formats.ports, [0, 53, 'x'])).toEqual([
      '0: 0 is not a port from 1 to 65535',
      '2: "x" is not a port from 1 to 65535',
    ]);
  });
});

describe('any text or value', () => {
  const raw: fc.Arbitrary<Raw> = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.stringMatching(/^[0-9]{0,4}(ms|s|m|h|d|KiB|MiB|)$/),
    fc.double(),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.array(fc.oneof(fc.string(), fc.integer(), fc.constant(null)), { maxLength: 4 }),
  );

  test.each(all.map((format) => [format.expected, format] as const))(
    '%s reads back what it prints',
    (_name, format) => {
      fc.assert(
        fc.property(raw, (given) => {
          const reading = format.read(given, '/');
          if ('flaws' in reading) {
            expect(reading.flaws.length).toBeGreaterThan(0);
            for (const { message } of reading.flaws) expect(message).not.toMatch(/[\r\n]/);
          } else {
            expect(format.read(format.print(reading.value), '/')).toEqual(reading);
          }
        }),
      );
    },
  );

  test('reads a number from text only in its canonical form', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'0123456789.eExX -+_abc'.split('')) }), (text) => {
        const value = valueOf(formats.count, text);
        if (value !== undefined) expect(text).toBe(`${Number(value)}`);
      }),
    );
  });

  test('prints every duration and size so that it reads back', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 24 * 86_400_000 }), (value) => {
        expect(valueOf(formats.duration, formats.duration.print(value))).toBe(value);
        expect(valueOf(formats.size, formats.size.print(value))).toBe(value);
      }),
    );
  });

  test.each([
    [1, '1ms'],
    [999, '999ms'],
    [1000, '1s'],
    [60_000, '60s'],
    [90_000, '90s'],
    [300_000, '5m'],
    [86_400_000, '24h'],
    [172_800_000, '2d'],
    [Infinity, 'never'],
  ])('prints %d ms as %s', (ms, text) => {
    expect(formats.duration.print(ms)).toBe(text);
  });
});
