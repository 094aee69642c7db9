import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { StreamLimits } from '../../../../src/server/guard/limits.ts';
import {
  Admission,
  type RefuseReason,
  type SourceCount,
  type WouldRefuseReason,
} from '../../../../src/server/guard/admission.ts';
import { DescriptorBudget } from '../../../../src/server/guard/descriptor-budget.ts';
import type { Reservation } from '../../../../src/server/guard/reservations.ts';
import { SharedCounts } from '../../../../src/server/guard/shared-counts.ts';
import type { SharedLimits } from '../../../../src/server/guard/shared-limits.ts';
import { type Newcomer, roomElements, SharedRoom } from '../../../../src/server/guard/shared-room.ts';
import { SourceHash } from '../../../../src/server/guard/source-hash.ts';
import { isUnixUser, type Source } from '../../../../src/server/guard/source-prefix.ts';
import type { Place } from '../../../../src/server/guard/source-tree.ts';
import { access, ip, seededRandom, streamLimits } from './fixtures.ts';

interface Around {
  /** Descriptors for clients. */
  budget?: number;
  onWouldRefuse?: (reason: WouldRefuseReason) => void;
}

/** One that was let in. */
interface Client {
  readonly text: string;
  readonly place: Place;
}

interface Reserved {
  readonly proxy: string;
  readonly reservation: Reservation;
}

/** The clients of one service, by the text of their source. */
class Clients {
  readonly admission: Admission;
  /** Those who are there, idle longest first. */
  here: readonly Client[] = [];
  /** Those who had to go. */
  evicted: readonly Client[] = [];
  /** Reservations, the oldest first, and those that made room. */
  reserved: readonly Reserved[] = [];
  givenUp: readonly Reserved[] = [];

  constructor(subject: Admission) {
    this.admission = subject;
  }

  /** Why it is refused; undefined: it is here. */
  admit(text: string, nowMs = 0): RefuseReason | undefined {
    const place = this.admission.admit(source(text), nowMs);
    if (typeof place === 'string') return place;
    const client: Client = { text, place };
    place.holder = {
      evict: () => {
        this.here = this.here.filter((other) => other !== client);
        this.evicted = [...this.evicted, client];
      },
    };
    this.here = [...this.here, client];
    return undefined;
  }

  /** The one of that source who has been idle longest goes by himself; false: there is none. */
  release(text: string): boolean {
    const client = this.here.find((each) => each.text === text);
    if (client === undefined) return false;
    this.here = this.here.filter((other) => other !== client);
    this.admission.release(client.place);
    return true;
  }

  /** The same one sends something. */
  renew(text: string): void {
    const client = this.here.find((each) => each.text === text);
    if (client === undefined) return;
    client.place.renew();
    this.here = [...this.here.filter((other) => other !== client), client];
  }

  get active(): number {
    return this.admission.active;
  }

  topSources(count: number): readonly SourceCount[] {
    return this.admission.topSources(count);
  }

  /** For a client of that proxy. */
  reserve(proxy = '10.0.0.1'): RefuseReason | undefined {
    const reservation = this.admission.reserve(ip(proxy));
    if (typeof reservation === 'string') return reservation;
    const reserved: Reserved = { proxy, reservation };
    reservation.holder = {
      evict: () => {
        this.reserved = this.reserved.filter((other) => other !== reserved);
        this.givenUp = [...this.givenUp, reserved];
      },
    };
    this.reserved = [...this.reserved, reserved];
    return undefined;
  }

  /** The oldest one of all. */
  cancel(): void {
    const [oldest, ...others] = this.reserved;
    if (oldest === undefined) throw new Error('nothing is reserved');
    this.reserved = others;
    this.admission.cancel(oldest.reservation);
  }
}

function admission(
  limits: Partial<StreamLimits> = {},
  lists: Parameters<typeof access>[0] = {},
  { budget = Infinity, onWouldRefuse = () => {} }: Around = {},
): Clients {
  return new Clients(
    new Admission({
      limits: { ...streamLimits, ...limits },
      access: access(lists),
      descriptors: new DescriptorBudget(budget, 1, { onShortage() {}, onRelief() {} }).share(),
      random: seededRandom(1),
      nameOfZone,
      onWouldRefuse,
    }),
  );
}

function nameOfZone(zone: number): string {
  return `eth${zone}`;
}

/** An address, `unix:1000`, or `unix` for a user who is not known. */
function source(text: string): Source {
  if (text === 'unix') return { uid: undefined };
  return text.startsWith('unix:') ? { uid: Number(text.slice(5)) } : ip(text);
}

/** What becomes of these clients, one after the other. */
function outcomes(subject: Clients, sources: readonly string[], nowMs = 0): (RefuseReason | undefined)[] {
  return sources.map((text) => subject.admit(text, nowMs));
}

const no = undefined;
const everybody = { allow: [], deny: ['0.0.0.0/0', '::/0'] };

