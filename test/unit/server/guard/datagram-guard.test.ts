import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatIp } from '../../../../src/address/ip-address.ts';
import type { DatagramLimits } from '../../../../src/server/guard/limits.ts';
import { DatagramGuard, type DropReason, type WouldDropReason } from '../../../../src/server/guard/datagram-guard.ts';
import { wireSize } from '../../../../src/wire-size.ts';
import { access, datagramLimits, ip, seededRandom } from './fixtures.ts';

const client = ip('192.0.2.1');
const client6 = ip('2001:db8::1');
const clientPort = 40_000;
const request = Buffer.from('request');

interface Setting {
  limits?: Partial<DatagramLimits>;
  lists?: Parameters<typeof access>[0];
  ownPorts?: Set<number>;
  broadcasts?: Set<number>;
  onMute?: (source: ReturnType<typeof ip>, port: number) => void;
  onWouldDrop?: (reason: WouldDropReason) => void;
}

function guard({ limits, lists, ownPorts, broadcasts, onMute, onWouldDrop }: Setting = {}): DatagramGuard {
  return new DatagramGuard({
    limits: { ...datagramLimits, ...limits },
    access: access(lists),
    ownPorts: ownPorts ?? new Set(),
    broadcasts: broadcasts ?? new Set(),
    random: seededRandom(1),
    ...(onMute === undefined ? {} : { onMute }),
    ...(onWouldDrop === undefined ? {} : { onWouldDrop }),
  });
}

/** How many of `tries` datagrams at the same time are admitted. */
function admitted(subject: DatagramGuard, sources: readonly string[], tries: number, nowMs = 0): number {
  let count = 0;
  for (let at = 0; at < tries; at++) {
    const source = ip(sources[at % sources.length] ?? '');
    if (subject.judge(source, clientPort, request, nowMs) === undefined) count++;
  }
  return count;
}

/** The first 8 bounce our answer back, so that the last of them is muted. */
function loop(subject: DatagramGuard, source = client, port = 7007, nowMs = 0): (DropReason | undefined)[] {
  subject.sent(source, port, Buffer.from('asked'), request, nowMs);
  return Array.from({ length: 8 }, () => subject.judge(source, port, request, nowMs));
}

describe('rule 1: source-port', () => {
  it.each([
    ['0', 0, 'source-port'],
    ['below 1024', 1, 'source-port'],
    ['chargen', 19, 'source-port'],
    ['the last below 1024', 1023, 'source-port'],
    ['the first from 1024', 1024, undefined],
    ['SSDP', 1900, 'source-port'],
    ['NFS', 2049, 'source-port'],
    ['WS-Discovery', 3702, 'source-port'],
    ['mDNS', 5353, 'source-port'],
    ['memcached', 11_211, 'source-port'],
    ['one that we serve', 1201, 'source-port'],
    ['another one', 1202, undefined],
    ['an ephemeral one', 65_535, undefined],
  ] as const)('%s', (_what, port, reason) => {
    expect(guard({ ownPorts: new Set([1201]) }).judge(client, port, request, 0)).toBe(reason);
  });

  it('sees ports that are opened later', () => {
    const ownPorts = new Set<number>();
    const subject = guard({ ownPorts });
    expect(subject.judge(client, 20_000, request, 0)).toBeUndefined();
    ownPorts.add(20_000);
    expect(subject.judge(client, 20_000, request, 0)).toBe('source-port');
  });

  it.each([
    ['a low port', 53, undefined],
    ['a reflector', 1900, undefined],
    ['one that we serve', 1201, undefined],
    ['no other port', 54, 'source-port'],
    ['never 0', 0, 'source-port'],
  ] as const)('allowSourcePorts opens %s', (_what, port, reason) => {
    const subject = guard({ limits: { allowSourcePorts: [0, 53, 1201, 1900] }, ownPorts: new Set([1201]) });
    expect(subject.judge(client, port, request, 0)).toBe(reason);
  });
});

