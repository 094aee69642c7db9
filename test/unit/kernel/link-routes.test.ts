import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { formatCidr } from '../../../src/address/cidr.ts';
import { LinkRoutes, linkRoutes } from '../../../src/kernel/link-routes.ts';
import { answering, netlinkAttribute, netlinkHeader, netlinkMessage } from '../../support/netlink.ts';

const [newRoute, destination, output, gateway, multipath, via, nextHop] = [24, 1, 4, 5, 9, 18, 30];
const ipv4 = netlinkAttribute(destination, 'c0000200');
const ipv6 = netlinkAttribute(destination, '20010db8000000000000000000000000');
const eth0 = netlinkAttribute(output, '02000000');

function found(routes: LinkRoutes): readonly string[] {
  const texts: string[] = [];
  routes.read((network, prefix) => texts.push(formatCidr({ network, prefix })));
  return texts;
}

/** `struct rtmsg`, and attributes. */
function route(family: number, prefix: number, type: number, ...attributes: readonly Buffer[]): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt8(family, 0);
  bytes.writeUInt8(prefix, 1);
  bytes.writeUInt8(type, 7);
  return netlinkMessage(newRoute, bytes, ...attributes);
}

it('finds the IPv4 networks that the system lists without a gateway', () => {
  // proc(5), /proc/net/route: words in the byte order of the machine.
  const listed = readFileSync('/proc/net/route', 'latin1')
    .split('\n')
    .slice(1)
    .map((line) => line.split('\t'))
    .filter(([, network, router]) => network !== undefined && network !== '00000000' && router === '00000000')
    .map(([, network = '', , , , , , mask = '']) => {
      const address = Buffer.from(network, 'hex').toReversed().join('.');
      const bits = Number.parseInt(mask, 16).toString(2).replaceAll('0', '').length;
      return `${address}/${bits}`;
    });
  expect(found(linkRoutes())).toEqual(expect.arrayContaining(listed));
});

it('takes routes without a router, of both families', () => {
  const routes = [route(2, 24, 1, ipv4, eth0), route(10, 64, 1, ipv6, eth0)];
  expect(found(new LinkRoutes(answering(...routes)))).toEqual(['192.0.2.0/24', '2001:db8::/64']);
});

it.each([
  ['with a gateway', route(2, 24, 1, ipv4, eth0, netlinkAttribute(gateway, 'c0000201'))],
  ['with several', route(2, 24, 1, ipv4, netlinkAttribute(multipath, '0800000002000000'))],
  ['with a gateway of the other family', route(2, 24, 1, ipv4, netlinkAttribute(via, '0a00'))],
  ['with a nexthop object', route(2, 24, 1, ipv4, netlinkAttribute(nextHop, '01000000'))],
  ['to itself', route(2, 24, 2, ipv4, eth0)],
  ['to nowhere', route(2, 24, 6, ipv4)],
  ['to everywhere', route(2, 0, 1, eth0)],
  ['of another family', route(7, 24, 1, ipv4, eth0)],
  ['with a prefix that is too long', route(10, 129, 1, ipv6, eth0)],
  ['with an address that is too short', route(10, 64, 1, ipv4, eth0)],
  ['with an attribute that is longer than the message', route(2, 24, 1, netlinkAttribute(destination, 'c0000200', 99))],
  ['that is cut off', netlinkHeader(16 + 3, newRoute)],
])('leaves out a route %s', (_what, message) => {
  expect(found(new LinkRoutes(answering(message, Buffer.alloc(3))))).toEqual([]);
});
