import { resolve } from 'node:path';
import { parse as parseYaml } from 'yaml';
import { isAccount } from '../../address/account.ts';
import { type Cidr, formatCidr, readCidr } from '../../address/cidr.ts';
import { type ListenAddress, parseListenAddress } from '../../address/listen-address.ts';
import { lookupServicePort } from '../../address/service-ports.ts';
import { isTimeZone } from '../../clock/time-zone.ts';
import type { FormatName as OptionFormatName } from '../../service.ts';
import { type Flaw, type Format, type JsonSchema, scalar } from './format.ts';
import { isRawList, type Raw, show } from './raw.ts';
import { formatDuration, formatSize, parseDuration, parseSize } from '../../units.ts';

/** Platform timers overflow at 2^31 ms, 24.8 days, and then fire at once. */
const maxDurationMs = 24 * 86_400_000;
const tebibyte = 2 ** 40;

const durations: JsonSchema = { type: 'string', pattern: '^\\d+(ms|s|m|h|d)$' };

const string: Format<string> = scalar(
  'text (in quotes if it looks like something else)',
  { type: 'string' },
  (raw) => (typeof raw === 'string' ? raw : undefined),
  asItIs,
);

const boolean: Format<boolean> = scalar(
  'true or false',
  { enum: [true, false, 'true', 'false'] },
  (raw) => (raw === true || raw === 'true' ? true : raw === false || raw === 'false' ? false : undefined),
  asItIs,
);

const count = wholeNumber('a whole number of at least 1', 1, Number.MAX_SAFE_INTEGER);
const seed = wholeNumber('a whole number from 0 to 4294967295', 0, 2 ** 32 - 1);
const copies = wholeNumber('a whole number from 1 to 100', 1, 100);
const port = wholeNumber('a port from 1 to 65535', 1, 65_535);
const backlog = wholeNumber('a whole number from 1 to 65535', 1, 65_535);
const prefixIpv4 = wholeNumber('a whole number from 1 to 32', 1, 32);
/** Up to 64: a host can take any address of its /64 (RFC 4291 section 2.5.4), so a longer prefix identifies nobody. */
const prefixIpv6 = wholeNumber('a whole number from 1 to 64', 1, 64);

/** A number above 0, up to a million. */
const ratio: Format<number> = scalar(
  'a number above 0, at most 1000000, such as 1 or 2.5',
  { type: ['number', 'string'], exclusiveMinimum: 0, maximum: 1_000_000, pattern: '^\\d{1,7}(\\.\\d{1,9})?$' },
  (raw) => {
    const value = typeof raw === 'string' && /^\d{1,7}(\.\d{1,9})?$/.test(raw) ? Number(raw) : raw;
    return typeof value === 'number' && value > 0 && value <= 1_000_000 ? value : undefined;
  },
  asItIs,
);

/** A number from 0 to 1. */
const probability: Format<number> = scalar(
  'a number from 0 to 1, such as 0.05',
  { type: ['number', 'string'], minimum: 0, maximum: 1, pattern: '^[01](\\.\\d{1,9})?$' },
  (raw) => {
    const value = typeof raw === 'string' && /^[01](\.\d{1,9})?$/.test(raw) ? Number(raw) : raw;
    return typeof value === 'number' && value >= 0 && value <= 1 ? value : undefined;
  },
  asItIs,
);

/** Percent. */
const share: Format<number> = scalar(
  'a whole percentage from 1% to 100%, such as 25%',
  { type: 'string', pattern: '^([1-9]\\d?|100)%$' },
  (raw) => (typeof raw === 'string' && /^([1-9]\d?|100)%$/.test(raw) ? Number.parseInt(raw, 10) : undefined),
  (value) => `${value}%`,
);

/** Milliseconds; `never` is Infinity. */
const duration = orWord('never', milliseconds('such as 500ms, 10s, 5m, 24h (1ms to 24d), or never', 1, maxDurationMs));
/** Milliseconds. Accepts zero but not `never`. */
const grace = milliseconds('such as 0s, 10s or 5m (at most 1h)', 0, 3_600_000);
/** Milliseconds. */
const faultTime = milliseconds('such as 0ms, 50ms or 2s (at most 1h)', 0, 3_600_000);
/** Milliseconds. */
const headerTimeout = milliseconds('such as 500ms or 5s (1ms to 1m)', 1, 60_000);

/** Milliseconds, limited to what TCP_KEEPIDLE can hold (tcp(7)): whole seconds up to 32767. */
const keepAliveDelay: Format<number> = scalar(
  'a duration in whole seconds, such as 60s or 5m (at most 9h)',
  durations,
  (raw) => {
    const ms = durationWithin(raw, 1000, 9 * 3_600_000);
    return ms !== undefined && ms % 1000 === 0 ? ms : undefined;
  },
  formatDuration,
);

