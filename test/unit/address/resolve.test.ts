import { describe, expect, test } from 'vitest';
import { type NetworkListenAddress, parseListenAddress } from '../../../src/address/listen-address.ts';
import {
  findOverlaps,
  type NameLookup,
  type ResolvedAddress,
  resolveListenAddress,
} from '../../../src/address/resolve.ts';
import { parseServicesFile } from '../../../src/address/service-ports.ts';

function network(text: string): NetworkListenAddress {
  return parseListenAddress(text, parseServicesFile('')) as NetworkListenAddress;
}

const names: Readonly<Record<string, { address: string; family: number }[]>> = {
  'both.example': [
    { address: '192.0.2.1', family: 4 },
    { address: '2001:db8::1', family: 6 },
    { address: '192.0.2.1', family: 4 },
  ],
  'four.example': [{ address: '192.0.2.4', family: 4 }],
  'none.example': [],
};

const lookup: NameLookup = async (name) => {
  const found = names[name];
  if (found === undefined) throw Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' });
  return found;
};

const refuseLookup: NameLookup = () => Promise.reject(new Error('the resolver was asked'));

async function shortForm(text: string, by: NameLookup): Promise<readonly string[]> {
  const resolved = await resolveListenAddress(network(text), by);
  return resolved.map(
    ({ transport, family, address, port, optional }) =>
      `${transport} ${family} ${address} ${port}${optional ? ' optional' : ''}`,
  );
}

describe('resolveListenAddress', () => {
  test.each([
    ['tcp://*:7', ['tcp ipv4 0.0.0.0 7 optional', 'tcp ipv6 :: 7 optional']],
    ['udp6://:7', ['udp ipv6 :: 7 optional']],
    ['tcp://localhost:0', ['tcp ipv4 127.0.0.1 0 optional', 'tcp ipv6 ::1 0 optional']],
    ['tcp4://LOCALHOST.:7', ['tcp ipv4 127.0.0.1 7 optional']],
    ['tcp6://www.localhost:7', ['tcp ipv6 ::1 7 optional']],
    ['tcp://192.0.2.7:7', ['tcp ipv4 192.0.2.7 7']],
    ['udp://[2001:DB8:0:0::7]:7', ['udp ipv6 2001:db8::7 7']],
    ['udp://[fe80::1%eth0]:7', ['udp ipv6 fe80::1%eth0 7']],
  ])('resolves %s without a lookup', async (text, expected) => {
    expect(await shortForm(text, refuseLookup)).toEqual(expected);
  });

  test.each([
    ['tcp://both.example:7', ['tcp ipv4 192.0.2.1 7 optional', 'tcp ipv6 2001:db8::1 7 optional']],
    ['tcp6://both.example:7', ['tcp ipv6 2001:db8::1 7 optional']],
    ['udp://four.example:7', ['udp ipv4 192.0.2.4 7 optional']],
  ])('looks up %s', async (text, expected) => {
    expect(await shortForm(text, lookup)).toEqual(expected);
  });

  test.each([
    ['tcp6://four.example:7', 'the name four.example has no IPv6 address'],
    ['tcp://none.example:7', 'the name none.example has no address'],
    ['tcp://missing.example:7', 'cannot resolve missing.example: no such name'],
  ])('rejects %s as unresolved', async (text, message) => {
    await expect(resolveListenAddress(network(text), lookup)).rejects.toMatchObject({
      code: 'NAME_NOT_RESOLVED',
      message,
    });
  });
});

function addressOf(text: string): ResolvedAddress {
  const [transport = '', address = '', port = ''] = text.split(' ');
  return {
    transport: transport === 'udp' ? 'udp' : 'tcp',
    family: address.includes(':') ? 'ipv6' : 'ipv4',
    address,
    port: Number(port),
    optional: false,
  };
}

describe('findOverlaps', () => {
  test.each([
    ['tcp 127.0.0.1 7', 'tcp 127.0.0.1 7', true],
    ['tcp 127.0.0.1 7', 'udp 127.0.0.1 7', false],
    ['tcp 127.0.0.1 7', 'tcp 127.0.0.1 8', false],
    ['tcp 127.0.0.1 7', 'tcp 127.0.0.2 7', false],
    ['tcp 0.0.0.0 7', 'tcp 127.0.0.1 7', true],
    ['tcp 127.0.0.1 7', 'tcp 0.0.0.0 7', true],
    ['tcp :: 7', 'tcp 127.0.0.1 7', false],
    ['tcp :: 7', 'tcp 0.0.0.0 7', false],
    ['udp :: 7', 'udp ::1 7', true],
    ['tcp 127.0.0.1 0', 'tcp 127.0.0.1 0', false],
  ])('compares %s with %s: %s', (one, other, overlap) => {
    const pair = [addressOf(one), addressOf(other)] as const;
    expect(findOverlaps(pair)).toEqual(overlap ? [pair] : []);
  });

  test('finds every overlapping address with the first address it overlaps', () => {
    const [first, second, third] = ['tcp 10.0.0.1 7', 'tcp 0.0.0.0 7', 'tcp 10.0.0.2 7'].map(addressOf);
    expect(findOverlaps([first, second, third].filter((each) => each !== undefined))).toEqual([
      [first, second],
      [second, third],
    ]);
  });
});
