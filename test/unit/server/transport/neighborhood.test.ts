import { beforeEach, describe, expect, it } from 'vitest';
import { parseCidr } from '../../../../src/address/cidr.ts';
import { formatIp, type IpAddress, parseIp } from '../../../../src/address/ip-address.ts';
import {
  type NeighborSource,
  Neighborhood,
  type Searches,
  searchRate,
} from '../../../../src/server/transport/neighborhood.ts';
import { TokenBucket } from '../../../../src/server/guard/token-bucket.ts';

let own: readonly string[];
let routes: readonly string[];
let known: readonly string[];
let asked: { addresses: number; neighbors: number };
let neighborhood: Neighborhood;

function create(searches?: Searches): Neighborhood {
  const source: NeighborSource = {
    addresses: () => {
      asked.addresses += 1;
      return own;
    },
    routes: (found) => {
      for (const text of routes) {
        const { network, prefix } = parseCidr(text) ?? {};
        if (network !== undefined && prefix !== undefined) found(network, prefix);
      }
    },
    neighbors: (found) => {
      asked.neighbors += 1;
      for (const text of known) found(ip(text));
    },
  };
  return new Neighborhood(source, searches);
}

beforeEach(() => {
  own = ['192.0.2.1', '2001:db8::1', '198.51.100.7', '2001:db8:9::9', '10.0.0.1', '127.0.0.1', '::1'];
  const networks = ['192.0.2.0/24', '2001:db8::/64', '10.0.0.0/31', '2001:db8:5::/64', '2001:db8:5::/80'];
  routes = [...networks, '172.16.0.9/32', '2001:db8:6::9/128'];
  known = ['192.0.2.9', '2001:db8::9'];
  asked = { addresses: 0, neighbors: 0 };
  neighborhood = create();
});

function ip(text: string): IpAddress {
  const address = parseIp(text);
  if (address === undefined) throw new Error(`no address: ${text}`);
  return address;
}

it.each<[string, boolean]>([
  ['192.0.2.200', true],
  ['192.0.3.1', false],
  ['2001:db8::ffff', true],
  ['2001:db8:0:1::1', false],
  ['fe80::1', true],
  ['169.254.1.1', true],
  ['10.0.0.0', true],
  ['10.0.0.2', false],
  ['127.0.0.1', false],
  ['203.0.113.1', false],
  // By a route alone.
  ['2001:db8:5::7', true],
  ['2001:db8:5:1::7', false],
  ['172.16.0.9', true],
  ['172.16.0.8', false],
  ['10.0.0.9', false],
  ['2001:db8:6::9', true],
  // Its own addresses.
  ['192.0.2.1', false],
  ['2001:db8::1', false],
  ['198.51.100.7', false],
  ['2001:db8:9::9', false],
])('%s is another host on a link: %s', (address, expected) => {
  expect(neighborhood.isOnLink(ip(address), 0)).toBe(expected);
});

it('knows whose link address the system has', () => {
  const addresses = ['192.0.2.9', '192.0.2.8', '2001:db8::9', '2001:db8::8'].map(ip);
  expect(addresses.filter((each) => neighborhood.isKnown(each, 0)).map(formatIp)).toEqual(['192.0.2.9', '2001:db8::9']);
});

it('asks for interfaces once a minute, and for neighbors once a second, if need be', () => {
  for (const nowMs of [0, 999]) neighborhood.isKnown(ip('192.0.2.9'), nowMs);
  for (const nowMs of [0, 59_999]) neighborhood.isOnLink(ip('192.0.3.1'), nowMs);
  expect(asked).toEqual({ addresses: 1, neighbors: 1 });
  known = ['192.0.2.8'];
  own = ['192.0.3.9'];
  routes = ['192.0.3.0/24'];
  expect(neighborhood.isKnown(ip('192.0.2.8'), 1000)).toBe(true);
  expect(neighborhood.isKnown(ip('192.0.2.9'), 1000)).toBe(false);
  expect(neighborhood.isOnLink(ip('192.0.3.1'), 60_000)).toBe(true);
  expect(neighborhood.isOnLink(ip('192.0.2.1'), 60_000)).toBe(false);
  expect(asked).toEqual({ addresses: 2, neighbors: 2 });
});