describe('Admission', () => {
  it.each([
    ['denies a source on the deny list', { deny: ['192.0.2.0/24'] }, '192.0.2.1', 'denied'],
    ['denies a source that is not on the allow list', { allow: ['10.0.0.0/8'] }, '192.0.2.1', 'denied'],
    ['does not apply deny to UNIX clients', everybody, 'unix', no],
    ['does not apply allow to UNIX clients', { allow: ['10.0.0.0/8'] }, 'unix', no],
    ['denies an exempt source on the deny list', { deny: ['127.0.0.1'], exempt: ['127.0.0.1'] }, '127.0.0.1', 'denied'],
  ])('%s', (_rule, lists, text, reason) => {
    const subject = admission({}, lists);
    expect(subject.admit(text)).toBe(reason);
    expect(subject.active).toBe(reason === undefined ? 1 : 0);
  });

  it.each([
    ['counts an IPv4 address as one source', ['192.0.2.1', '192.0.2.1', '192.0.2.2'], [no, 'source-limit', no]],
    [
      'counts an IPv6 /64 as one source',
      ['2001:db8:1:2::1', '2001:db8:1:2:ffff::1', '2001:db8:1:3::1'],
      [no, 'source-limit', no],
    ],
    ['counts a UNIX user as one source', ['unix:0', 'unix:0', 'unix:1000', 'unix:65534'], [no, 'source-limit', no, no]],
    ['counts all unidentified UNIX clients as one source', ['unix', 'unix', 'unix:0'], [no, 'source-limit', no]],
    ['keeps UNIX clients apart from network sources', ['unix:0', 'unix', '::', '0.0.0.0'], [no, no, no, no]],
    ['treats IPv4-mapped addresses as IPv4', ['192.0.2.1', '::ffff:192.0.2.1'], [no, 'source-limit']],
  ] as const)('%s', (_rule, sources, reasons) => {
    expect(outcomes(admission({ maxConnectionsPerSource: 1 }), sources)).toEqual(reasons);
  });

  it.each([
    ['IPv4', { ipv4: 24, ipv6: 64 }, ['192.0.2.1', '192.0.2.255', '192.0.3.1'], [no, 'source-limit', no]],
    ['IPv6', { ipv4: 32, ipv6: 48 }, ['2001:db8:1:2::1', '2001:db8:1:3::1', '2001:db8:2::1'], [no, 'source-limit', no]],
    [
      'IPv6, less than a 32-bit word',
      { ipv4: 32, ipv6: 20 },
      ['2001:db8::1', '2001:0fff::1', '2001:1000::1'],
      [no, 'source-limit', no],
    ],
    ['IPv4, a single bit', { ipv4: 1, ipv6: 64 }, ['1.0.0.1', '127.0.0.1', '128.0.0.1'], [no, 'source-limit', no]],
  ] as const)('groups sources by sourcePrefix: %s', (_family, sourcePrefix, sources, reasons) => {
    const subject = admission({ maxConnectionsPerSource: 1, sourcePrefix });
    expect(outcomes(subject, sources)).toEqual(reasons);
    subject.release(sources[0]);
    expect(subject.admit(sources[0])).toBeUndefined();
  });

  it('lists the sources with the most connections by prefix', () => {
    const subject = admission({ sourcePrefix: { ipv4: 24, ipv6: 48 } });
    outcomes(subject, ['192.0.2.1', '192.0.2.2', '192.0.2.3', '2001:db8::1', '2001:db8:0:5::1', 'unix']);
    expect(subject.topSources(3)).toEqual([
      { source: '192.0.2.0/24', connections: 3 },
      { source: '2001:db8::/48', connections: 2 },
      { source: 'unix', connections: 1 },
    ]);
    const usual = admission();
    outcomes(usual, ['255.0.2.1', '2001:db8:ffff:ffff::1']);
    expect(usual.topSources(2).map((each) => each.source)).toEqual(['255.0.2.1', '2001:db8:ffff:ffff::/64']);
  });

  it('refuses clients over maxConnections, even exempt ones, until a connection is released', () => {
    const subject = admission({ maxConnections: 2 }, { exempt: ['127.0.0.1'] });
    expect(outcomes(subject, ['192.0.2.1', 'unix', '192.0.2.2', '127.0.0.1'])).toEqual([no, no, 'limit', 'limit']);
    expect(subject.active).toBe(2);
    subject.release('unix');
    expect(outcomes(subject, ['127.0.0.1', 'unix'])).toEqual([no, 'limit']);
  });

  it('refuses clients over maxConnectionsPerSource until a connection is released', () => {
    const subject = admission({ maxConnectionsPerSource: 2 });
    expect(outcomes(subject, ['192.0.2.1', '192.0.2.1', '192.0.2.1'])).toEqual([no, no, 'source-limit']);
    subject.release('192.0.2.1');
    expect(outcomes(subject, ['192.0.2.1', '192.0.2.1'])).toEqual([no, 'source-limit']);
  });

  it.each(['192.0.2.1', '2001:db8::1', 'unix'])('refuses clients over connectionRate: %s', (text) => {
    const subject = admission({ connectionRate: { perSecond: 1, burst: 2 } });
    expect(outcomes(subject, [text, text, text, '198.51.100.1'])).toEqual([no, no, 'rate', no]);
    expect(outcomes(subject, [text, text], 1000)).toEqual([no, 'rate']);
  });

  it('does not apply the rate and the per-source limit to exempt sources', () => {
    const subject = admission(
      { maxConnectionsPerSource: 1, connectionRate: { perSecond: 1, burst: 1 } },
      { exempt: ['127.0.0.0/8'] },
    );
    expect(outcomes(subject, ['127.0.0.1', '127.0.0.1', '127.0.0.1'])).toEqual([no, no, no]);
    expect(subject.active).toBe(3);
    for (let at = 0; at < 3; at++) subject.release('127.0.0.1');
    expect(subject.active).toBe(0);
  });

  it.each([
    ['denied before limit', { maxConnections: 0 }, { deny: ['192.0.2.1'] }, 'denied'],
    ['limit before source-limit', { maxConnections: 0, maxConnectionsPerSource: 0 }, {}, 'limit'],
    [
      'source-limit before rate',
      { maxConnectionsPerSource: 0, connectionRate: { perSecond: 1, burst: 0 } },
      {},
      'source-limit',
    ],
    ['rate after all others', { connectionRate: { perSecond: 1, burst: 0 } }, {}, 'rate'],
  ])('checks rules in order: %s', (_rule, limits, lists, reason) => {
    expect(admission(limits, lists).admit('192.0.2.1')).toBe(reason);
  });

  it('neither charges the rate for a refused client nor counts it', () => {
    const subject = admission({ maxConnectionsPerSource: 1, connectionRate: { perSecond: 0, burst: 2 } });
    expect(outcomes(subject, ['192.0.2.1', ...Array.from({ length: 10 }, () => '192.0.2.1')]).at(-1)).toBe(
      'source-limit',
    );
    expect(subject.active).toBe(1);
    subject.release('192.0.2.1');
    expect(subject.admit('192.0.2.1')).toBeUndefined();
  });

  it('refuses with limit when no descriptors are left, without charging the rate', () => {
    const subject = admission({ connectionRate: { perSecond: 0, burst: 2 } }, {}, { budget: 1 });
    expect(outcomes(subject, ['192.0.2.1', '192.0.2.1', '192.0.2.1'])).toEqual([no, 'limit', 'limit']);
    subject.release('192.0.2.1');
    expect(outcomes(subject, ['192.0.2.1', '192.0.2.1'])).toEqual([no, 'limit']);
  });

  it('takes no descriptor for a refused client', () => {
    const subject = admission({ maxConnectionsPerSource: 1 }, { deny: ['198.51.100.1'] }, { budget: 2 });
    outcomes(subject, ['192.0.2.1', '192.0.2.1', '198.51.100.1']);
    expect(outcomes(subject, ['192.0.2.2', '192.0.2.3'])).toEqual([no, 'limit']);
  });

  it('counts a reservation as a connection and a descriptor until it is canceled', () => {
    const subject = admission({ maxConnections: 2 });
    expect([subject.reserve(), subject.reserve('10.0.0.2'), subject.reserve()]).toEqual([no, no, 'limit']);
    expect(outcomes(subject, ['192.0.2.1'])).toEqual(['limit']);
    subject.cancel();
    expect(outcomes(subject, ['192.0.2.1', '192.0.2.1'])).toEqual([no, 'limit']);
    expect(subject.reserve()).toBe('limit');
    const poor = admission({}, {}, { budget: 1 });
    expect([poor.reserve(), poor.reserve()]).toEqual([no, 'limit']);
    expect(outcomes(poor, ['192.0.2.1'])).toEqual(['limit']);
    poor.cancel();
    expect(outcomes(poor, ['192.0.2.1'])).toEqual([no]);
  });

  it('releases a connection only once', () => {
    const subject = admission({ maxConnections: 2 });
    outcomes(subject, ['192.0.2.1', '192.0.2.1']);
    const [first] = subject.here;
    if (first === undefined) throw new Error('nobody is here');
    for (let turn = 0; turn < 3; turn++) subject.admission.release(first.place);
    expect(subject.active).toBe(1);
    expect(outcomes(subject, ['192.0.2.1', '192.0.2.1'])).toEqual([no, 'limit']);
  });
});

