import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Cidr, formatCidr, readCidr } from '../../src/address/cidr.ts';
import { canonicalNameInHosts } from '../../src/address/hosts-file.ts';
import { formatHostPort } from '../../src/address/host-port.ts';
import { formatIp, formatIpv6, parseIp } from '../../src/address/ip-address.ts';
import { type ListenAddress, parseListenAddress } from '../../src/address/listen-address.ts';
import { parseProtocolEntries } from '../../src/address/protocol-numbers.ts';
import { parseServicesFile } from '../../src/address/service-ports.ts';
import { parseTarget } from '../../src/client/dial/target.ts';
import { SmallservdError } from '../../src/errors.ts';

const lookup = parseServicesFile('gopher 70/tcp\nntp 123/udp\n');

/** What addresses are made of, and what nearly is. */
const pieces = fc.constantFrom(
  ...'tcp udp tcp4 tcp6 udp4 udp6 unix fd systemd :// : :: ::1 [ ] % %eth0 * / /24 /0 /128 . , - + @'.split(' '),
  ...'0 00 7 9 10 255 256 65535 65536 1e3 0x7 ffff g 127.0.0.1 1.2.3.4 10.0.0.0 fe80 2001:db8 ::ffff:'.split(' '),
  ...'? & = %3F %25 %2 %C3 mode= mode=0660 owner= owner=a group=7 0o7 8'.split(' '),
  ...'localhost gopher ntp echo a_b -a é ١ ／ ： /run/echo.sock echo.socket'.split(' '),
  '',
  ' ',
  '\t',
  '\n',
  '\0',
  '\u007f',
  '\u2028',
  '\ud800',
  '\u{1f600}',
);
const joined = fc.array(pieces, { maxLength: 8 }).map((all) => all.join(''));
const written = fc.oneof(
  fc.ipV4(),
  fc.ipV6(),
  fc.tuple(fc.oneof(fc.ipV4(), fc.ipV6()), fc.nat(130)).map((pair) => pair.join('/')),
  fc
    .tuple(fc.constantFrom('tcp', 'udp6'), fc.oneof(fc.domain(), fc.ipV4()), fc.nat(70_000))
    .map(([scheme, host, port]) => `${scheme}://${host}:${port}`),
  fc
    .tuple(fc.constantFrom('', 'tcp://', 'udp6://'), fc.ipV6(), fc.nat(70_000))
    .map(([scheme, host, port]) => `${scheme}[${host}]:${port}`),
  fc.constantFrom(
    'unix:///run//echo/../echo.sock',
    'unix:///run/a%3Fb%25.sock?mode=0600&owner=a&group=7',
    'fd://3',
    'fd://0012',
    'systemd:echo.socket',
    'tcp://[fe80::1%eth0]:7',
  ),
);
/** Well-formed, but for a piece that stands where it does not belong. */
const changed = fc
  .tuple(written, fc.nat(40), fc.nat(3), pieces)
  .map(([text, at, cut, put]) => text.slice(0, at) + put + text.slice(at + cut));
const anyText = fc.oneof(fc.string({ unit: 'binary' }), joined, written, changed, changed);
const runs = { numRuns: 2000 };

test('parseIp never throws, and formatting preserves every address', () => {
  fc.assert(
    fc.property(anyText, (text) => {
      const address = parseIp(text);
      if (address === undefined) return;
      expect(parseIp(formatIp(address))).toEqual(address);
      expect(parseIp(formatIpv6(address))).toEqual(address);
      for (const word of Object.values(address)) expect(word).toBe(word >>> 0);
    }),
    runs,
  );
});

test('readCidr never throws, and formatCidr preserves every block', () => {
  fc.assert(
    fc.property(anyText, (text) => {
      const read = readCidr(text);
      if (typeof read === 'string') {
        expect(['malformed', 'zone', 'host-bits']).toContain(read);
        return;
      }
      const { prefix }: Cidr = read;
      expect(prefix).toBeGreaterThanOrEqual(0);
      expect(prefix).toBeLessThanOrEqual(128);
      expect(readCidr(formatCidr(read))).toEqual(read);
    }),
    runs,
  );
});

test('parseListenAddress returns the same address for text rebuilt from its parts', () => {
  fc.assert(
    fc.property(anyText, (text) => {
      let address: ListenAddress;
      try {
        address = parseListenAddress(text, lookup);
      } catch (error) {
        expect(Object.getPrototypeOf(error)).toBe(Error.prototype);
        // oxlint-disable-next-line no-control-regex
        expect((error as Error).message).not.toMatch(/[\u0000-\u001f]/);
        return;
      }
      const again = write(address);
      expect(parseListenAddress(again, lookup)).toEqual({ ...address, text: again });
    }),
    runs,
  );
});

describe('parseTarget', () => {
  test('throws only ARGUMENT_INVALID, and formatHostPort preserves every target', () => {
    fc.assert(
      fc.property(anyText, fc.constantFrom('tcp', 'udp'), (text, protocol) => {
        try {
          const target = parseTarget(text, protocol, 'echo', lookup);
          expect(target.port).toBe(Math.trunc(target.port));
          expect(target.port).toBeGreaterThan(0);
          expect(target.port).toBeLessThan(65_536);
          expect(parseTarget(formatHostPort(target.host, target.port), protocol, 'echo', lookup)).toEqual(target);
        } catch (error) {
          expect(error).toBeInstanceOf(SmallservdError);
          expect((error as SmallservdError).code).toBe('ARGUMENT_INVALID');
        }
      }),
      runs,
    );
  });
});

test('services, protocols and hosts files are parsed whatever they contain', () => {
  const line = fc.array(fc.oneof(pieces, fc.constantFrom('echo 7/tcp', '7/udp', '\n', '#', '\r')), { maxLength: 12 });
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    line.map((all) => all.join(' ')),
  );
  fc.assert(
    fc.property(text, fc.oneof(pieces, fc.string()), (file, name) => {
      const port = parseServicesFile(file)(name, 'tcp');
      if (port !== undefined) expect(port).toBe(port & 0xffff);
      for (const { number } of parseProtocolEntries(file)) expect(Number.isSafeInteger(number)).toBe(true);
      expect(['string', 'undefined']).toContain(typeof canonicalNameInHosts(file, name));
      // What we serve is known whatever the file says.
      expect(parseServicesFile(file)('daytime', 'udp')).toBeDefined();
    }),
    runs,
  );
});

/** An address of the same meaning, from its parts. */
function write(address: ListenAddress): string {
  switch (address.scheme) {
    case 'unix': {
      const { path, mode, owner, group } = address;
      const parameters = [
        `mode=${mode.toString(8)}`,
        ...(owner === null ? [] : [`owner=${owner}`]),
        ...(group === null ? [] : [`group=${group}`]),
      ];
      return `unix://${path.replaceAll(/[%?]/g, encodeURIComponent)}?${parameters.join('&')}`;
    }
    case 'fd':
      return `fd://${address.fd}`;
    case 'systemd':
      return `systemd:${address.name}`;
    default: {
      const family = { both: '', ipv4: '4', ipv6: '6' }[address.family];
      return `${address.scheme}${family}://${formatHostPort(address.host, address.port)}`;
    }
  }
}
