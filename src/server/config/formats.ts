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

/** Timers of the platform overflow at 2^31 ms, 24.8 days, and then fire at once. */
const maxDurationMs = 24 * 86_400_000;
const tebibyte = 2 ** 40;

const durationPattern = '\\d+(ms|s|m|h|d)';
const durations: JsonSchema = { type: 'string', pattern: `^${durationPattern}$` };

function wholeNumbers(minimum: number, maximum?: number): JsonSchema {
  return {
    type: ['integer', 'string'],
    pattern: '^(0|[1-9]\\d{0,15})$',
    minimum,
    ...(maximum !== undefined && { maximum }),
  };
}

function sizes(...words: readonly string[]): JsonSchema {
  const pattern = `^(${[...words, '\\d+(B|KiB|MiB|GiB|TiB)?'].join('|')})$`;
  return { type: ['integer', 'string'], pattern, minimum: 1 };
}

const string: Format<string> = scalar(
  'string',
  'text (in quotes if it looks like something else)',
  { type: 'string' },
  (raw) => (typeof raw === 'string' ? raw : undefined),
  (value) => value,
);

const boolean: Format<boolean> = scalar(
  'boolean',
  'true or false',
  { enum: [true, false, 'true', 'false'] },
  (raw) => (raw === true || raw === 'true' ? true : raw === false || raw === 'false' ? false : undefined),
  (value) => value,
);

const count: Format<number> = scalar(
  'count',
  'a whole number from 1 on',
  wholeNumbers(1),
  (raw) => wholeNumber(raw, 1, Number.MAX_SAFE_INTEGER),
  (value) => value,
);

/** A number above 0, up to a million. */
const ratio: Format<number> = scalar(
  'ratio',
  'a number above 0, such as 1 or 2.5',
  { type: ['number', 'string'], exclusiveMinimum: 0, maximum: 1_000_000, pattern: '^\\d{1,7}(\\.\\d{1,9})?$' },
  (raw) => {
    const value = typeof raw === 'string' && /^\d{1,7}(\.\d{1,9})?$/.test(raw) ? Number(raw) : raw;
    return typeof value === 'number' && value > 0 && value <= 1_000_000 ? value : undefined;
  },
  (value) => value,
);

/** Percent. */
const share: Format<number> = scalar(
  'share',
  'a whole percentage from 1% to 100%, such as 25%',
  { type: 'string', pattern: '^([1-9]\\d?|100)%$' },
  (raw) => (typeof raw === 'string' && /^([1-9]\d?|100)%$/.test(raw) ? Number.parseInt(raw, 10) : undefined),
  (value) => `${value}%`,
);

const port: Format<number> = scalar(
  'port',
  'a port from 1 to 65535',
  wholeNumbers(1, 65_535),
  (raw) => wholeNumber(raw, 1, 65_535),
  (value) => value,
);

/** Milliseconds; `never` is Infinity. */
const duration: Format<number> = scalar(
  'duration',
  'a duration with its unit, such as 500ms, 10s, 5m, 24h (at most 24d), or never',
  { type: 'string', pattern: `^(never|${durationPattern})$` },
  (raw) => (raw === 'never' ? Infinity : durationWithin(raw, 1, maxDurationMs)),
  (value) => (value === Infinity ? 'never' : formatDuration(value)),
);

/** Milliseconds; 0 is meant, never is not. */
const grace: Format<number> = scalar(
  'grace',
  'a duration with its unit, such as 0s, 10s or 5m (at most 1h)',
  durations,
  (raw) => durationWithin(raw, 0, 3_600_000),
  formatDuration,
);

/** Milliseconds; what TCP_KEEPIDLE can hold (tcp(7)): whole seconds up to 32767. */
const keepAliveDelay: Format<number> = scalar(
  'keepAliveDelay',
  'a duration in whole seconds, such as 60s or 5m (at most 9h)',
  durations,
  (raw) => {
    const ms = durationWithin(raw, 1000, 9 * 3_600_000);
    return ms !== undefined && ms % 1000 === 0 ? ms : undefined;
  },
  formatDuration,
);

/** Milliseconds; never is not meant. */
const headerTimeout: Format<number> = scalar(
  'headerTimeout',
  'a duration with its unit, such as 500ms or 5s (at most 1m)',
  durations,
  (raw) => durationWithin(raw, 1, 60_000),
  formatDuration,
);

const prefixIpv4: Format<number> = scalar(
  'prefixIpv4',
  'a whole number from 1 to 32',
  wholeNumbers(1, 32),
  (raw) => wholeNumber(raw, 1, 32),
  (value) => value,
);

/**
 * Up to 64: a host can take any address of its /64 (RFC 4291 section 2.5.4), so a longer prefix would tell nobody
 * apart.
 */
const prefixIpv6: Format<number> = scalar(
  'prefixIpv6',
  'a whole number from 1 to 64',
  wholeNumbers(1, 64),
  (raw) => wholeNumber(raw, 1, 64),
  (value) => value,
);

/** Bytes. */
const size: Format<number> = scalar(
  'size',
  'a size in bytes, such as 512, 64KiB, 4MiB or 1TiB',
  sizes(),
  (raw) => sizeWithin(raw, 1024 * tebibyte),
  formatSize,
);

/** Bytes; `unlimited` is Infinity. */
const quota: Format<number> = scalar(
  'quota',
  'a size in bytes, such as 512, 64KiB, 4MiB or 1TiB, or unlimited',
  sizes('unlimited'),
  (raw) => (raw === 'unlimited' ? Infinity : sizeWithin(raw, 1024 * tebibyte)),
  (value) => (value === Infinity ? 'unlimited' : formatSize(value)),
);

