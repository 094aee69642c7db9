import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ListenAddress, parseListenAddress } from '../../src/address/listen-address.ts';
import { parseServicesFile } from '../../src/address/service-ports.ts';

const lookup = parseServicesFile('gopher 70/tcp\nntp 123/udp\n');

function parse(text: string): ListenAddress {
  return parseListenAddress(text, lookup);
}

const longPath = `/${'a'.repeat(106)}`;
const network = [
  ['tcp://localhost:1201', 'tcp', 'both', 'localhost', 1201],
  ['udp://localhost:1201', 'udp', 'both', 'localhost', 1201],
  ['tcp4://localhost:7', 'tcp', 'ipv4', 'localhost', 7],
  ['tcp6://localhost:7', 'tcp', 'ipv6', 'localhost', 7],
  ['udp4://10.0.0.1:7', 'udp', 'ipv4', '10.0.0.1', 7],
  ['udp6://[::1]:7', 'udp', 'ipv6', '::1', 7],
  ['tcp://[::1]:7', 'tcp', 'both', '::1', 7],
  ['tcp://[fe80::1%eth0]:7', 'tcp', 'both', 'fe80::1%eth0', 7],
  ['tcp://:7', 'tcp', 'both', '', 7],
  ['tcp://*:7', 'tcp', 'both', '', 7],
  ['udp6://*:7', 'udp', 'ipv6', '', 7],
  ['tcp://127.0.0.1:0', 'tcp', 'both', '127.0.0.1', 0],
  ['tcp://127.0.0.1:65535', 'tcp', 'both', '127.0.0.1', 65_535],
  ['tcp://a_host.example.:7', 'tcp', 'both', 'a_host.example.', 7],
  ['tcp://localhost:daytime', 'tcp', 'both', 'localhost', 13],
  ['tcp://localhost:gopher', 'tcp', 'both', 'localhost', 70],
  ['udp://localhost:ntp', 'udp', 'both', 'localhost', 123],
] as const;

const bad: readonly (readonly [string, string])[] = [
  [
    'localhost:7',
    '"localhost:7" is not a listen address: expected tcp://host:port, udp://host:port ' +
      '(tcp4, tcp6, udp4, udp6 for one family), unix:///path, fd://3 or systemd:NAME',
  ],
  ['tcp://localhost', '"tcp://localhost" has no port: expected one as in tcp://localhost:1201'],
  ['tcp://localhost:', '"tcp://localhost:" has no port: expected one as in tcp://localhost:1201'],
  ['tcp://[::1]', '"tcp://[::1]" has no port: expected one as in tcp://localhost:1201'],
  ['tcp://', '"tcp://" has no port: expected one as in tcp://localhost:1201'],
  ['tcp://::1:7', '"tcp://::1:7" is not a listen address: an IPv6 address stands in brackets, as in tcp://[::1]:1201'],
  [
    'tcp://[::1:7',
    '"tcp://[::1:7" is not a listen address: expected host:port after the scheme, as in tcp://localhost:1201',
  ],
  [
    'tcp://localhost:7/',
    '"tcp://localhost:7/" is not a listen address: expected host:port after the scheme, as in tcp://localhost:1201',
  ],
  ['tcp://localhost:65536', '"tcp://localhost:65536" has port "65536": expected 0 to 65535'],
  [
    'tcp://localhost:80abc',
    '"tcp://localhost:80abc" has port "80abc": expected 0 to 65535, or a service in /etc/services for tcp',
  ],
  [
    'tcp://localhost:-1',
    '"tcp://localhost:-1" has port "-1": expected 0 to 65535, or a service in /etc/services for tcp',
  ],
  [
    'udp://localhost:gopher',
    '"udp://localhost:gopher" has port "gopher": expected 0 to 65535, or a service in /etc/services for udp',
  ],
  ['tcp://1.2.3:7', '"tcp://1.2.3:7" has host "1.2.3": expected an IPv4 address such as 127.0.0.1'],
  ['tcp://256.1.1.1:7', '"tcp://256.1.1.1:7" has host "256.1.1.1": expected an IPv4 address such as 127.0.0.1'],
  ['tcp://a b:7', '"tcp://a b:7" has host "a b": expected a name, an address, or * for all'],
  ['tcp://-a:7', '"tcp://-a:7" has host "-a": expected a name, an address, or * for all'],
  ['tcp://a..b:7', '"tcp://a..b:7" has host "a..b": expected a name, an address, or * for all'],
  ['tcp4://[::1]:7', '"tcp4://[::1]:7" is for IPv4 but holds an IPv6 address'],
  ['tcp6://127.0.0.1:7', '"tcp6://127.0.0.1:7" is for IPv6 but holds an IPv4 address'],
  ['tcp://[127.0.0.1]:7', '"tcp://[127.0.0.1]:7" is not a listen address: brackets hold an IPv6 address'],
  ['tcp://[]:7', '"tcp://[]:7" is not a listen address: brackets hold an IPv6 address'],
  [
    'tcp://[::ffff:127.0.0.1]:7',
    '"tcp://[::ffff:127.0.0.1]:7" holds an IPv4 address in IPv6 form: write it as IPv4, without brackets',
  ],
  ['tcp://[::1%lo]:7', '"tcp://[::1%lo]:7" has an unexpected zone: expected one only as in [fe80::1%eth0]'],
  ['tcp://[fe80::1%]:7', '"tcp://[fe80::1%]:7" has an unexpected zone: expected one only as in [fe80::1%eth0]'],
  ...['unix:', 'unix://', 'unix://relative', 'unix:///', 'unix:/run/a', 'unix:///run/dir/', 'unix:///a\0b'].map(
    (text): [string, string] => [
      text,
      `${JSON.stringify(text)} is not a listen address: expected an absolute path, as in unix:///run/echo.sock`,
    ],
  ),
  [
    `unix://${longPath}b`,
    `${JSON.stringify(`unix://${`${longPath}b`.slice(0, 70)}...`)} has a path of 108 bytes: expected at most 107`,
  ],
  ...['fd://2', 'fd://', 'fd:3', 'fd://3x', 'fd://-3', 'fd://99999999'].map((text): [string, string] => [
    text,
    `"${text}" is not a listen address: expected a descriptor from 3 on, as in fd://3`,
  ]),
  ...['systemd:', 'systemd:a b', 'systemd:a:b'].map((text): [string, string] => [
    text,
    `"${text}" is not a listen address: expected a FileDescriptorName=, as in systemd:echo.socket`,
  ]),
  [`tcp://${'a'.repeat(400)}:7`, 'a listen address has at most 400 characters'],
];