describe('rule 2: source-address', () => {
  it.each([
    ['unspecified IPv4', '0.0.0.0', 'source-address'],
    ['unspecified IPv6', '::', 'source-address'],
    ['multicast IPv4', '224.0.0.1', 'source-address'],
    ['multicast IPv6', 'ff02::1', 'source-address'],
    ['the limited broadcast', '255.255.255.255', 'source-address'],
    ['class E', '240.0.0.1', 'source-address'],
    ['the broadcast address of an interface', '192.0.2.255', 'source-address'],
    ['another address that ends in 255', '198.51.100.255', undefined],
    ['an IPv6 address with the same last word', '2001:db8::c000:2ff', undefined],
    ['loopback IPv4', '127.0.0.1', undefined],
    ['loopback IPv6', '::1', undefined],
    ['a private address', '10.0.0.1', undefined],
    ['a link-local address', 'fe80::1%eth0', undefined],
  ] as const)('%s', (_what, address, reason) => {
    const subject = guard({ broadcasts: new Set([0xc00002ff]) });
    expect(subject.judge(ip(address), clientPort, request, 0)).toBe(reason);
  });

  it('sees broadcast addresses that change', () => {
    const broadcasts = new Set<number>();
    const subject = guard({ broadcasts });
    expect(subject.judge(client, clientPort, request, 0)).toBeUndefined();
    broadcasts.add(client.w3);
    expect(subject.judge(client, clientPort, request, 0)).toBe('source-address');
  });
});

describe('rule 3: denied', () => {
  it.each([
    ['by deny', { deny: ['192.0.2.0/24'] }, 'denied'],
    ['by an allow list without it', { allow: ['10.0.0.0/8'] }, 'denied'],
    ['not by an allow list with it', { allow: ['192.0.2.0/24'] }, undefined],
    ['by deny before allow', { allow: ['192.0.2.1'], deny: ['192.0.2.0/24'] }, 'denied'],
    ['by deny, exempt or not', { deny: ['192.0.2.1'], exempt: ['192.0.2.1'] }, 'denied'],
  ] as const)('%s', (_what, lists, reason) => {
    const mutable = Object.fromEntries(Object.entries(lists).map(([key, list]) => [key, [...list]]));
    expect(guard({ lists: mutable }).judge(client, clientPort, request, 0)).toBe(reason);
  });
});

describe('rule 4: rate', () => {
  const three = { perSecond: 1, burst: 3 };

  it('refuses a source past 400, then gives 200 a second', () => {
    const subject = guard();
    expect(admitted(subject, ['192.0.2.1'], 500)).toBe(400);
    expect(subject.judge(client, clientPort, request, 0)).toBe('rate');
    expect(admitted(subject, ['192.0.2.1'], 500, 1000)).toBe(200);
  });

  it('refuses a service past its burst, whatever the sources', () => {
    const sources = Array.from({ length: 200 }, (_, at) => `10.0.${at}.1`);
    expect(admitted(guard(), sources, 25_000)).toBe(20_000);
  });

  it.each([
    ['one IPv4 /24 is one source', ['192.0.2.0', '192.0.2.255'], 3],
    ['two IPv4 /24 are two', ['192.0.2.1', '192.0.3.1'], 6],
    ['one IPv6 /56 is one source', ['2001:db8:1:200::1', '2001:db8:1:2ff:ffff:ffff:ffff:ffff'], 3],
    ['two IPv6 /56 are two', ['2001:db8:1:200::1', '2001:db8:1:300::1'], 6],
    ['IPv4 and its number in IPv6 are two', ['192.0.2.1', '0:0:c000:200::1'], 6],
  ])('%s', (_rule, sources, count) => {
    expect(admitted(guard({ limits: { datagramRate: three } }), sources, 20)).toBe(count);
  });

  it.each([
    ['prefix', { datagramRate: three }],
    ['service', { datagramServiceRate: three }],
  ])('exempt sources skip the rate of the %s', (_what, limits) => {
    const subject = guard({ limits, lists: { exempt: ['127.0.0.0/8'] } });
    expect(admitted(subject, ['127.0.0.1'], 20)).toBe(20);
    expect(admitted(subject, ['192.0.2.1'], 20), 'and cost others nothing').toBe(3);
  });

  it('a source has as many bits as sourcePrefix says', () => {
    const subject = guard({ limits: { datagramRate: three, sourcePrefix: { ipv4: 32, ipv6: 64 } } });
    expect(admitted(subject, ['192.0.2.1', '192.0.2.2'], 20)).toBe(6);
    expect(admitted(subject, ['2001:db8::1', '2001:db8::2', '2001:db8:0:1::1'], 30)).toBe(6);
  });

  it('a dry run answers what the rates would drop, and tells of it', () => {
    const reasons: WouldDropReason[] = [];
    const limits = { datagramRate: three, dryRun: true };
    const subject = guard({ limits, lists: { deny: ['198.51.100.1'] }, onWouldDrop: (reason) => reasons.push(reason) });
    expect(admitted(subject, ['192.0.2.1'], 5)).toBe(5);
    expect(reasons).toEqual(['rate', 'rate']);
    expect(subject.judge(client, 7, request, 0), 'the other rules hold').toBe('source-port');
    expect(subject.judge(ip('198.51.100.1'), clientPort, request, 0)).toBe('denied');
    expect(loop(subject).at(-1)).toBe('loop');
  });

  it('a datagram refused by its prefix does not charge the service', () => {
    const subject = guard({ limits: { datagramRate: three, datagramServiceRate: { perSecond: 1, burst: 5 } } });
    expect(admitted(subject, ['192.0.2.1'], 1000)).toBe(3);
    expect(admitted(subject, ['198.51.100.1'], 10)).toBe(2);
  });

  it('a datagram refused by the service does not charge its prefix', () => {
    const subject = guard({
      limits: { datagramRate: { perSecond: 0, burst: 3 }, datagramServiceRate: { perSecond: 10, burst: 10 } },
    });
    const others = Array.from({ length: 10 }, (_, at) => `10.0.${at}.1`);
    expect(admitted(subject, others, 10)).toBe(10);
    expect(admitted(subject, ['192.0.2.1'], 10)).toBe(0);
    expect(admitted(subject, ['192.0.2.1'], 10, 10_000)).toBe(3);
  });
});