function hosts(link: number, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `fe80::${index + 1}%${link}`);
}

describe('link-local hosts', () => {
  it('are a source each, and another one on another link', () => {
    const subject = admission({ maxConnectionsPerSource: 1 });
    expect(outcomes(subject, ['fe80::1%2', 'fe80::2%2', 'fe80::1:0:0:1%2', 'fe80::1%3', 'fe80::1'])).toEqual([
      no,
      no,
      no,
      no,
      no,
    ]);
    expect(outcomes(subject, ['fe80::1%2', 'fe80::2%2', 'fe80::1:0:0:1%2', 'fe80::1%3', 'fe80::1'])).toEqual(
      Array.from({ length: 5 }, () => 'source-limit'),
    );
  });

  it('have a rate each', () => {
    const subject = admission({ connectionRate: { perSecond: 1, burst: 1 } });
    expect(outcomes(subject, ['fe80::1%2', 'fe80::2%2', 'fe80::1%3', 'fe80::1%2'])).toEqual([no, no, no, 'rate']);
  });

  it('are counted whatever bits are set between the prefix and the interface identifier', () => {
    const subject = admission({ maxConnectionsPerSource: 1 });
    expect(outcomes(subject, ['fe80::1%2', 'fe80:1:2:3::1%2', 'febf::1%2'])).toEqual([
      no,
      'source-limit',
      'source-limit',
    ]);
  });

  it('share what a /48 may have with the others on their link, but not with those on other links', () => {
    const subject = admission({ maxConnections: 20, networkShare: { ipv6Prefix56: 5, ipv6Prefix48: 50 } });
    expect(outcomes(subject, hosts(2, 11))).toEqual([...Array.from({ length: 10 }, () => no), 'source-limit']);
    expect(outcomes(subject, ['fe80::1%3', '2001:db8::1', '192.0.2.2'])).toEqual([no, no, no]);
  });

  it('make room as a link: the longest idle client of its largest host goes', () => {
    const subject = admission({ maxConnections: 6, networkShare: { ipv6Prefix56: 100, ipv6Prefix48: 100 } });
    outcomes(subject, ['192.0.2.1', '192.0.2.1', ...hosts(2, 3), 'fe80::2%2']);
    expect(subject.admit('fe80::9%3')).toBe(no);
    expect(subject.evicted.map(({ text }) => text)).toEqual(['fe80::2%2']);
  });

  it('are named with their link', () => {
    const subject = admission();
    outcomes(subject, ['fe80::1%2', 'fe80::1%2', 'fe80::1%3', 'fe80::1%3', 'fe80::1%3', 'fe80::a:b']);
    expect(subject.topSources(3)).toEqual([
      { source: 'fe80::1%eth3', connections: 3 },
      { source: 'fe80::1%eth2', connections: 2 },
      { source: 'fe80::a:b', connections: 1 },
    ]);
  });

  it.each([
    ['deny', { deny: ['fe80::1'] }, ['fe80::1%2', 'fe80::1%3', 'fe80::2%2'], ['denied', 'denied', no]],
    ['allow', { allow: ['fe80::/10'] }, ['fe80::1%2', 'fe80::1', '2001:db8::1'], [no, no, 'denied']],
  ])('are matched by %s on every link', (_list, lists, sources, reasons) => {
    expect(outcomes(admission({}, lists), sources)).toEqual(reasons);
  });
});