describe('parseListenAddress', () => {
  test.each(network)('reads %s', (text, scheme, family, host, port) => {
    expect(parse(text)).toEqual({ scheme, family, host, port, text });
  });

  test.each([
    ['unix:///run/echo.sock', { scheme: 'unix', path: '/run/echo.sock' }],
    ['unix:///run/a b,c', { scheme: 'unix', path: '/run/a b,c' }],
    ['unix:///run/../tmp//x', { scheme: 'unix', path: '/tmp/x' }],
    [`unix://${longPath}`, { scheme: 'unix', path: longPath }],
    ['fd://3', { scheme: 'fd', fd: 3 }],
    ['systemd:echo.socket', { scheme: 'systemd', name: 'echo.socket' }],
  ])('reads %s', (text, expected) => {
    expect(parse(text)).toEqual({ ...expected, text });
  });

  test.each(bad)('refuses %j', (text, message) => {
    expect(() => parse(text)).toThrow(new Error(message));
  });

  test('throws nothing but an Error of one short line, whatever it is given', () => {
    const piece = fc.constantFrom(
      'tcp',
      'udp6',
      '://',
      ':',
      '[',
      ']',
      '%',
      '*',
      '::1',
      '7',
      'unix:///',
      'fd://',
      '\0',
      '',
    );
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(piece, { maxLength: 12 }).map((all) => all.join('')),
    );
    fc.assert(
      fc.property(text, (given) => {
        let error: unknown;
        try {
          expect(parse(given).text).toBe(given);
          return;
        } catch (caught) {
          error = caught;
        }
        expect(Object.getPrototypeOf(error)).toBe(Error.prototype);
        const { message } = error as Error;
        expect(message.length).toBeLessThan(600);
        // oxlint-disable-next-line no-control-regex
        expect(message).not.toMatch(/[\u0000-\u001f]/);
      }),
    );
  });

  test('reads back every well-formed address', () => {
    const host = fc.oneof(
      fc.ipV4().map((address) => [address, address]),
      fc.domain().map((name) => [name, name]),
      fc.constantFrom(['*', ''], ['', ''], ['[::1]', '::1'], ['[2001:db8::7]', '2001:db8::7']),
    );
    fc.assert(
      fc.property(fc.constantFrom('tcp', 'udp'), host, fc.nat(65_535), (scheme, [written, expected], port) => {
        expect(parse(`${scheme}://${written}:${port}`)).toMatchObject({ scheme, host: expected, port });
      }),
    );
  });
});