describe('rule 5: loop', () => {
  it('mutes a peer that sends our answer back eight times, and says so once', () => {
    const muted: string[] = [];
    const subject = guard({ onMute: (source, port) => muted.push(`${formatIp(source)} ${port}`) });
    expect(loop(subject)).toEqual([...Array.from({ length: 7 }), 'loop']);
    expect(subject.judge(client, 7007, Buffer.from('other'), 59_999)).toBe('loop');
    expect(muted).toEqual(['192.0.2.1 7007']);
    expect(subject.judge(client, 7007, request, 60_000)).toBeUndefined();
  });

  it('applies to exempt sources', () => {
    const local = ip('127.0.0.1');
    expect(loop(guard({ lists: { exempt: ['127.0.0.0/8'] } }), local).at(-1)).toBe('loop');
  });

  it('leaves clients with ephemeral ports alone', () => {
    expect(loop(guard(), client, 32_768).at(-1)).toBeUndefined();
  });
});

describe('the order of the rules', () => {
  const never = { perSecond: 1, burst: 0 };
  it.each([
    ['source-port before source-address', 'source-port', 7, '255.255.255.255', {}],
    ['source-port before denied', 'source-port', 7, '192.0.2.1', { lists: { deny: ['192.0.2.1'] } }],
    ['source-port before rate', 'source-port', 7, '192.0.2.1', { limits: { datagramRate: never } }],
    ['source-address before denied', 'source-address', 2000, '224.0.0.1', { lists: { deny: ['0.0.0.0/0'] } }],
    ['source-address before rate', 'source-address', 2000, '::', { limits: { datagramServiceRate: never } }],
    [
      'denied before rate',
      'denied',
      2000,
      '192.0.2.1',
      { lists: { allow: ['10.0.0.0/8'] }, limits: { datagramRate: never } },
    ],
  ] as const satisfies readonly (readonly [string, DropReason, number, string, object])[])(
    '%s',
    (_rule, reason, port, address, setting) => {
      expect(guard(structuredClone(setting) as Setting).judge(ip(address), port, request, 0)).toBe(reason);
    },
  );

  it('rate before loop, which charges the rate', () => {
    const subject = guard({ limits: { datagramRate: { perSecond: 1, burst: 10 } } });
    expect(loop(subject).at(-1)).toBe('loop');
    const next = Array.from({ length: 4 }, () => subject.judge(client, 7007, request, 0));
    expect(next).toEqual(['loop', 'loop', 'rate', 'rate']);
  });

  it('what an earlier rule refuses charges no rate', () => {
    const subject = guard({ limits: { datagramRate: { perSecond: 1, burst: 1 } }, lists: { deny: ['192.0.2.9'] } });
    subject.judge(client, 7, request, 0);
    subject.judge(ip('192.0.2.9'), clientPort, request, 0);
    expect(subject.judge(client, clientPort, request, 0)).toBeUndefined();
    expect(subject.judge(client, clientPort, request, 0)).toBe('rate');
  });
});

