import { expect, it } from 'vitest';
import { formatCidr } from '../../../src/address/cidr.ts';
import { LinkRoutes } from '../../../src/kernel/link-routes.ts';
import { answering, netlinkAttribute, netlinkHeader, netlinkMessage } from '../../support/netlink.ts';

const [newLink, newRoute, destination, output, gateway, multipath, via, nextHop] = [16, 24, 1, 4, 5, 9, 18, 30];
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

/** `struct ifinfomsg`. */
function link(index: number, flags: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeInt32LE(index, 4);
  bytes.writeUInt32LE(flags, 8);
  return netlinkMessage(newLink, bytes);
}

const [up, loopback, pointToPoint, noArp] = [0x1, 0x8, 0x10, 0x80];
const links = [link(1, up | loopback), link(2, up), link(3, up | pointToPoint), link(4, up | noArp)];

it('takes routes without a router, of both families', () => {
  const routes = [route(2, 24, 1, ipv4, eth0), route(10, 64, 1, ipv6, eth0)];
  expect(found(new LinkRoutes(answering(links, routes)))).toEqual(['192.0.2.0/24', '2001:db8::/64']);
});

it.each([
  ['with a gateway', route(2, 24, 1, ipv4, eth0, netlinkAttribute(gateway, 'c0000201'))],
  ['with several', route(2, 24, 1, ipv4, eth0, netlinkAttribute(multipath, '0800000002000000'))],
  ['with a gateway of the other family', route(2, 24, 1, ipv4, eth0, netlinkAttribute(via, '0a00'))],
  ['with a nexthop object', route(2, 24, 1, ipv4, eth0, netlinkAttribute(nextHop, '01000000'))],
  ['over loopback', route(10, 64, 1, ipv6, netlinkAttribute(output, '01000000'))],
  ['over a tunnel', route(2, 24, 1, ipv4, netlinkAttribute(output, '03000000'))],
  ['over a link without ARP', route(2, 24, 1, ipv4, netlinkAttribute(output, '04000000'))],
  ['over a link that is not there', route(2, 24, 1, ipv4, netlinkAttribute(output, '05000000'))],
  ['over no link', route(2, 24, 1, ipv4)],
  ['to itself', route(2, 24, 2, ipv4, eth0)],
  ['to nowhere', route(2, 24, 6, ipv4, eth0)],
  ['to everywhere', route(2, 0, 1, eth0)],
  ['of another family', route(7, 24, 1, ipv4, eth0)],
  ['with a prefix that is too long', route(10, 129, 1, ipv6, eth0)],
  ['with an address that is too short', route(10, 64, 1, ipv4, eth0)],
  [
    'with an attribute that is longer than the message',
    route(2, 24, 1, eth0, netlinkAttribute(destination, 'c0000200', 99)),
  ],
  ['that is cut off', netlinkHeader(16 + 3, newRoute)],
])('leaves out a route %s', (_what, message) => {
  expect(found(new LinkRoutes(answering(links, [message, Buffer.alloc(3)])))).toEqual([]);
});