describe('network shares', () => {
  const fives = {
    maxConnections: 20,
    maxConnectionsPerSource: 4,
    networkShare: { ipv6Prefix56: 25, ipv6Prefix48: 50 },
  };
  /** The sources of one /56, a /64 each. */
  const ofOne56 = Array.from({ length: 6 }, (_, index) => `2001:db8:0:1${index}::1`);
  /** Those of one /48, a /56 each. */
  const ofOne48 = Array.from({ length: 11 }, (_, index) => `2001:db8:0:${index}00::1`);

  it('limits a /56 to its share, regardless of the number of sources', () => {
    const subject = admission(fives);
    expect(outcomes(subject, ofOne56)).toEqual([no, no, no, no, no, 'source-limit']);
    expect(outcomes(subject, ['2001:db8:0:200::1'])).toEqual([no]);
    subject.release(ofOne56[2] ?? '');
    expect(outcomes(subject, [ofOne56[5] ?? '', ofOne56[0] ?? ''])).toEqual([no, 'source-limit']);
  });

  it('limits a /48 to its share, regardless of the number of /56 networks', () => {
    const subject = admission(fives);
    expect(outcomes(subject, ofOne48)).toEqual([...Array.from({ length: 10 }, () => no), 'source-limit']);
    expect(outcomes(subject, ['2001:db8:1::1', '192.0.2.1', 'unix:0'])).toEqual([no, no, no]);
  });

  it.each([
    ['rounds up', 7, 25, 2],
    ['is at least 1', 3, 1, 1],
    ['is unlimited at 100%', 6, 100, 6],
  ])('applies a share that %s', (_rule, maxConnections, percent, most) => {
    const networkShare = { ipv6Prefix56: percent, ipv6Prefix48: percent };
    const subject = admission({ maxConnections, networkShare });
    expect(outcomes(subject, ofOne56).filter((reason) => reason === undefined)).toHaveLength(most);
  });

  it.each([
    [49, '2001:db8:0:8000::1', '2001:db8:0:0::1', [no, 'source-limit']],
    [48, '2001:db8:0:1::1', '2001:db8:0:0::1', [no, no]],
    [56, '2001:db8:0:1::1', '2001:db8:0:0::1', [no, no]],
    [57, '2001:db8:0:80::1', '2001:db8:0:0::1', [no, 'source-limit']],
  ])('applies shares only to networks larger than a /%i source', (ipv6, one, other, reasons) => {
    const share56 = { ipv6Prefix56: 1, ipv6Prefix48: 100 };
    const share48 = { ipv6Prefix56: 100, ipv6Prefix48: 1 };
    const subject = admission({
      maxConnections: 100,
      sourcePrefix: { ipv4: 32, ipv6 },
      networkShare: ipv6 < 56 ? share48 : share56,
    });
    expect(outcomes(subject, [one, other])).toEqual(reasons);
  });

  it('neither limits nor counts exempt sources', () => {
    const subject = admission(fives, { exempt: ['2001:db8:0:10::/63'] });
    expect(outcomes(subject, [...ofOne56, ...ofOne56.slice(0, 2)])).toEqual(Array.from({ length: 8 }, () => no));
    expect(outcomes(subject, [ofOne56[2] ?? '', ofOne56[2] ?? ''])).toEqual([no, 'source-limit']);
  });

  it('reports clients over their share in a dry run', () => {
    const reasons: WouldRefuseReason[] = [];
    const onWouldRefuse = (reason: WouldRefuseReason): void => void reasons.push(reason);
    const subject = admission({ ...fives, dryRun: true }, {}, { onWouldRefuse });
    expect(outcomes(subject, ofOne56)).toEqual(Array.from({ length: 6 }, () => no));
    expect(reasons).toEqual(['source-limit']);
  });
});

describe('a full service', () => {
  const full = { maxConnections: 4 };

  it('evicts the longest idle client of the largest source for a smaller source', () => {
    const subject = admission(full);
    outcomes(subject, ['192.0.2.1', '192.0.2.2', '192.0.2.1', '192.0.2.1']);
    const [first, , second] = subject.here;
    subject.renew('192.0.2.1');
    expect(outcomes(subject, ['198.51.100.1'])).toEqual([no]);
    expect(subject.evicted).toEqual([second]);
    expect(subject.active).toBe(4);
    // What the evicted client still says, and its end, change nothing.
    second?.place.renew();
    subject.admission.release(second?.place as Place);
    expect(subject.active).toBe(4);
    expect(subject.here).toContain(first);
  });

  it.each([
    ['refuses the largest source', ['192.0.2.1', '192.0.2.1', '192.0.2.1', '192.0.2.1'], '192.0.2.1', false],
    [
      'refuses a new source if every source has one connection',
      ['192.0.2.1', '192.0.2.2', '192.0.2.3', 'unix'],
      '192.0.2.4',
      false,
    ],
    [
      'refuses a source that would tie with the largest',
      ['192.0.2.1', '192.0.2.1', '192.0.2.2', '192.0.2.3'],
      '192.0.2.2',
      false,
    ],
    [
      'admits a source that would stay smaller than the largest',
      ['192.0.2.1', '192.0.2.1', '192.0.2.1', '192.0.2.2'],
      '192.0.2.2',
      true,
    ],
    ['compares a /48 as a whole', ['2001:db8::1', '2001:db8:0:100::1', '192.0.2.1', '192.0.2.2'], '192.0.2.3', true],
    [
      'refuses a new source in the largest /48',
      ['2001:db8::1', '2001:db8:0:1::1', 'unix:1', 'unix:1'],
      '2001:db8:0:2::1',
      false,
    ],
    [
      'admits a new source from another /48',
      ['2001:db8::1', '2001:db8:0:1::1', 'unix:1', 'unix:2'],
      '2001:db8:1::1',
      true,
    ],
    ['evicts a client of a UNIX user', ['unix:1', 'unix:1', 'unix:2', '192.0.2.1'], 'unix:3', true],
  ])('%s', (_case, before, newcomer, isAdmitted) => {
    const subject = admission({ ...full, networkShare: { ipv6Prefix56: 100, ipv6Prefix48: 100 } });
    outcomes(subject, before);
    expect(outcomes(subject, [newcomer])).toEqual([isAdmitted ? no : 'limit']);
    expect(subject.evicted).toHaveLength(isAdmitted ? 1 : 0);
    expect(subject.active).toBe(4);
  });

  it('evicts from the largest /64 of the largest /56 of the largest /48', () => {
    const subject = admission({ maxConnections: 8, networkShare: { ipv6Prefix56: 100, ipv6Prefix48: 100 } });
    // The /48 has five; its two /56 have two, in one /64, and three.
    const [alone, pair, single] = ['2001:db8::1', '2001:db8:0:101::1', '2001:db8:0:102::1'];
    outcomes(subject, [alone, alone, single, pair, pair, '192.0.2.1', '192.0.2.1', '192.0.2.1']);
    outcomes(subject, ['198.51.100.1']);
    expect(subject.evicted.map(({ text }) => text)).toEqual([pair]);
  });

  it('evicts nobody for a client that another rule refuses', () => {
    const rates = { connectionRate: { perSecond: 0, burst: 3 } };
    const subject = admission({ ...full, ...rates, maxConnectionsPerSource: 3 }, { deny: ['198.51.100.1'] });
    outcomes(subject, ['192.0.2.1', '192.0.2.1', '192.0.2.1', '192.0.2.2', '192.0.2.2']);
    expect(subject.here.map(({ text }) => text).sort()).toEqual(['192.0.2.1', '192.0.2.1', '192.0.2.2', '192.0.2.2']);
    expect(outcomes(subject, ['198.51.100.1', '192.0.2.1', '192.0.2.3'])).toEqual(['denied', 'limit', no]);
    const spent = admission({ ...full, ...rates });
    outcomes(spent, ['192.0.2.2', '192.0.2.2', '192.0.2.2']);
    for (let turn = 0; turn < 3; turn++) spent.release('192.0.2.2');
    outcomes(spent, ['192.0.2.1', '192.0.2.1', '192.0.2.1', 'unix']);
    expect(outcomes(spent, ['192.0.2.2'])).toEqual(['rate']);
    expect(spent.evicted).toEqual([]);
  });

  it('never evicts exempt clients, but admits them from smaller sources', () => {
    const subject = admission(full, { exempt: ['127.0.0.0/8'] });
    outcomes(subject, ['127.0.0.1', '127.0.0.1', '127.0.0.1', '192.0.2.1']);
    expect(outcomes(subject, ['192.0.2.2', '192.0.2.1'])).toEqual(['limit', 'limit']);
    const other = admission(full, { exempt: ['127.0.0.0/8'] });
    outcomes(other, ['192.0.2.1', '192.0.2.1', '192.0.2.1', '127.0.0.1']);
    expect(outcomes(other, ['127.0.0.1', '127.0.0.1'])).toEqual([no, 'limit']);
    expect(outcomes(other, ['127.0.0.2', '127.0.0.3'])).toEqual([no, 'limit']);
  });

  it('evicts nobody for a reservation', () => {
    const subject = admission(full);
    outcomes(subject, ['192.0.2.1', '192.0.2.1', '192.0.2.1']);
    expect([subject.reserve(), subject.reserve()]).toEqual([no, 'limit']);
    expect(subject.evicted).toEqual([]);
    // One who says who he is finds his place.
    subject.cancel();
    expect(outcomes(subject, ['192.0.2.1'])).toEqual([no]);
    expect(subject.evicted).toEqual([]);
  });

  it('gives the oldest reservation of a proxy to another proxy that has fewer', () => {
    const subject = admission(full);
    const proxies = ['10.0.0.1', '10.0.0.1', '10.0.0.1', '10.0.0.1', '10.0.0.2', '10.0.0.2', '10.0.0.1'];
    expect(proxies.map((proxy) => subject.reserve(proxy))).toEqual([no, no, no, no, no, no, 'limit']);
    expect(subject.reserved.map(({ proxy }) => proxy)).toEqual(['10.0.0.1', '10.0.0.1', '10.0.0.2', '10.0.0.2']);
    // Proxies of one network do not share their reservations, nor do those of two links.
    const others = admission(full);
    for (let times = 0; times < 4; times += 1) others.reserve('2001:db8::1');
    expect([others.reserve('2001:db8::2'), others.reserve('fe80::1')]).toEqual([no, no]);
    expect(others.givenUp).toHaveLength(2);
    for (const { reservation } of others.givenUp) others.admission.cancel(reservation);
    expect(others.reserve('2001:db8::1')).toBe('limit');
  });

  it('gives a reservation to a client whose source has fewer connections', () => {
    const subject = admission(full);
    for (let times = 0; times < 4; times += 1) subject.reserve();
    expect(outcomes(subject, ['unix:1000', '192.0.2.1', '192.0.2.2', '192.0.2.3'])).toEqual([no, no, no, 'limit']);
    expect([subject.givenUp.length, subject.reserved.length, subject.active]).toEqual([3, 1, 3]);
  });

  it('evicts nobody in a dry run', () => {
    const subject = admission({ ...full, dryRun: true });
    outcomes(subject, ['192.0.2.1', '192.0.2.1', '192.0.2.1', '192.0.2.1', '192.0.2.2']);
    expect([subject.active, subject.evicted]).toEqual([5, []]);
  });

  it('evicts for lack of descriptors too, within the same service only', () => {
    const told: string[] = [];
    const budget = new DescriptorBudget(4, 2, { onShortage: () => told.push('shortage'), onRelief() {} });
    const [mine, theirs] = [budget.share(), budget.share()].map((descriptors) => {
      const limits = { ...streamLimits, maxConnectionsPerSource: 100 };
      const rest = { access: access(), random: seededRandom(1), nameOfZone, onWouldRefuse() {} };
      return new Clients(new Admission({ limits, descriptors, ...rest }));
    });
    if (mine === undefined || theirs === undefined) throw new Error('two services');
    outcomes(mine, ['192.0.2.1', '192.0.2.1', '192.0.2.1']);
    expect(outcomes(theirs, ['192.0.2.2'])).toEqual([no]);
    expect(outcomes(mine, ['192.0.2.2'])).toEqual([no]);
    expect([mine.active, mine.evicted.length, theirs.evicted.length, told]).toEqual([3, 1, 0, ['shortage']]);
    expect(outcomes(theirs, ['192.0.2.3'])).toEqual(['limit']);
    expect(told).toEqual(['shortage']);
    expect(mine.release('192.0.2.2')).toBe(true);
    expect(outcomes(theirs, ['192.0.2.3', '192.0.2.3'])).toEqual([no, 'limit']);
  });
});