/** Bytes. */
const size = bytesUpTo('such as 512, 64KiB, 4MiB or 1TiB', 1024 * tebibyte);
/** Bytes; `unlimited` is Infinity. */
const quota = orWord('unlimited', bytesUpTo('such as 512, 64KiB, 4MiB or 1TiB, or unlimited', 1024 * tebibyte));
/** Bytes, limited to what setsockopt(2) accepts. */
const bufferSize = bytesUpTo('such as 256KiB or 4MiB (at most 1GiB)', 2 ** 30);

/** An absolute path. A relative path is resolved against the directory of the config. */
const file: Format<string> = scalar(
  'a path',
  { type: 'string', minLength: 1 },
  (raw, directory) =>
    typeof raw === 'string' && raw !== '' && !raw.includes('\0') ? resolve(directory, raw) : undefined,
  asItIs,
);

const timezone: Format<string> = scalar(
  'a time zone such as UTC or Europe/Paris',
  { type: 'string', minLength: 1 },
  (raw) => (typeof raw === 'string' && isTimeZone(raw) ? raw : undefined),
  asItIs,
);

/** A name, or a number as text. */
const account: Format<string> = scalar(
  'a name such as nobody, or a number',
  { type: ['string', 'integer'], minLength: 1, minimum: 0 },
  (raw) => {
    const text = typeof raw === 'number' && Number.isInteger(raw) ? String(raw) : raw;
    return typeof text === 'string' && isAccount(text) ? text : undefined;
  },
  asItIs,
);

const workers: Format<number | 'auto'> = scalar(
  'auto or a whole number from 0 to 256',
  { anyOf: [{ const: 'auto' }, wholeNumbers(0, 256)] },
  (raw) => (raw === 'auto' ? raw : wholeNumberWithin(raw, 0, 256)),
  asItIs,
);

/** Reads one item of a list; throws an Error with the reason if it is invalid. */
type ItemReader<Item> = (raw: Raw) => Item;

const strings: Format<readonly string[]> = list('a list of strings', string.json, itemOf(string), asItIs);

const ports: Format<readonly number[]> = list('a list of ports', port.json, itemOf(port), asItIs);

const cidrs: Format<readonly Cidr[]> = list(
  'a list of addresses or networks, such as 192.0.2.7, 10.0.0.0/8 or fd00::/8',
  { type: 'string' },
  (raw) => {
    const cidr = typeof raw === 'string' ? readCidr(raw) : 'malformed';
    if (cidr === 'host-bits')
      throw new Error(`${show(raw)} has host bits set: expected a network address, such as 10.0.0.0/8`);
    if (cidr === 'zone') throw new Error(`${show(raw)} has a zone: expected none, because rules apply to all links`);
    if (cidr === 'malformed') {
      throw new Error(`${show(raw)} is not an address or network, such as 192.0.2.7, 10.0.0.0/8 or fd00::/8`);
    }
    return cidr;
  },
  formatCidr,
);

const listen: Format<readonly ListenAddress[]> = list(
  'a list of listen addresses, such as tcp://localhost:1201',
  { type: 'string', pattern: '^(tcp[46]?|udp[46]?|unix|fd|systemd):' },
  (raw) => {
    if (typeof raw !== 'string') throw new Error(`${show(raw)} is not a listen address, such as tcp://localhost:1201`);
    return parseListenAddress(raw, lookupServicePort);
  },
  (item) => item.text,
);

/** Where the admin endpoint listens. */
const adminListen: Format<ListenAddress> = {
  expected:
    'a TCP address, a UNIX socket or an inherited socket, such as tcp://127.0.0.1:9013, unix:///run/smallservd/admin.sock or systemd:admin',
  json: { type: 'string' },
  read(raw) {
    try {
      const address = parseListenAddress(typeof raw === 'string' ? raw : '', lookupServicePort);
      if (address.scheme !== 'udp') return { value: address };
    } catch (error) {
      // A specific error about the path or a parameter is more useful than "not an address".
      if (typeof raw === 'string' && raw.startsWith('unix:')) return { flaws: [{ message: messageOf(error) }] };
    }
    return { flaws: [{ message: `${show(raw)} is not ${this.expected}` }] };
  },
  print: (address) => address.text,
};

