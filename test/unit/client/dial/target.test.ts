import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatHostPort } from '../../../../src/address/host-port.ts';
import { formatIp, isLinkLocalIpv6 } from '../../../../src/address/ip-address.ts';
import { parseServicesFile } from '../../../../src/address/service-ports.ts';
import { parseHost, parseTarget, type Target } from '../../../../src/client/dial/target.ts';
import { SmallservdError } from '../../../../src/errors.ts';

const lookup = parseServicesFile('daytime 13/tcp\nhttp 80/tcp www\nsyslog 514/udp\n');
const parse = (text: string, service?: string): Target => parseTarget(text, 'tcp', service, lookup);

describe('parseTarget', () => {
  test.each([
    ['localhost:1200', 'localhost', 1200],
    ['localhost', 'localhost', 13],
    ['192.0.2.1:7', '192.0.2.1', 7],
    ['192.0.2.1', '192.0.2.1', 13],
    ['[2001:db8::1]:7', '2001:db8::1', 7],
    ['[2001:db8::1]', '2001:db8::1', 13],
    ['2001:db8::1', '2001:db8::1', 13],
    ['::1', '::1', 13],
    ['::1:7', '::1:7', 13],
    ['[fe80::1%eth0]:7', 'fe80::1%eth0', 7],
    ['fe80::1%eth0', 'fe80::1%eth0', 13],
    ['www.example:http', 'www.example', 80],
    ['www.example.:www', 'www.example.', 80],
    ['host_1.example', 'host_1.example', 13],
    ['bücher.example:7', 'bücher.example', 7],
    ['1:2', '1', 2],
    ['localhost:65535', 'localhost', 65_535],
    ['localhost:007', 'localhost', 7],
  ])('parses %s as host %s, port %d', (text, host, port) => {
    expect(parse(text, 'daytime')).toEqual({ host, port });
  });

  test.each([
    ['', '"" names no host: expected a name, an IPv4 address, or an IPv6 address in brackets'],
    [':7', '":7" names no host: expected a name, an IPv4 address, or an IPv6 address in brackets'],
    ['[]:7', '"[]:7" names no host: expected a name, an IPv4 address, or an IPv6 address in brackets'],
    ['[::1', '"[::1" names no host: expected a name, an IPv4 address, or an IPv6 address in brackets'],
    ['[::1]7', '"[::1]7" names no host: expected a name, an IPv4 address, or an IPv6 address in brackets'],
    [
      '[127.0.0.1]:7',
      '"[127.0.0.1]:7" names no host: expected a name, an IPv4 address, or an IPv6 address in brackets',
    ],
    ['a b', '"a b" names no host: expected a name, an IPv4 address, or an IPv6 address in brackets'],
    ['-4', '"-4" names no host: expected a name, an IPv4 address, or an IPv6 address in brackets'],
    ['http://a', '"http://a" is a URL: expected HOST or HOST:PORT'],
    ['a:', '"a:" has port "": expected 1 to 65535, or a service in /etc/services for tcp'],
    ['a:0', '"a:0" has port "0": expected 1 to 65535, or a service in /etc/services for tcp'],
    ['a:65536', '"a:65536" has port "65536": expected 1 to 65535, or a service in /etc/services for tcp'],
    ['a:-1', '"a:-1" has port "-1": expected 1 to 65535, or a service in /etc/services for tcp'],
    ['a:7:8', '"a:7:8" has port "7:8": expected 1 to 65535, or a service in /etc/services for tcp'],
    ['a:syslog', '"a:syslog" has port "syslog": expected 1 to 65535, or a service in /etc/services for tcp'],
    ['a', '"a" has no port: expected a:PORT'],
    ['::1', '"::1" has no port: expected [::1]:PORT'],
  ])('rejects %j', (text, message) => {
    expect(() => parse(text)).toThrow(expect.objectContaining({ code: 'ARGUMENT_INVALID', message }));
  });

  test('parses the output of formatHostPort', () => {
    const word = fc.integer({ min: 0, max: 0xffffffff });
    const ip = fc.record({ w0: fc.oneof(fc.constant(0), word), w1: word, w2: fc.constantFrom(0, 0xffff), w3: word });
    fc.assert(
      fc.property(
        fc.oneof(
          ip,
          ip.map((each) => ({ ...each, w0: 0xfe800000 })),
        ),
        fc.integer({ min: 1, max: 65_535 }),
        (address, port) => {
          const host = `${formatIp(address)}${isLinkLocalIpv6(address) ? '%eth0' : ''}`;
          expect(parse(formatHostPort(host, port))).toEqual({ host, port });
          expect(parse(host, 'daytime')).toEqual({ host, port: 13 });
        },
      ),
    );
  });

  test('parses any text or rejects it with ARGUMENT_INVALID', () => {
    const fragment = fc.constantFrom(':', '[', ']', '%', '.', '::', '::1', 'a', '7', '65535', ' ', '\n', 'http', '-');
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(fragment).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(text, (given) => {
        try {
          const { host, port } = parse(given, 'daytime');
          expect(port >= 1 && port <= 65_535).toBe(true);
          expect(given).toContain(host);
          expect(parse(formatHostPort(host, port))).toEqual({ host, port });
        } catch (error) {
          expect(error).toBeInstanceOf(SmallservdError);
          expect(error).toMatchObject({ code: 'ARGUMENT_INVALID' });
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe('parseHost', () => {
  test.each([
    ['localhost', 'localhost'],
    ['192.0.2.1', '192.0.2.1'],
    ['::1', '::1'],
    ['[::1]', '::1'],
  ])('parses %s as %s', (text, host) => {
    expect(parseHost(text)).toBe(host);
  });

  test.each(['', 'localhost:7', '[::1]:7', '[localhost]', 'a b'])('rejects %j', (text) => {
    expect(() => parseHost(text)).toThrow(expect.objectContaining({ code: 'ARGUMENT_INVALID' }));
  });
});

test.each(['fe80::1', '[fe80::1]:7', 'febf::1'])('%s, link-local without a zone, is rejected', (text) => {
  expect(() => parseTarget(text, 'tcp', 'echo')).toThrow(
    /^".*" has a link-local address without a zone: expected its interface, too, as in fe.*%\S+(?: \(or .+\))?$/,
  );
});

test('a host to look up may be link-local', () => {
  expect(['fe80::1%eth0', 'fe80::1'].map(parseHost)).toEqual(['fe80::1%eth0', 'fe80::1']);
});