/** For the clients that come and go, with those of their sources to which limits do not apply. */
const exempt = ['127.0.0.0/8', '2001:db8:0:2::/64'];

function isBound(text: string): boolean {
  return text !== '127.0.0.1' && text !== '2001:db8:0:2::1';
}

/**
 * The networks that hold a source, the largest first, and the source itself, as text that says nothing but which is
 * which.
 */
function pathOf(text: string, { ipv4, ipv6 }: StreamLimits['sourcePrefix']): readonly string[] {
  const from = source(text);
  if (isUnixUser(from)) return [text];
  const bits = [from.w0, from.w1, from.w2, from.w3].map((word) => word.toString(2).padStart(32, '0')).join('');
  if (!text.includes(':')) return [bits.slice(0, 96 + ipv4)];
  return [48, 56]
    .filter((prefix) => prefix < ipv6)
    .concat(ipv6)
    .map((prefix) => `six ${bits.slice(0, prefix)}`);
}

describe('any sequence of arrivals and departures', () => {
  const sources = [
    '2001:db8::1',
    '2001:db8:0:1::1',
    '2001:db8:0:2::1',
    '2001:db8:0:100::1',
    '2001:db8:0:101::1',
    '2001:db8:1::1',
    '2001:db8:1:100::1',
    '192.0.2.1',
    '192.0.2.2',
    '127.0.0.1',
    'unix:0',
    'unix:1000',
    'unix',
  ];
  const steps = fc.array(
    fc.record({
      text: fc.constantFrom(...sources),
      does: fc.constantFrom('come', 'come', 'come', 'go', 'say', 'reserve', 'cancel'),
    }),
    { maxLength: 200 },
  );
  const settings = fc.record({
    maxConnections: fc.integer({ min: 1, max: 16 }),
    maxConnectionsPerSource: fc.integer({ min: 1, max: 8 }),
    networkShare: fc.record({
      ipv6Prefix56: fc.integer({ min: 1, max: 100 }),
      ipv6Prefix48: fc.integer({ min: 1, max: 100 }),
    }),
    sourcePrefix: fc.record({ ipv4: fc.integer({ min: 1, max: 32 }), ipv6: fc.integer({ min: 1, max: 64 }) }),
  });
  /** Reserved places are within it, since they have descriptors as well. */
  const budgets = fc.integer({ min: 1, max: 20 });

  it('behaves like a plain list of open connections', () => {
    fc.assert(
      fc.property(steps, settings, budgets, (list, setting, budget) => {
        const { maxConnections, maxConnectionsPerSource, networkShare, sourcePrefix } = setting;
        const rates = { connectionRate: { perSecond: Infinity, burst: 1 } };
        const subject = admission({ ...setting, ...rates }, { exempt }, { budget });
        const path = (text: string): readonly string[] => pathOf(text, sourcePrefix);
        /** Of those who may be evicted, how many there are in a network; of all, where `all`. */
        const count = (network: string | undefined, here: readonly Client[], all = false): number =>
          here.filter(({ text }) => (all || isBound(text)) && path(text).includes(network ?? '')).length;
        const mostOf = (level: number, levels: number): number => {
          if (level === levels - 1) return maxConnectionsPerSource;
          const share = level === 0 ? networkShare.ipv6Prefix48 : networkShare.ipv6Prefix56;
          return share === 100 ? Infinity : Math.ceil((maxConnections * share) / 100);
        };
        const come = (text: string): void => {
          const { here, evicted } = subject;
          const top = path(text)[0];
          const largest = Math.max(0, ...here.map((each) => count(path(each.text)[0], here)));
          const reserved = subject.reserved.length;
          const isFull = here.length + reserved >= Math.min(maxConnections, budget);
          const mayEvict = Math.max(largest, reserved) > count(top, here, true) + 1;
          const isOver =
            isBound(text) &&
            path(text).some((network, level, all) => count(network, here) >= mostOf(level, all.length));
          const reason = isFull && !mayEvict ? 'limit' : isOver ? 'source-limit' : undefined;
          expect(subject.admit(text)).toBe(reason);
          const gone = subject.evicted.slice(evicted.length);
          const makesRoom = isFull && reason === undefined;
          expect(gone).toHaveLength(makesRoom && largest >= reserved ? 1 : 0);
          expect(subject.reserved).toHaveLength(makesRoom && largest < reserved ? reserved - 1 : reserved);
          for (const victim of gone) {
            expect(isBound(victim.text)).toBe(true);
            // At each level its network is the largest there is in the one above.
            for (const [level, network] of path(victim.text).entries()) {
              const above = path(victim.text)[level - 1];
              const peers = here.filter((each) => above === undefined || path(each.text).includes(above));
              const sizes = peers.map((each) => count(path(each.text)[level], here));
              expect(count(network, here)).toBe(Math.max(...sizes));
            }
            const own = path(victim.text).at(-1);
            expect(here.find((each) => isBound(each.text) && path(each.text).at(-1) === own)).toBe(victim);
          }
        };
        for (const { text, does } of list) {
          if (does === 'come') come(text);
          if (does === 'go') subject.release(text);
          if (does === 'say') subject.renew(text);
          if (does === 'reserve') {
            const isFull = subject.here.length + subject.reserved.length >= Math.min(maxConnections, budget);
            expect(subject.reserve()).toBe(isFull ? 'limit' : undefined);
          }
          if (does === 'cancel' && subject.reserved.length > 0) subject.cancel();
          expect(subject.active).toBe(subject.here.length);
          expect(subject.active + subject.reserved.length).toBeLessThanOrEqual(maxConnections);
          const bySource = new Map<string, number>();
          for (const each of subject.here) {
            const own = path(each.text).at(-1) ?? '';
            bySource.set(own, (bySource.get(own) ?? 0) + 1);
          }
          const sizes = [...bySource.values()].sort((one, other) => other - one);
          expect(subject.topSources(100).map(({ connections }) => connections)).toEqual(sizes);
        }
      }),
    );
  });

  it('admits a client from a new network if another network has two connections', () => {
    const arrivals = fc.array(fc.constantFrom(...sources.filter((text) => text !== '127.0.0.1')), { maxLength: 60 });
    fc.assert(
      fc.property(arrivals, fc.integer({ min: 2, max: 12 }), (list, maxConnections) => {
        const subject = admission({ maxConnections, networkShare: { ipv6Prefix56: 100, ipv6Prefix48: 100 } });
        outcomes(subject, list);
        const tops = subject.here.map(({ text }) => pathOf(text, streamLimits.sourcePrefix)[0]);
        const isUneven = new Set(tops).size < tops.length;
        const isFull = tops.length === maxConnections;
        expect(subject.admit('203.0.113.1')).toBe(isFull && !isUneven ? 'limit' : undefined);
      }),
    );
  });

  it('settles without sources evicting each other forever', () => {
    const several = fc.uniqueArray(fc.constantFrom(...sources), { minLength: 2, maxLength: 8 });
    fc.assert(
      fc.property(several, fc.integer({ min: 1, max: 12 }), (from, maxConnections) => {
        const subject = admission({ maxConnections });
        const comeAll = (): number => {
          const before = subject.evicted.length;
          outcomes(subject, from);
          return subject.evicted.length - before;
        };
        for (let turn = 0; turn < maxConnections * maxConnections; turn++) comeAll();
        expect(comeAll()).toBe(0);
      }),
    );
  });
});