/** Formats available to the options of a service. */
export const optionFormats = {
  string,
  boolean,
  count,
  ratio,
  port,
  ports,
  duration,
  size,
  cidrs,
  file,
  timezone,
  strings,
} satisfies { readonly [Name in OptionFormatName]: Format<unknown> };

/** Every format, by the name used in declarations. */
export const formats = {
  ...optionFormats,
  probability,
  seed,
  copies,
  faultTime,
  share,
  grace,
  keepAliveDelay,
  headerTimeout,
  prefixIpv4,
  prefixIpv6,
  quota,
  bufferSize,
  account,
  workers,
  backlog,
  listen,
  adminListen,
} as const;

/** A list. As text, from the environment or the command line: items separated by commas or spaces, or `[a, b]`. */
function list<Item>(
  expected: string,
  ofItem: JsonSchema,
  readItem: ItemReader<Item>,
  printItem: (item: Item) => Raw,
): Format<readonly Item[]> {
  return {
    expected,
    // One text may hold the entire list, and one value may stand for a list of one.
    json: { anyOf: [{ type: 'array', items: ofItem }, { type: ['string', 'number'] }] },
    read(raw) {
      const items = typeof raw === 'string' ? splitList(raw) : typeof raw === 'number' ? [raw] : raw;
      if (!isRawList(items)) return { flaws: [{ message: `${show(raw)} is not ${expected}` }] };
      const flaws: Flaw[] = [];
      const value: Item[] = [];
      for (const [index, item] of items.entries()) {
        try {
          value.push(readItem(item));
        } catch (error) {
          flaws.push({ item: index, message: messageOf(error) });
        }
      }
      return flaws.length > 0 ? { flaws } : { value };
    },
    print: (value) => value.map(printItem),
  };
}

function itemOf<Item>(format: Format<Item>): ItemReader<Item> {
  return (raw) => {
    const reading = format.read(raw, '');
    if ('flaws' in reading) throw new Error(reading.flaws[0]?.message);
    return reading.value;
  };
}

function splitList(text: string): Raw {
  if (!text.trimStart().startsWith('[')) return text.split(/[\s,]+/).filter((item) => item !== '');
  try {
    const items: unknown = parseYaml(text, { schema: 'core' });
    return Array.isArray(items) ? items.map(itemFromYaml) : text;
  } catch {
    return [text];
  }
}

function itemFromYaml(item: unknown): Raw {
  return typeof item === 'string' || typeof item === 'number' || typeof item === 'boolean' ? item : null;
}

function asItIs(value: Raw): Raw {
  return value;
}

function wholeNumber(expected: string, least: number, most: number): Format<number> {
  return scalar(expected, wholeNumbers(least, most), (raw) => wholeNumberWithin(raw, least, most), asItIs);
}

function wholeNumbers(minimum: number, maximum: number): JsonSchema {
  return { type: ['integer', 'string'], pattern: '^(0|[1-9]\\d{0,15})$', minimum, maximum };
}

function milliseconds(examples: string, least: number, most: number): Format<number> {
  const expected = `a duration with a unit, ${examples}`;
  return scalar(expected, durations, (raw) => durationWithin(raw, least, most), formatDuration);
}

function bytesUpTo(examples: string, most: number): Format<number> {
  const json = { type: ['integer', 'string'], pattern: '^\\d+(KiB|MiB|GiB|TiB)?$', minimum: 1 };
  return scalar(`a size in bytes, ${examples}`, json, (raw) => sizeWithin(raw, most), formatSize);
}

/** The same format, plus a word for Infinity. */
function orWord(word: string, format: Format<number>): Format<number> {
  return {
    ...format,
    json: { anyOf: [{ const: word }, format.json] },
    read: (raw, directory) => (raw === word ? { value: Infinity } : format.read(raw, directory)),
    print: (value) => (value === Infinity ? word : format.print(value)),
  };
}

function wholeNumberWithin(raw: string | number | boolean, least: number, most: number): number | undefined {
  const value = typeof raw === 'string' && /^(0|[1-9]\d{0,15})$/.test(raw) ? Number(raw) : raw;
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= least && value <= most
    ? value
    : undefined;
}

function durationWithin(raw: string | number | boolean, leastMs: number, mostMs: number): number | undefined {
  const ms = typeof raw === 'string' ? parseDuration(raw) : undefined;
  return ms !== undefined && ms >= leastMs && ms <= mostMs ? ms : undefined;
}

function sizeWithin(raw: string | number | boolean, most: number): number | undefined {
  const bytes = typeof raw === 'string' ? parseSize(raw) : raw;
  return typeof bytes === 'number' && Number.isSafeInteger(bytes) && bytes >= 1 && bytes <= most ? bytes : undefined;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