it('asks for neighbors again after a tenth of a second for one who is not known, but once a second if they are many', () => {
  for (const nowMs of [0, 99]) expect(neighborhood.isKnown(ip('192.0.2.8'), nowMs)).toBe(false);
  expect(asked.neighbors).toBe(1);
  known = ['192.0.2.8'];
  expect(neighborhood.isKnown(ip('192.0.2.8'), 100)).toBe(true);
  expect(asked.neighbors).toBe(2);
  known = Array.from({ length: 2000 }, (_, at) => addressAt(at));
  for (const nowMs of [1100, 2000]) expect(neighborhood.isKnown(ip('192.0.2.8'), nowMs)).toBe(false);
  expect(asked.neighbors).toBe(3);
});

/** In one of the networks. */
function addressAt(number: number): string {
  return `2001:db8::${(number + 1).toString(16)}:1`;
}

/** How many of the addresses with these numbers may be looked for. */
function countLookedFor(from: number, count: number, nowMs: number, by: Neighborhood = neighborhood): number {
  const addresses = Array.from({ length: count }, (_, at) => ip(addressAt(from + at)));
  return addresses.filter((each) => by.isOnLink(each, nowMs) && !by.isKnown(each, nowMs) && by.mayLookFor(each, nowMs))
    .length;
}

describe('hosts that are not known', () => {
  it('are looked for 128 at once, and then ten a second', () => {
    expect(countLookedFor(0, 4000, 0)).toBe(128);
    expect(countLookedFor(1000, 4000, 99)).toBe(0);
    expect(countLookedFor(1000, 4000, 100)).toBe(1);
    expect(countLookedFor(5000, 4000, 10_100)).toBe(100);
  });

  it('get more than one reply while the kernel looks for them', () => {
    expect(countLookedFor(0, 128, 0)).toBe(128);
    expect(countLookedFor(0, 128, 2999)).toBe(128);
    // 30 tokens have come since.
    expect(countLookedFor(0, 128, 3000)).toBe(30);
  });

  it('are looked for as often by several processes together', () => {
    const memory = new Float64Array(1);
    const searches = (): Searches => ({ bucket: new TokenBucket(searchRate, memory), nowMs: () => 5000 });
    const [one, other] = [create(searches()), create(searches())];
    // Each has a clock of its own.
    expect(countLookedFor(0, 100, 0, one)).toBe(100);
    expect(countLookedFor(1000, 100, 70_000, other)).toBe(28);
  });

  it('are looked for although few others, who do not exist, are asked for all the time', () => {
    for (let index = 0; index < 3000; index += 1) {
      const nowMs = (index * 1000) / 3;
      countLookedFor(index % 200, 1, nowMs);
      if (index % 10 === 0) expect(countLookedFor(10_000 + index, 1, nowMs)).toBe(1);
    }
  });

  it.each<[string, () => void]>([
    ['where no link is seen, so that nobody can', () => void (routes = [])],
    ['in a table that is too large', () => void (known = Array.from({ length: 17_000 }, (_, at) => addressAt(at)))],
  ])('are not limited %s', (_where, change) => {
    change();
    const linkLocal = Array.from({ length: 1000 }, (_, at) => ip(`fe80::${(at + 1).toString(16)}`));
    const lookedFor = linkLocal.filter(
      (each) => neighborhood.isOnLink(each, 0) && !neighborhood.isKnown(each, 0) && neighborhood.mayLookFor(each, 0),
    );
    expect(lookedFor).toHaveLength(1000);
  });
});

it('looks at the widest networks only, of a machine with many routes', () => {
  routes = ['203.0.113.0/24', ...Array.from({ length: 20_000 }, (_, at) => `10.${at >>> 8}.${at & 255}.0/25`)];
  expect(neighborhood.isOnLink(ip('203.0.113.9'), 0)).toBe(true);
  expect(neighborhood.isOnLink(ip('10.0.0.5'), 0)).toBe(true);
  expect(neighborhood.isOnLink(ip('10.70.0.5'), 0)).toBe(false);
});

it('takes no address of its own for a neighbor, however wide a route is', () => {
  routes = ['0.0.0.0/1', '128.0.0.0/1', '::/1'];
  expect(own.filter((each) => neighborhood.isOnLink(ip(each), 0))).toEqual([]);
  expect(neighborhood.isOnLink(ip('203.0.113.9'), 0)).toBe(true);
});