describe('dry run', () => {
  const narrow = {
    maxConnections: 3,
    maxConnectionsPerSource: 1,
    connectionRate: { perSecond: 1, burst: 1 },
    dryRun: true,
  };

  function dryRun(around: Around = {}): { subject: Clients; reasons: WouldRefuseReason[] } {
    const reasons: WouldRefuseReason[] = [];
    const onWouldRefuse = (reason: WouldRefuseReason): void => void reasons.push(reason);
    return { subject: admission(narrow, { deny: ['198.51.100.1'] }, { onWouldRefuse, ...around }), reasons };
  }

  it('admits clients over the limits and reports the reason', () => {
    const { subject, reasons } = dryRun();
    expect(outcomes(subject, ['192.0.2.1', '192.0.2.1', '192.0.2.2', '192.0.2.3'])).toEqual([no, no, no, no]);
    expect(reasons).toEqual(['source-limit', 'limit']);
    for (const text of ['192.0.2.1', '192.0.2.1', '192.0.2.2', '192.0.2.3']) subject.release(text);
    expect(subject.active).toBe(0);
    expect(outcomes(subject, ['192.0.2.1'])).toEqual([no]);
    expect(reasons).toEqual(['source-limit', 'limit', 'rate']);
  });

  it('still enforces access lists and the descriptor budget', () => {
    const { subject, reasons } = dryRun({ budget: 1 });
    expect(outcomes(subject, ['198.51.100.1', '192.0.2.1', '192.0.2.2'])).toEqual(['denied', no, 'limit']);
    expect(reasons).toEqual([]);
  });

  it('accepts reservations over the limit', () => {
    const { subject } = dryRun();
    expect(Array.from({ length: 4 }, () => subject.reserve())).toEqual([no, no, no, no]);
  });
});

