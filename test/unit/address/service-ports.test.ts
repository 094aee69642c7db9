import { expect, test } from 'vitest';
import { parseServiceEntries, parseServicesFile, servicePortsOf } from '../../../src/address/service-ports.ts';

const text = `# Network services
echo\t\t7/tcp
echo\t\t7/udp
www  80/tcp  http HTTPS2 # WorldWideWeb
www  81/tcp
broken
worse 99999/tcp
worst x/tcp
sctp-only 9/sctp
daytime 1313/tcp
#commented 5/tcp
`;

test.each([
  ['echo', 'tcp', 7],
  ['echo', 'udp', 7],
  ['www', 'tcp', 80],
  ['http', 'tcp', 80],
  ['HTTPS2', 'tcp', 80],
  ['www', 'udp', undefined],
  ['WorldWideWeb', 'tcp', undefined],
  ['worse', 'tcp', undefined],
  ['worst', 'tcp', undefined],
  ['broken', 'tcp', undefined],
  ['sctp-only', 'tcp', undefined],
  ['commented', 'tcp', undefined],
  ['#commented', 'tcp', undefined],
  ['constructor', 'tcp', undefined],
  ['', 'tcp', undefined],
] as const)('looks up "%s" for %s: %s', (name, protocol, port) => {
  expect(parseServicesFile(text)(name, protocol)).toBe(port);
});

test('prefers the services file to the built-in ports', () => {
  expect(parseServicesFile(text)('daytime', 'tcp')).toBe(1313);
  expect(parseServicesFile(text)('daytime', 'udp')).toBe(13);
});

test.each([
  ['echo', 7],
  ['discard', 9],
  ['systat', 11],
  ['daytime', 13],
  ['qotd', 17],
  ['chargen', 19],
  ['time', 37],
  ['stamp', 862],
  ['http', undefined],
])('without a services file, resolves %s to %s', (name, port) => {
  const lookup = servicePortsOf('/nonexistent/services');
  expect([lookup(name, 'tcp'), lookup(name, 'udp')]).toEqual([port, port]);
});

test('keeps the order of the file, followed by the built-in entries', () => {
  const entries = parseServiceEntries('www 80/tcp http\nbroken\nalso 80/tcp # later\n');
  expect(entries.slice(0, 3)).toEqual([
    { name: 'www', protocol: 'tcp', port: 80, aliases: ['http'] },
    { name: 'also', protocol: 'tcp', port: 80, aliases: [] },
    { name: 'echo', protocol: 'tcp', port: 7, aliases: [] },
  ]);
  expect(entries).toHaveLength(2 + 2 * 11);
});