/** Bytes; what setsockopt(2) can take. */
const bufferSize: Format<number> = scalar(
  'bufferSize',
  'a size in bytes, such as 256KiB or 4MiB (at most 1GiB)',
  sizes(),
  (raw) => sizeWithin(raw, 2 ** 30),
  formatSize,
);

/** An absolute path; a relative one is taken from the config's directory. */
const file: Format<string> = scalar(
  'file',
  'a path',
  { type: 'string', minLength: 1 },
  (raw, directory) =>
    typeof raw === 'string' && raw !== '' && !raw.includes('\0') ? resolve(directory, raw) : undefined,
  (value) => value,
);

const timezone: Format<string> = scalar(
  'timezone',
  'a time zone such as UTC or Europe/Paris',
  { type: 'string', minLength: 1 },
  (raw) => (typeof raw === 'string' && isTimeZone(raw) ? raw : undefined),
  (value) => value,
);

/** A name, or a number as text. */
const account: Format<string> = scalar(
  'account',
  'a name such as nobody, or a number',
  { type: ['string', 'integer'], minLength: 1, minimum: 0 },
  (raw) => {
    const text = typeof raw === 'number' && Number.isInteger(raw) ? String(raw) : raw;
    return typeof text === 'string' && isAccount(text) ? text : undefined;
  },
  (value) => value,
);

const workers: Format<number | 'auto'> = scalar(
  'workers',
  'auto or a whole number from 0 to 256',
  { anyOf: [{ const: 'auto' }, wholeNumbers(0, 256)] },
  (raw) => (raw === 'auto' ? raw : wholeNumber(raw, 0, 256)),
  (value) => value,
);

const backlog: Format<number> = scalar(
  'backlog',
  'a whole number from 1 to 65535',
  wholeNumbers(1, 65_535),
  (raw) => wholeNumber(raw, 1, 65_535),
  (value) => value,
);

/** One item of a list; throws an Error that says what is wrong. */
type ItemReader<Item> = (raw: Raw) => Item;

const strings: Format<readonly string[]> = list(
  'strings',
  'a list of texts',
  string.json,
  itemOf(string),
  (item) => item,
);

const ports: Format<readonly number[]> = list('ports', 'a list of ports', port.json, itemOf(port), (item) => item);

const cidrs: Format<readonly Cidr[]> = list(
  'cidrs',
  'a list of addresses or networks, such as 192.0.2.7, 10.0.0.0/8 or fd00::/8',
  { type: 'string' },
  (raw) => {
    const cidr = typeof raw === 'string' ? readCidr(raw) : 'malformed';
    if (cidr === 'host-bits')
      throw new Error(`${show(raw)} has bits set beyond its prefix: expected a network's own address`);
    if (cidr === 'malformed') {
      throw new Error(`${show(raw)} is not an address or network, such as 192.0.2.7, 10.0.0.0/8 or fd00::/8`);
    }
    return cidr;
  },
  formatCidr,
);

const listen: Format<readonly ListenAddress[]> = list(
  'listen',
  'a list of listen addresses, such as tcp://localhost:1201',
  { type: 'string', pattern: '^(tcp[46]?|udp[46]?|unix|fd|systemd):' },
  (raw) => {
    if (typeof raw !== 'string') throw new Error(`${show(raw)} is not a listen address, such as tcp://localhost:1201`);
    return parseListenAddress(raw, lookupServicePort);
  },
  (item) => item.text,
);

const adminAddress: Format<ListenAddress> = scalar(
  'adminListen',
  'a TCP address or a UNIX socket, such as tcp://127.0.0.1:9013 or unix:///run/smallservd/admin.sock',
  { type: 'string' },
  (raw) => {
    try {
      const address = parseListenAddress(String(raw), lookupServicePort);
      return address.scheme === 'udp' ? undefined : address;
    } catch {
      return undefined;
    }
  },
  (address) => address.text,
);

/** Where the admin endpoint listens. */
const adminListen: Format<ListenAddress> = {
  ...adminAddress,
  read(raw, directory) {
    // What is wrong with the path or a parameter is worth more than that it is no address.
    if (typeof raw !== 'string' || !raw.startsWith('unix:')) return adminAddress.read(raw, directory);
    try {
      return { value: parseListenAddress(raw, lookupServicePort) };
    } catch (error) {
      return { flaws: [{ message: error instanceof Error ? error.message : String(error) }] };
    }
  },
};

/** Every format, by the name that keys and options have it by. */
export const formats = {
  string,
  boolean,
  count,
  ratio,
  share,
  port,
  ports,
  duration,
  grace,
  keepAliveDelay,
  headerTimeout,
  prefixIpv4,
  prefixIpv6,
  size,
  quota,
  bufferSize,
  cidrs,
  file,
  timezone,
  account,
  workers,
  backlog,
  strings,
  listen,
  adminListen,
} as const;

/** Those that the options of a service can name. */
export const optionFormats: { readonly [Name in OptionFormatName]: Format<unknown> } = {
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
};

/**
 * A list. As text, from the environment or the command line, its items stand between commas or spaces, or as `[a, b]`.
 */
function list<Item>(
  name: string,
  expected: string,
  ofItem: JsonSchema,
  readItem: ItemReader<Item>,
  printItem: (item: Item) => Raw,
): Format<readonly Item[]> {
  return {
    name,
    expected,
    // One text may hold the whole list, and one value may stand for a list of it.
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
          flaws.push({ item: index, message: error instanceof Error ? error.message : String(error) });
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

function wholeNumber(raw: string | number | boolean, least: number, most: number): number | undefined {
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