/** Whether a process leaves newcomers to the others. */
function leavesToOthers(clients: Clients | undefined, newcomer: Newcomer = 'direct'): boolean {
  return clients?.admission.leavesToOthers(newcomer) ?? false;
}

describe('in several processes', () => {
  const cells = 4096;
  let sharedNowMs = 0;
  const nowMs = (): number => sharedNowMs;

  /** What the processes of one service share. */
  function shared(count: number): readonly SharedLimits[] {
    const all = new Int32Array(cells);
    const [connectionRates, datagramRates] = [new Float64Array(2 * 1024), new Float64Array(2 * 1024)];
    const datagramServiceRate = new Float64Array(1);
    const room = new Float64Array(count * roomElements);
    const hash = SourceHash.random(seededRandom(7));
    return Array.from({ length: count }, (_, slot) => ({
      counts: new SharedCounts(all, new Int32Array(cells)),
      room: new SharedRoom(room, slot, nowMs),
      connectionRates,
      datagramRates,
      datagramServiceRate,
      hash,
      nowMs,
    }));
  }

  function workers(count: number, limits: Partial<StreamLimits>, lists: Parameters<typeof access>[0] = {}): Clients[] {
    return shared(count).map((memory) => {
      const budget = new DescriptorBudget(Infinity, 1, { onShortage() {}, onRelief() {} });
      return new Clients(
        new Admission({
          limits: { ...streamLimits, connectionRate: { perSecond: Infinity, burst: Infinity }, ...limits },
          access: access(lists),
          descriptors: budget.share(),
          random: seededRandom(1),
          nameOfZone,
          shared: memory,
          onWouldRefuse() {},
        }),
      );
    });
  }

  it('the limit of a source holds for all of them together', () => {
    const subjects = workers(3, { maxConnectionsPerSource: 10 });
    const outcome = arrive(
      subjects,
      Array.from({ length: 20 }, () => '192.0.2.1'),
    );
    expect(outcome.filter((each) => each === undefined)).toHaveLength(10);
    expect(new Set(outcome.slice(10))).toEqual(new Set(['source-limit']));
    expect(subjects[0]?.release('192.0.2.1')).toBe(true);
    expect([subjects[2]?.admit('192.0.2.1'), subjects[1]?.admit('192.0.2.1')]).toEqual([no, 'source-limit']);
    expect(subjects[1]?.admit('192.0.2.2')).toBeUndefined();
  });

  it('so do those of networks and of the service', () => {
    const limits = { maxConnections: 8, networkShare: { ipv6Prefix56: 25, ipv6Prefix48: 50 } };
    const subjects = workers(2, limits);
    const outcome = arrive(
      subjects,
      [0, 1, 2, 3].map((each) => `2001:db8:0:${each}::1`),
    );
    expect(outcome).toEqual([no, no, 'source-limit', 'source-limit']);
    expect(arrive(subjects, ['2001:db8:0:100::1', '2001:db8:0:101::1', '2001:db8:0:200::1'])).toEqual([
      no,
      no,
      'source-limit',
    ]);
    expect(arrive(subjects, ['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.4'])).toEqual([no, no, no, no]);
    expect(subjects.reduce((sum, { active }) => sum + active, 0)).toBe(8);
  });

  it('the rate of a source holds for all of them together, whatever their own clocks say', () => {
    const subjects = workers(2, { connectionRate: { perSecond: 10, burst: 4 } });
    sharedNowMs = 5000;
    const outcome = [0, 0, 1, 1, 0, 1].map((index) => subjects[index]?.admit('192.0.2.1', 1e6 * index));
    expect(outcome).toEqual([no, no, no, no, 'rate', 'rate']);
    sharedNowMs = 5100;
    expect(subjects[1]?.admit('192.0.2.1', 0)).toBeUndefined();
  });

  it('a newcomer replaces a client of a larger source, if there is one here, and never of a smaller one', () => {
    const [one, other] = workers(2, { maxConnections: 4 });
    for (let times = 0; times < 3; times += 1) one?.admit('192.0.2.1');
    other?.admit('192.0.2.2');
    one?.admission.noteLargest();
    // The largest source has nobody in this process, so the other one should take the newcomer.
    expect([leavesToOthers(other), leavesToOthers(one)]).toEqual([true, false]);
    expect(other?.admit('192.0.2.3')).toBe('limit');
    expect(one?.admit('192.0.2.3')).toBeUndefined();
    expect(one?.evicted.map(({ text }) => text)).toEqual(['192.0.2.1']);
    // Both have one here, and the newcomer has as many as the largest elsewhere.
    expect(one?.admit('192.0.2.2')).toBe('limit');
    expect([one?.active, other?.active]).toEqual([3, 1]);
  });

  it('a client of the largest source of all makes room, though others are larger in its process', () => {
    const [one, other] = workers(2, { maxConnections: 12 });
    for (let times = 0; times < 3; times += 1) one?.admit('192.0.2.1');
    for (const subject of [one, other, other, other, other, other, one]) subject?.admit('192.0.2.2');
    for (let times = 0; times < 2; times += 1) other?.admit('192.0.2.3');
    expect([one?.admit('192.0.2.4'), one?.admit('192.0.2.5')]).toEqual([no, no]);
    expect(one?.evicted.map(({ text }) => text)).toEqual(['192.0.2.2', '192.0.2.2']);
  });

  it('no newcomer is left to another process unless the service is full, or in a dry run', () => {
    for (const limits of [{ maxConnections: 4 }, { maxConnections: 3, dryRun: true }]) {
      const [one, other] = workers(2, limits);
      for (let times = 0; times < 3; times += 1) one?.admit('192.0.2.1');
      one?.admission.noteLargest();
      expect(leavesToOthers(other)).toBe(false);
    }
  });

  it('two processes that make room in turn never both leave newcomers to the other', () => {
    const [one, other] = workers(2, { maxConnections: 64 });
    for (let times = 0; times < 32; times += 1) {
      one?.admit('192.0.2.1');
      other?.admit('192.0.2.2');
    }
    for (let count = 1; count <= 62; count += 1) {
      const taker = [one, other].find((each) => !leavesToOthers(each));
      expect(taker?.admit(`198.51.100.${count}`)).toBeUndefined();
    }
    expect([leavesToOthers(one), leavesToOthers(other)]).toEqual([false, false]);
  });

  it('a proxy keeps no place from others by gathering its connections in one process', () => {
    const [one, other] = workers(2, { maxConnections: 8 });
    for (let times = 0; times < 5; times += 1) one?.reserve('10.0.0.1');
    // Clients of one address, who are no room for those of proxies.
    for (let times = 0; times < 3; times += 1) other?.admit('192.0.2.1');
    one?.admission.noteLargest();
    expect([leavesToOthers(other, 'proxied'), leavesToOthers(one, 'proxied'), leavesToOthers(other, 'direct')]).toEqual(
      [true, false, false],
    );
    expect(one?.reserve('10.0.0.2')).toBeUndefined();
    expect(one?.givenUp.map(({ proxy }) => proxy)).toEqual(['10.0.0.1']);
    expect([leavesToOthers(other, 'proxied'), leavesToOthers(one, 'proxied')]).toEqual([true, false]);
  });

  it('reservations of a proxy count in all of them', () => {
    const [one, other] = workers(2, { maxConnections: 5 });
    for (const subject of [one, one, other, other]) subject?.reserve('10.0.0.1');
    other?.reserve('10.0.0.2');
    expect(one?.reserve('10.0.0.1')).toBe('limit');
    expect(other?.reserve('10.0.0.2')).toBeUndefined();
    expect(other?.givenUp.map(({ proxy }) => proxy)).toEqual(['10.0.0.1']);
    expect(one?.reserve('10.0.0.2')).toBe('limit');
  });

  it('no newcomer is left to a process that has been silent for a second', () => {
    const [one, other] = workers(2, { maxConnections: 3 });
    for (let times = 0; times < 3; times += 1) one?.admit('192.0.2.1');
    sharedNowMs += 999;
    expect(leavesToOthers(other)).toBe(true);
    sharedNowMs += 1;
    expect(leavesToOthers(other)).toBe(false);
    one?.admission.noteLargest();
    expect(leavesToOthers(other)).toBe(true);
  });

  it('any newcomer is admitted while a source keeps more, wherever sources choose to be', () => {
    const arrivals = fc.array(fc.record({ process: fc.nat(2), source: fc.integer({ min: 1, max: 8 }) }), {
      minLength: 12,
      maxLength: 60,
    });
    fc.assert(
      fc.property(arrivals, fc.array(fc.nat(2), { minLength: 1, maxLength: 20 }), (arriving, wakes) => {
        const subjects = workers(3, { maxConnections: 12 });
        for (const { process, source: host } of arriving) subjects[process]?.admit(`192.0.2.${host}`);
        for (const { admission: each } of subjects) each.noteLargest();
        const sizes = (): readonly number[] => {
          const texts = subjects.flatMap(({ here }) => here.map(({ text }) => text));
          return [...new Set(texts)].map((text) => texts.filter((each) => each === text).length);
        };
        for (const [index, first] of wakes.entries()) {
          const before = Math.max(...sizes());
          // They are woken in some order, and see the client again later if none of them takes it.
          const order = [...subjects.slice(first), ...subjects.slice(0, first), ...subjects];
          const taker = order.find((each) => !leavesToOthers(each));
          if (taker === undefined) throw new Error('all of them leave the client to others');
          expect(taker.admit(`198.51.100.${index}`)).toBe(before > 1 ? no : 'limit');
          expect(subjects.reduce((sum, { active }) => sum + active, 0)).toBe(12);
        }
      }),
    );
  });

  it('places are reserved for all of them together', () => {
    const [one, other] = workers(2, { maxConnections: 2 });
    expect([one?.reserve(), other?.reserve('10.0.0.2'), one?.reserve(), other?.admit('192.0.2.1')]).toEqual([
      no,
      no,
      'limit',
      'limit',
    ]);
    one?.cancel();
    expect(other?.admit('192.0.2.1')).toBeUndefined();
  });

  it('whoever comes and goes, no limit is exceeded and nothing is refused below it', () => {
    const texts = ['192.0.2.1', '192.0.2.2', '127.0.0.1', '2001:db8:0:1::1', '2001:db8:0:3::1', '2001:db8:1::1'];
    const step = fc.record({ worker: fc.nat(2), text: fc.constantFrom(...texts), leaves: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), fc.boolean(), (steps, dryRun) => {
        const limits = { maxConnections: 9, maxConnectionsPerSource: 3, dryRun };
        const subjects = workers(3, limits, { exempt: ['127.0.0.0/8'] });
        const count = (isCounted: (text: string) => boolean): number =>
          subjects.reduce((sum, { here }) => sum + here.filter(({ text }) => isCounted(text)).length, 0);
        for (const { worker, text, leaves } of steps) {
          const subject = subjects[worker];
          if (leaves) {
            subject?.release(text);
            continue;
          }
          const total = count(() => true);
          const own = count((each) => each === text);
          const outcome = subject?.admit(text);
          if (dryRun) expect(outcome).toBeUndefined();
          else if (outcome === 'limit') expect(total).toBe(9);
          else if (text === '192.0.2.1') expect(outcome === 'source-limit').toBe(own === 3);
          if (!dryRun) {
            expect(count(() => true)).toBeLessThanOrEqual(9);
            for (const each of texts.filter((other) => other !== '127.0.0.1'))
              expect(count((other) => other === each)).toBeLessThanOrEqual(3);
          }
        }
        for (const subject of subjects) for (const { text } of subject.here) subject.release(text);
        // Nothing is left behind.
        for (const subject of subjects)
          for (let times = 0; times < 3; times += 1)
            expect(subject.admit('192.0.2.9')).toBe(subject === subjects[0] || dryRun ? no : 'source-limit');
      }),
    );
  });
});

/** Connects from the sources in turn, to the processes in turn. */
function arrive(subjects: readonly Clients[], texts: readonly string[]): readonly (RefuseReason | undefined)[] {
  return texts.map((text, index) => subjects[index % subjects.length]?.admit(text));
}
