import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { formatIp, isIpv4 } from '../../../src/address/ip-address.ts';
import { Neighbors, neighbors } from '../../../src/kernel/neighbors.ts';
import { answering, netlinkAttribute, netlinkHeader, netlinkMessage } from '../../support/netlink.ts';

/** ATF_COM in linux/if_arp.h: the entry has a link address. */
const complete = 2;

it('finds the IPv4 neighbors that the system lists with a link address', () => {
  const found: string[] = [];
  neighbors().read((ip) => isIpv4(ip) && found.push(formatIp(ip)));
  // proc(5), /proc/net/arp: address, hardware type, flags. It leaves out those that need none.
  const listed = readFileSync('/proc/net/arp', 'latin1')
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , flags = '0']) => (Number(flags) & complete) !== 0)
    .map(([address = '']) => address);
  expect(found).toEqual(expect.arrayContaining(listed));
});

/** What is found if the kernel answers with these messages. */
function answersTo(...parts: readonly Buffer[]): readonly string[] {
  const found: string[] = [];
  new Neighbors(answering(parts)).read((ip) => found.push(formatIp(ip)));
  return found;
}

it('takes nothing that the kernel did not say, whatever the lengths in its answer', () => {
  const good = neighbor(2, 2, 1, 'c0000209');
  const good6 = neighbor(10, 4, 1, '20010db8000000000000000000000009');
  expect(answersTo(netlinkMessage(28, good), netlinkMessage(28, good6))).toEqual(['192.0.2.9', '2001:db8::9']);
  // No link address, another attribute, another message, and lengths that do not fit.
  expect(answersTo(netlinkMessage(28, neighbor(2, 1, 1, 'c0000209')))).toEqual([]);
  expect(answersTo(netlinkMessage(28, neighbor(2, 32, 1, 'c0000209')))).toEqual([]);
  expect(answersTo(netlinkMessage(28, neighbor(2, 2, 2, 'c0000209')))).toEqual([]);
  expect(answersTo(netlinkMessage(3, good), netlinkMessage(28, good))).toEqual([]);
  for (const size of [0, 3, 4, 7, 9, 20, 65_535])
    expect(answersTo(netlinkMessage(28, neighbor(2, 2, 1, 'c0000209', size)))).toEqual([]);
  for (const size of [0, 15, 17, 20, 100, 2 ** 32 - 1]) expect(answersTo(netlinkHeader(size, 28), good)).toEqual([]);
  expect(answersTo(Buffer.alloc(5))).toEqual([]);
});

/** `struct ndmsg`, and one attribute. */
function neighbor(family: number, state: number, type: number, data: string, size?: number): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt8(family, 0);
  bytes.writeUInt16LE(state, 8);
  return Buffer.concat([bytes, netlinkAttribute(type, data, size)]);
}
