import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ListenAddress, parseListenAddress } from '../../../src/address/listen-address.ts';
import { parseServicesFile } from '../../../src/address/service-ports.ts';

const lookup = parseServicesFile('gopher 70/tcp\nntp 123/udp\n');

function parse(text: string): ListenAddress {
  return parseListenAddress(text, lookup);
}

/** What is read of a UNIX socket. */
function unix(path: string, rest: object = {}): object {
  return { scheme: 'unix', path, mode: 0o660, owner: null, group: null, ...rest };
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
  ['tcp://::1:7', '"tcp://::1:7" is not a listen address: put an IPv6 address in brackets, as in tcp://[::1]:1201'],
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
  ['tcp4://[::1]:7', '"tcp4://[::1]:7" is for IPv4 but has an IPv6 address'],
  ['tcp6://127.0.0.1:7', '"tcp6://127.0.0.1:7" is for IPv6 but has an IPv4 address'],
  ['tcp://[127.0.0.1]:7', '"tcp://[127.0.0.1]:7" is not a listen address: expected IPv6 in brackets'],
  ['tcp://[]:7', '"tcp://[]:7" is not a listen address: expected IPv6 in brackets'],
  [
    'tcp://[::ffff:127.0.0.1]:7',
    '"tcp://[::ffff:127.0.0.1]:7" has an IPv4 address in IPv6 form: write it as IPv4, without brackets',
  ],
  [
    'tcp://[fe80::1]:7',
    '"tcp://[fe80::1]:7" has a link-local address without a zone: expected its interface, too, as in [fe80::1%eth0]',
  ],
  [
    'udp://224.0.0.1:7',
    '"udp://224.0.0.1:7" has a multicast or broadcast address: expected an address of this machine, or * for all',
  ],
  [
    'udp://255.255.255.255:7',
    '"udp://255.255.255.255:7" has a multicast or broadcast address: expected an address of this machine, or * for all',
  ],
  [
    'udp://[ff02::1]:7',
    '"udp://[ff02::1]:7" has a multicast or broadcast address: expected an address of this machine, or * for all',
  ],
  ['tcp://[::1%lo]:7', '"tcp://[::1%lo]:7" has a zone, which only a link-local address may have, as in [fe80::1%eth0]'],
  [
    'tcp://[fe80::1%]:7',
    '"tcp://[fe80::1%]:7" has an invalid zone: expected the name of an interface, as in [fe80::1%eth0]',
  ],
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
  ...[
    'unix:///a%',
    'unix:///a%4',
    'unix:///a%zz',
    'unix:///a%%41',
    'unix:///a%c3',
    'unix:///a%ff',
    'unix:///%u0041',
  ].map((text): [string, string] => [
    text,
    `"${text}" has a % that is not part of an escape: expected %25 for a % in the path`,
  ]),
  ...['unix:///run/a%2F', 'unix:///a%00b', 'unix://run%2Fa?mode=0660', 'unix://?mode=0660'].map(
    (text): [string, string] => [
      text,
      `"${text}" is not a listen address: expected an absolute path, as in unix:///run/echo.sock`,
    ],
  ),
  [
    `unix:///${'%41'.repeat(107)}`,
    `${JSON.stringify(`unix:///${'%41'.repeat(107).slice(0, 69)}...`)} has a path of 108 bytes: expected at most 107`,
  ],
  ...['8', '0x1', '1777', '01777', '00660', '-1', '0o660', '0660 ', '', 'rw', '6.0', '０'].map(
    (mode): [string, string] => [
      `unix:///a?mode=${mode}`,
      `"unix:///a?mode=${mode}" has mode "${mode}": expected an octal number from 0 to 0777, such as 0660`,
    ],
  ),
  ...['owner', 'group'].flatMap((name) =>
    ['', '-1', 'a b', '4294967295', '99999999999', '%77', 'a=b', '1x', 'é'].map((account): [string, string] => [
      `unix:///a?${name}=${account}`,
      `"unix:///a?${name}=${account}" has ${name} "${account}": expected a name such as www-data, or a number`,
    ]),
  ),
  ...['mode=0660&mode=0660', 'mode=0&owner=a&mode=1'].map((query): [string, string] => [
    `unix:///a?${query}`,
    `"unix:///a?${query}" has mode twice`,
  ]),
  ['unix:///a?owner=a&group=b&owner=c', '"unix:///a?owner=a&group=b&owner=c" has owner twice'],
  ...[
    ['', '', ''],
    ['mode=0660&', '', ''],
    ['user=a', 'user', ''],
    ['constructor=1', 'constructor', ''],
    ['mod=0660', 'mod', '; did you mean mode?'],
    ['Mode=0660', 'Mode', '; did you mean mode?'],
    ['onwer=a', 'onwer', '; did you mean owner?'],
    ['groups=a', 'groups', '; did you mean group?'],
  ].map(([query, name, suggestion]): [string, string] => [
    `unix:///a?${query}`,
    `"unix:///a?${query}" has parameter "${name}": expected mode, owner or group, and %3F for a ? in the path${suggestion}`,
  ]),
  ['unix:///a?mode', '"unix:///a?mode" has mode "": expected an octal number from 0 to 0777, such as 0660'],
  ...['fd://3?mode=0660', 'fd://3?', 'systemd:echo?mode=0660', 'systemd:echo?owner=a&group=b'].map(
    (text): [string, string] => [
      text,
      `"${text}" has parameters: the mode and owner of an inherited socket are set where it is created (SocketMode=, SocketUser=)`,
    ],
  ),
  [
    'tcp://localhost:7?mode=0660',
    '"tcp://localhost:7?mode=0660" has port "7?mode=0660": expected 0 to 65535, or a service in /etc/services for tcp',
  ],
  ...['fd://2', 'fd://', 'fd:3', 'fd://3x', 'fd://-3', 'fd://99999999'].map((text): [string, string] => [
    text,
    `"${text}" is not a listen address: expected 3 or higher, as in fd://3`,
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
    ['unix:///run/echo.sock', unix('/run/echo.sock')],
    ['unix:///run/a b,c', unix('/run/a b,c')],
    ['unix:///run/../tmp//x', unix('/tmp/x')],
    [`unix://${longPath}`, unix(longPath)],
    ['unix:///run/a%3Fb%25c%3fmode=0', unix('/run/a?b%c?mode=0')],
    ['unix:///run/%C3%A9 é&=', unix('/run/é é&=')],
    ['unix:///run%2Fx', unix('/run/x')],
    ['unix:///run/x?mode=0660', unix('/run/x')],
    ['unix:///run/x?mode=660', unix('/run/x')],
    ['unix:///run/x?mode=0', unix('/run/x', { mode: 0 })],
    ['unix:///run/x?mode=0000', unix('/run/x', { mode: 0 })],
    ['unix:///run/x?mode=7', unix('/run/x', { mode: 7 })],
    ['unix:///run/x?mode=0777', unix('/run/x', { mode: 0o777 })],
    ['unix:///run/x?owner=www-data', unix('/run/x', { owner: 'www-data' })],
    ['unix:///run/x?group=4294967294', unix('/run/x', { group: '4294967294' })],
    ['unix:///run/x?group=g&mode=600&owner=0', unix('/run/x', { mode: 0o600, owner: '0', group: 'g' })],
    ['fd://3', { scheme: 'fd', fd: 3 }],
    ['systemd:echo.socket', { scheme: 'systemd', name: 'echo.socket' }],
  ])('reads %s', (text, expected) => {
    expect(parse(text)).toEqual({ ...expected, text });
  });

  test.each(bad)('refuses %j', (text, message) => {
    expect(() => parse(text)).toThrow(new Error(message));
  });

  test('throws only a short one-line Error on any input', () => {
    const piece = fc.constantFrom(
      'tcp',
      'udp6',
      '://',
      ':',
      '[',
      ']',
      '%',
      '%2',
      '?mode=',
      '&owner=',
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

  test('reads every well-formed address', () => {
    const host = fc.oneof(
      // 224/4 is multicast, and nobody has 255.255.255.255.
      fc
        .ipV4()
        .filter((address) => Number(address.split('.')[0]) >>> 4 !== 14 && address !== '255.255.255.255')
        .map((address) => [address, address]),
      fc.domain().map((name) => [name, name]),
      fc.constantFrom(['*', ''], ['', ''], ['[::1]', '::1'], ['[2001:db8::7]', '2001:db8::7']),
    );
    fc.assert(
      fc.property(fc.constantFrom('tcp', 'udp'), host, fc.nat(65_535), (scheme, [written, expected], port) => {
        expect(parse(`${scheme}://${written}:${port}`)).toMatchObject({ scheme, host: expected, port });
      }),
    );
  });

  test('reads any path with any set of parameters, in any order', () => {
    const path = fc
      .array(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 3 })
      .map((parts) => `/run/${parts.map((part) => part.replaceAll(/[/\0]/g, '%').replace(/^\.+$/, '?')).join('/')}`)
      .filter((text) => Buffer.byteLength(text) <= 107);
    const account = fc.oneof(fc.stringMatching(/^[A-Za-z_][\w.-]{0,31}$/), fc.nat(2 ** 32 - 2).map(String));
    const given = fc.record({ mode: fc.nat(0o777), owner: account, group: account }, { requiredKeys: [] });
    const encodings = [
      (text: string) => text.replaceAll(/[%?]/g, encodeURIComponent),
      (text: string) => encodeURIComponent(text).replaceAll('%2F', '/'),
    ];
    fc.assert(
      fc.property(
        path,
        given,
        fc.constantFrom(...encodings),
        fc.boolean(),
        fc.nat(5),
        (plain, rest, encode, zero, turn) => {
          const mode = rest.mode === undefined ? [] : [['mode', `${zero ? '0' : ''}${rest.mode.toString(8)}`] as const];
          const owner = rest.owner === undefined ? [] : [['owner', rest.owner] as const];
          const group = rest.group === undefined ? [] : [['group', rest.group] as const];
          const parameters = [...mode, ...owner, ...group];
          const turned = [...parameters.slice(turn % 3), ...parameters.slice(0, turn % 3)];
          const ordered = turn > 2 ? turned.toReversed() : turned;
          const query = ordered.map((pair) => pair.join('=')).join('&');
          const text = `unix://${encode(plain)}${query === '' ? '' : `?${query}`}`;
          fc.pre(text.length <= 400);
          expect(parse(text)).toEqual({ ...unix(plain, rest), text });
        },
      ),
    );
  });
});
