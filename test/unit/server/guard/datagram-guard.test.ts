import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatIp } from '../../../../src/address/ip-address.ts';
import type { DatagramLimits } from '../../../../src/server/guard/limits.ts';
import { DatagramGuard, type DropReason, type WouldDropReason } from '../../../../src/server/guard/datagram-guard.ts';
import { LoopBreaker } from '../../../../src/server/guard/loop-breaker.ts';
import { SharedCounts } from '../../../../src/server/guard/shared-counts.ts';
import { roomElements, SharedRoom } from '../../../../src/server/guard/shared-room.ts';
import type { SharedLimits } from '../../../../src/server/guard/shared-limits.ts';
import { SourceHash } from '../../../../src/server/guard/source-hash.ts';
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
  shared?: SharedLimits;
  onLoop?: (source: ReturnType<typeof ip>, port: number) => void;
  onWouldDrop?: (reason: WouldDropReason) => void;
}

function guard({ limits, lists, ownPorts, broadcasts, shared, onLoop, onWouldDrop }: Setting = {}): DatagramGuard {
  return new DatagramGuard({
    limits: { ...datagramLimits, ...limits },
    access: access(lists),
    ownPorts: ownPorts ?? new Set(),
    broadcasts: broadcasts ?? new Set(),
    random: seededRandom(1),
    loops: new LoopBreaker(seededRandom(1)),
    shared,
    ...(onLoop === undefined ? {} : { onLoop }),
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

/** Seven bounce our answer back, so that the last of them is dropped. */
function loop(subject: DatagramGuard, source = client, port = 7007, nowMs = 0): (DropReason | undefined)[] {
  subject.sent(source, port, Buffer.from('asked'), request, nowMs);
  return Array.from({ length: 7 }, () => subject.judge(source, port, request, nowMs));
}

describe('rule 1: source-port', () => {
  it.each([
    ['0', 0, 'source-port'],
    ['below 1024', 1, 'source-port'],
    ['chargen', 19, 'source-port'],
    ['the highest below 1024', 1023, 'source-port'],
    ['the lowest unprivileged port', 1024, undefined],
    ['SSDP', 1900, 'source-port'],
    ['NFS', 2049, 'source-port'],
    ['WS-Discovery', 3702, 'source-port'],
    ['mDNS', 5353, 'source-port'],
    ['memcached', 11_211, 'source-port'],
    ['a port we serve', 1201, 'source-port'],
    ['a port we do not serve', 1202, undefined],
    ['an ephemeral port', 65_535, undefined],
  ] as const)('%s', (_what, port, reason) => {
    expect(guard({ ownPorts: new Set([1201]) }).judge(client, port, request, 0)).toBe(reason);
  });

  it('covers ports opened later', () => {
    const ownPorts = new Set<number>();
    const subject = guard({ ownPorts });
    expect(subject.judge(client, 20_000, request, 0)).toBeUndefined();
    ownPorts.add(20_000);
    expect(subject.judge(client, 20_000, request, 0)).toBe('source-port');
  });

  it.each([
    ['a low port', 53, undefined],
    ['a reflector', 1900, undefined],
    ['a port we serve', 1201, undefined],
    ['no port outside the list', 54, 'source-port'],
    ['never 0', 0, 'source-port'],
  ] as const)('applies allowSourcePorts: %s', (_what, port, reason) => {
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
    ['the limited broadcast address', '255.255.255.255', 'source-address'],
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

  it('follows changes of the broadcast addresses', () => {
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
    ['by an allow list that does not contain the source', { allow: ['10.0.0.0/8'] }, 'denied'],
    ['not by an allow list that contains the source', { allow: ['192.0.2.0/24'] }, undefined],
    ['by deny before allow', { allow: ['192.0.2.1'], deny: ['192.0.2.0/24'] }, 'denied'],
    ['by deny, even if exempt', { deny: ['192.0.2.1'], exempt: ['192.0.2.1'] }, 'denied'],
  ] as const)('%s', (_what, lists, reason) => {
    const mutable = Object.fromEntries(Object.entries(lists).map(([key, list]) => [key, [...list]]));
    expect(guard({ lists: mutable }).judge(client, clientPort, request, 0)).toBe(reason);
  });
});

describe('rule 4: rate', () => {
  const three = { perSecond: 1, burst: 3 };

  it('refuses a source after 400 datagrams, then admits 200 per second', () => {
    const subject = guard();
    expect(admitted(subject, ['192.0.2.1'], 500)).toBe(400);
    expect(subject.judge(client, clientPort, request, 0)).toBe('rate');
    expect(admitted(subject, ['192.0.2.1'], 500, 1000)).toBe(200);
  });

  it('refuses datagrams over the service burst, regardless of source', () => {
    const sources = Array.from({ length: 200 }, (_, at) => `10.0.${at}.1`);
    expect(admitted(guard(), sources, 25_000)).toBe(20_000);
  });

  it.each([
    ['counts an IPv4 /24 as one source', ['192.0.2.0', '192.0.2.255'], 3],
    ['counts two IPv4 /24 as two sources', ['192.0.2.1', '192.0.3.1'], 6],
    ['counts an IPv6 /56 as one source', ['2001:db8:1:200::1', '2001:db8:1:2ff:ffff:ffff:ffff:ffff'], 3],
    ['counts two IPv6 /56 as two sources', ['2001:db8:1:200::1', '2001:db8:1:300::1'], 6],
    ['counts a link-local host as one source', ['fe80::1%2', 'fe80:0:0:1::1%2'], 3],
    ['counts two link-local hosts as two sources', ['fe80::1%2', 'fe80::2%2'], 6],
    ['counts a link-local host apart from the one on another link', ['fe80::1%2', 'fe80::1%3'], 6],
    ['keeps an IPv4 address apart from an IPv6 prefix with the same bits', ['192.0.2.1', '0:0:c000:200::1'], 6],
  ])('%s', (_rule, sources, count) => {
    expect(admitted(guard({ limits: { datagramRate: three } }), sources, 20)).toBe(count);
  });

  it.each([
    ['prefix', { datagramRate: three }],
    ['service', { datagramServiceRate: three }],
  ])('does not apply the %s rate to exempt sources', (_what, limits) => {
    const subject = guard({ limits, lists: { exempt: ['127.0.0.0/8'] } });
    expect(admitted(subject, ['127.0.0.1'], 20)).toBe(20);
    expect(admitted(subject, ['192.0.2.1'], 20), 'and cost others nothing').toBe(3);
  });

  it('groups sources by sourcePrefix', () => {
    const subject = guard({ limits: { datagramRate: three, sourcePrefix: { ipv4: 32, ipv6: 64 } } });
    expect(admitted(subject, ['192.0.2.1', '192.0.2.2'], 20)).toBe(6);
    expect(admitted(subject, ['2001:db8::1', '2001:db8::2', '2001:db8:0:1::1'], 30)).toBe(6);
  });

  it('answers and reports datagrams over the rates in a dry run', () => {
    const reasons: WouldDropReason[] = [];
    const limits = { datagramRate: three, dryRun: true };
    const subject = guard({ limits, lists: { deny: ['198.51.100.1'] }, onWouldDrop: (reason) => reasons.push(reason) });
    expect(admitted(subject, ['192.0.2.1'], 5)).toBe(5);
    expect(reasons).toEqual(['rate', 'rate']);
    expect(subject.judge(client, 7, request, 0), 'the other rules hold').toBe('source-port');
    expect(subject.judge(ip('198.51.100.1'), clientPort, request, 0)).toBe('denied');
    expect(loop(subject).at(-1)).toBe('loop');
  });

  it('does not charge the service for a datagram over the prefix rate', () => {
    const subject = guard({ limits: { datagramRate: three, datagramServiceRate: { perSecond: 1, burst: 5 } } });
    expect(admitted(subject, ['192.0.2.1'], 1000)).toBe(3);
    expect(admitted(subject, ['198.51.100.1'], 10)).toBe(2);
  });

  it('does not charge the prefix for a datagram over the service rate', () => {
    const subject = guard({
      limits: { datagramRate: { perSecond: 0, burst: 3 }, datagramServiceRate: { perSecond: 10, burst: 10 } },
    });
    const others = Array.from({ length: 10 }, (_, at) => `10.0.${at}.1`);
    expect(admitted(subject, others, 10)).toBe(10);
    expect(admitted(subject, ['192.0.2.1'], 10)).toBe(0);
    expect(admitted(subject, ['192.0.2.1'], 10, 10_000)).toBe(3);
  });
});

describe('rule 4: rate, in several processes', () => {
  let sharedNowMs = 5000;

  function workers(limits: Partial<DatagramLimits>): readonly [DatagramGuard, DatagramGuard] {
    const shared: SharedLimits = {
      counts: new SharedCounts(new Int32Array(16), new Int32Array(16)),
      room: new SharedRoom(new Float64Array(roomElements), 0, () => sharedNowMs),
      connectionRates: new Float64Array(32),
      datagramRates: new Float64Array(2048),
      datagramServiceRate: new Float64Array(1),
      hash: SourceHash.random(seededRandom(2)),
      nowMs: () => sharedNowMs,
    };
    return [guard({ limits, shared }), guard({ limits, shared })];
  }

  it('the rate of a source holds for all of them together, whatever their own clocks say', () => {
    const [one, other] = workers({ datagramRate: { perSecond: 10, burst: 5 } });
    expect([admitted(one, ['192.0.2.1'], 3, 10), admitted(other, ['192.0.2.1'], 5, 1e6)]).toEqual([3, 2]);
    sharedNowMs += 100;
    expect([admitted(one, ['192.0.2.1'], 3, 11), admitted(other, ['192.0.2.1'], 5, 1e6 + 1)]).toEqual([1, 0]);
  });

  it('so does that of the service', () => {
    const [one, other] = workers({ datagramServiceRate: { perSecond: 10, burst: 5 } });
    const sources = Array.from({ length: 9 }, (_, index) => `198.51.${index}.1`);
    expect([admitted(one, sources, 3, 10), admitted(other, sources.slice(3), 6, 10)]).toEqual([3, 2]);
  });
});

describe('rule 5: loop', () => {
  it('drops what a peer returns from the seventh time on, reporting it once, and answers anything else', () => {
    const found: string[] = [];
    const subject = guard({ onLoop: (source, port) => found.push(`${formatIp(source)} ${port}`) });
    expect(loop(subject)).toEqual([...Array.from({ length: 6 }), 'loop']);
    expect(subject.judge(client, 7007, request, 900)).toBe('loop');
    expect(subject.judge(client, 7007, Buffer.from('other'), 900)).toBeUndefined();
    expect(found).toEqual(['192.0.2.1 7007']);
    expect(subject.judge(client, 7007, request, 1901)).toBeUndefined();
  });

  it('applies to exempt sources', () => {
    const local = ip('127.0.0.1');
    expect(loop(guard({ lists: { exempt: ['127.0.0.0/8'] } }), local).at(-1)).toBe('loop');
  });

  it('ignores clients on ephemeral ports', () => {
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

  it('rate before loop, with the datagrams of a loop charged to the rate', () => {
    const subject = guard({ limits: { datagramRate: { perSecond: 1, burst: 9 } } });
    expect(loop(subject).at(-1)).toBe('loop');
    const next = Array.from({ length: 4 }, () => subject.judge(client, 7007, request, 0));
    expect(next).toEqual(['loop', 'loop', 'rate', 'rate']);
  });

  it('does not charge the rate for datagrams refused by earlier rules', () => {
    const subject = guard({ limits: { datagramRate: { perSecond: 1, burst: 1 } }, lists: { deny: ['192.0.2.9'] } });
    subject.judge(client, 7, request, 0);
    subject.judge(ip('192.0.2.9'), clientPort, request, 0);
    expect(subject.judge(client, clientPort, request, 0)).toBeUndefined();
    expect(subject.judge(client, clientPort, request, 0)).toBe('rate');
  });
});

describe('rule 6: amplification', () => {
  it.each([
    ['counts an empty IPv4 datagram as a minimum frame', 0, true, 84],
    ['counts 18 bytes over IPv4 as a minimum frame', 18, true, 84],
    ['counts 19 bytes over IPv4 as a larger frame', 19, true, 85],
    ['counts an empty IPv6 datagram as a larger frame', 0, false, 86],
    ['counts the largest IPv4 datagram as a single packet', 65_507, true, 65_573],
  ])('%s', (_what, length, isV4, size) => {
    expect(wireSize(length, isV4)).toBe(size);
  });

  it.each([
    ['102 bytes for an empty IPv4 request at 2', client, 0, 2, 102],
    ['18 bytes for an empty IPv4 request at 1', client, 0, 1, 18],
    ['86 bytes for an empty IPv6 request at 2', client6, 0, 2, 86],
    ['0 bytes for an empty IPv6 request at 1', client6, 0, 1, 0],
    ['no reply below 1', client, 0, 0.99, -1],
    ['no reply below 1 over IPv6', client6, 0, 0.99, -1],
    ['always room for an echo at 1', client, 1472, 1, 1472],
    ['always room for an echo at 1 over IPv6', client6, 1452, 1, 1452],
    ['at most one IPv4 datagram', client, 65_507, 2, 65_507],
    ['at most one IPv6 datagram', client6, 65_527, 2, 65_527],
    ['at most one IPv4 datagram when unlimited', client, 0, Infinity, 65_507],
    ['at most one IPv6 datagram when unlimited', client6, 0, Infinity, 65_527],
  ])('replyLimit: %s', (_what, source, length, maxAmplification, limit) => {
    expect(guard({ limits: { maxAmplification } }).replyLimit(source, length)).toBe(limit);
  });

  const ratios = fc.double({ min: 0, max: 400, noNaN: true });
  const lengths = fc.oneof(fc.integer({ min: 0, max: 100 }), fc.integer({ min: 0, max: 65_507 }));

  it('returns the largest reply within maxAmplification as replyLimit', () => {
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
    ['none for an empty list', 2, 0, [], 0],
    ['one within the budget', 2, 0, [102], 1],
    ['none if the first does not fit', 2, 0, [103, 1], 0],
    ['two minimum frames for one', 2, 0, [18, 18, 18], 2],
    ['the longest prefix, not the best subset', 2, 0, [18, 19, 18], 1],
    ['all when unlimited', Infinity, 0, [512, 512, 512], 3],
    ['nothing after a reply larger than a datagram', Infinity, 0, [512, 65_508, 512], 1],
  ])('fitting: %s', (_what, maxAmplification, length, sizes, count) => {
    const replies = sizes.map((size) => new Uint8Array(size));
    expect(guard({ limits: { maxAmplification } }).fitting(client, length, replies)).toBe(count);
  });

  it('returns the longest prefix of replies within the budget', () => {
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

  it('agrees with replyLimit on a single reply', () => {
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

describe('what comes through a proxy', () => {
  const proxy = ip('10.0.0.1');
  const named = { client: { ip: client, port: clientPort }, payload: request, hasHeader: true };
  const unnamed = { ...named, hasHeader: false };
  const once = { datagramRate: { perSecond: 1, burst: 1 } };

  it.each<[string, Parameters<typeof access>[0], DropReason | undefined]>([
    ['not for `exempt`', { exempt: ['192.0.2.1'] }, 'rate'],
    ['for `proxyProtocol.exempt`', { exemptByHeader: ['192.0.2.1'] }, undefined],
  ])('is exempt: %s', (_list, lists, second) => {
    const subject = guard({ limits: once, lists });
    const judge = (): DropReason | undefined => subject.judge(client, clientPort, request, 0, true);
    expect([judge(), judge()]).toEqual([undefined, second]);
  });

  it.each([
    ['port 0', proxy, 0, 'source-port'],
    ['a port of a service', proxy, 7, 'source-port'],
    ['a port that we serve', proxy, 2007, 'source-port'],
    ['a broadcast address', ip('10.0.0.255'), clientPort, 'source-address'],
    ['any other', proxy, 1024, undefined],
  ] as const)('is sent back only where replies may go: %s', (_what, address, port, reason) => {
    const subject = guard({
      ownPorts: new Set([2007]),
      broadcasts: new Set([0x0a0000ff]),
      lists: { deny: ['10.0.0.0/8'] },
    });
    for (const each of [named, unnamed]) expect(subject.judgeProxy(address, port, each, 0)).toBe(reason);
  });

  it('is a loop if the proxy returns it without a header from the port of a service', () => {
    const found: string[] = [];
    const subject = guard({ onLoop: (source, port) => found.push(`${formatIp(source)} ${port}`) });
    const returned = Array.from({ length: 9 }, () => subject.judgeProxy(proxy, 7007, unnamed, 0));
    expect(returned).toEqual([...Array.from({ length: 7 }), 'loop', 'loop']);
    expect(found).toEqual(['10.0.0.1 7007']);
  });

  it('is no loop from more ports of services than can be watched, which keep no direct peer out', () => {
    const subject = guard();
    for (let turn = 0; turn < 20; turn += 1) {
      const each = { ...unnamed, payload: Buffer.from(`request ${turn}`) };
      for (let port = 20_000; port < 20_100; port += 1)
        expect(subject.judgeProxy(proxy, port, each, 0)).toBeUndefined();
    }
    for (let port = 30_000; port < 30_050; port += 1)
      expect(subject.judge(ip('10.0.0.2'), port, request, 0)).toBeUndefined();
  });

  it('is no loop if each has a header, comes from an ephemeral port, or is empty', () => {
    const subject = guard();
    for (let turn = 0; turn < 20; turn += 1) {
      expect(subject.judgeProxy(proxy, 7007, named, 0)).toBeUndefined();
      expect(subject.judgeProxy(proxy, 32_768, unnamed, 0)).toBeUndefined();
      expect(subject.judgeProxy(proxy, 7007, { ...unnamed, payload: Buffer.alloc(0) }, 0)).toBeUndefined();
    }
  });
});
