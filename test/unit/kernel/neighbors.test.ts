import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { formatIp, isIpv4 } from '../../../src/address/ip-address.ts';
import { libc } from '../../../src/kernel/libc.ts';
import { Neighbors, neighbors } from '../../../src/kernel/neighbors.ts';

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

it('takes nothing that the kernel did not say, whatever the lengths in its answer', () => {
  if (libc === undefined) throw new Error('no libc');
  const functions = libc;
  const answersTo = (...parts: readonly Buffer[]): readonly string[] => {
    const answer = Buffer.concat(parts);
    let target = Buffer.alloc(0);
    let isRead = false;
    const fake = {
      ...functions,
      allocate(bytes: number) {
        const memory = functions.allocate(bytes);
        target = Buffer.from(memory.buffer);
        // What an earlier answer may have left behind.
        target.fill(0x01);
        return memory;
      },
      send: () => 0,
      recv() {
        if (isRead) return -1;
        isRead = true;
        answer.copy(target);
        return answer.length;
      },
    };
    const found: string[] = [];
    new Neighbors(fake).read((ip) => found.push(formatIp(ip)));
    return found;
  };
  const good = neighbor(2, 2, 8, 1, 'c0000209');
  const good6 = neighbor(10, 4, 20, 1, '20010db8000000000000000000000009');
  expect(answersTo(message(good), message(good6))).toEqual(['192.0.2.9', '2001:db8::9']);
  // No link address, another attribute, another message, and lengths that do not fit.
  expect(answersTo(message(neighbor(2, 1, 8, 1, 'c0000209')))).toEqual([]);
  expect(answersTo(message(neighbor(2, 32, 8, 1, 'c0000209')))).toEqual([]);
  expect(answersTo(message(neighbor(2, 2, 8, 2, 'c0000209')))).toEqual([]);
  expect(answersTo(message(good, 3), message(good))).toEqual([]);
  for (const size of [0, 3, 4, 7, 9, 20, 65_535])
    expect(answersTo(message(neighbor(2, 2, size, 1, 'c0000209')))).toEqual([]);
  for (const size of [0, 15, 17, 100, 2 ** 32 - 1]) expect(answersTo(header(size, 28), good)).toEqual([]);
  expect(answersTo(Buffer.alloc(5))).toEqual([]);
});

function header(length: number, type: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt32LE(length, 0);
  bytes.writeUInt16LE(type, 4);
  return bytes;
}

/** Family, state, and one attribute. */
function neighbor(family: number, state: number, size: number, type: number, data: string): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt8(family, 0);
  bytes.writeUInt16LE(state, 8);
  bytes.writeUInt16LE(size, 12);
  bytes.writeUInt16LE(type, 14);
  return Buffer.concat([bytes, Buffer.from(data, 'hex')]);
}

function message(body: Buffer, type = 28): Buffer {
  return Buffer.concat([header(16 + body.length, type), body]);
}