describe('rule 6: the size on the wire', () => {
  it.each([
    ['an empty IPv4 datagram is a smallest frame', 0, true, 84],
    ['18 bytes over IPv4 still are', 18, true, 84],
    ['19 are not', 19, true, 85],
    ['an empty IPv6 datagram is longer', 0, false, 86],
    ['the largest IPv4 datagram', 65_507, true, 65_573],
  ])('%s', (_what, length, isV4, size) => {
    expect(wireSize(length, isV4)).toBe(size);
  });

  it.each([
    ['an empty IPv4 request allows 102 with 2', client, 0, 2, 102],
    ['and 18 with 1', client, 0, 1, 18],
    ['an empty IPv6 request allows 86 with 2', client6, 0, 2, 86],
    ['and 0 with 1', client6, 0, 1, 0],
    ['nothing fits below 1', client, 0, 0.99, -1],
    ['nothing fits below 1 over IPv6', client6, 0, 0.99, -1],
    ['echo always fits with 1', client, 1472, 1, 1472],
    ['echo always fits with 1 over IPv6', client6, 1452, 1, 1452],
    ['never past one IPv4 datagram', client, 65_507, 2, 65_507],
    ['never past one IPv6 datagram', client6, 65_527, 2, 65_527],
    ['never past it when unlimited', client, 0, Infinity, 65_507],
    ['never past it when unlimited over IPv6', client6, 0, Infinity, 65_527],
  ])('replyLimit: %s', (_what, source, length, maxAmplification, limit) => {
    expect(guard({ limits: { maxAmplification } }).replyLimit(source, length)).toBe(limit);
  });

  const ratios = fc.double({ min: 0, max: 400, noNaN: true });
  const lengths = fc.oneof(fc.integer({ min: 0, max: 100 }), fc.integer({ min: 0, max: 65_507 }));

  it('a reply of replyLimit never exceeds maxAmplification, one byte more does', () => {
    fc.assert(
      fc.property(fc.boolean(), lengths, ratios, (isV4, length, maxAmplification) => {
        const limit = guard({ limits: { maxAmplification } }).replyLimit(isV4 ? client : client6, length);
        const budget = maxAmplification * wireSize(length, isV4);
        if (limit >= 0) expect(wireSize(limit, isV4)).toBeLessThanOrEqual(budget);
        const largest = isV4 ? 65_507 : 65_527;
        expect(limit).toBeLessThanOrEqual(largest);
        if (limit < largest) expect(wireSize(Math.max(limit + 1, 0), isV4)).toBeGreaterThan(budget);
      }),
    );
  });

  it.each([
    ['none of none', 2, 0, [], 0],
    ['one that fits', 2, 0, [102], 1],
    ['none when the first does not', 2, 0, [103, 1], 0],
    ['two smallest frames for one', 2, 0, [18, 18, 18], 2],
    ['the longest prefix, not the best choice', 2, 0, [18, 19, 18], 1],
    ['all when unlimited', Infinity, 0, [512, 512, 512], 3],
    ['none past one datagram', Infinity, 0, [512, 65_508, 512], 1],
  ])('fitting: %s', (_what, maxAmplification, length, sizes, count) => {
    const replies = sizes.map((size) => new Uint8Array(size));
    expect(guard({ limits: { maxAmplification } }).fitting(client, length, replies)).toBe(count);
  });

  it('the replies that fit stay in the budget together, with one more they would not', () => {
    const sizes = fc.array(fc.integer({ min: 0, max: 600 }), { maxLength: 20 });
    fc.assert(
      fc.property(fc.boolean(), fc.integer({ min: 0, max: 1500 }), fc.nat(8), sizes, (isV4, length, ratio, list) => {
        const subject = guard({ limits: { maxAmplification: ratio } });
        const replies = list.map((size) => new Uint8Array(size));
        const count = subject.fitting(isV4 ? client : client6, length, replies);
        const sizeOf = (number: number) => list.slice(0, number).reduce((sum, size) => sum + wireSize(size, isV4), 0);
        const budget = ratio * wireSize(length, isV4);
        expect(sizeOf(count)).toBeLessThanOrEqual(budget);
        if (count < list.length) expect(sizeOf(count + 1)).toBeGreaterThan(budget);
      }),
    );
  });

  it('a single reply fits exactly when replyLimit says so', () => {
    fc.assert(
      fc.property(fc.boolean(), fc.nat(200), ratios, fc.nat(5000), (isV4, length, maxAmplification, size) => {
        const subject = guard({ limits: { maxAmplification } });
        const source = isV4 ? client : client6;
        const fits = subject.fitting(source, length, [new Uint8Array(size)]) === 1;
        expect(fits).toBe(size <= subject.replyLimit(source, length));
      }),
    );
  });
});
