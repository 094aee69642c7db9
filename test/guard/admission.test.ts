import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { StreamLimits } from '../../src/config/config.ts';
import { Admission, type RefuseReason, type WouldRefuseReason } from '../../src/guard/admission.ts';
import { DescriptorBudget } from '../../src/guard/descriptor-budget.ts';
import { access, ip, seededRandom, streamLimits } from './fixtures.ts';

interface Around {
  /** Descriptors for clients. */
  budget?: number;
  onWouldRefuse?: (reason: WouldRefuseReason) => void;
}

function admission(
  limits: Partial<StreamLimits> = {},
  lists: Parameters<typeof access>[0] = {},
  { budget = Infinity, onWouldRefuse = () => {} }: Around = {},
): Admission {
  return new Admission({
    limits: { ...streamLimits, ...limits },
    access: access(lists),
    descriptors: new DescriptorBudget(budget, 1, { onShortage() {}, onRelief() {} }).share(),
    random: seededRandom(1),
    onWouldRefuse,
  });
}

/** An address, or a UNIX client. */
function source(text: string) {
  return text === 'unix' ? undefined : ip(text);
}

/** What becomes of these clients, one after the other. */
function outcomes(subject: Admission, sources: readonly string[], nowMs = 0): (RefuseReason | undefined)[] {
  return sources.map((text) => subject.admit(source(text), nowMs));
}

const no = undefined;
const everybody = { allow: [], deny: ['0.0.0.0/0', '::/0'] };

describe('Admission', () => {
  it.each([
    ['denied by deny', { deny: ['192.0.2.0/24'] }, '192.0.2.1', 'denied'],
    ['denied by allow', { allow: ['10.0.0.0/8'] }, '192.0.2.1', 'denied'],
    ['a UNIX client is never denied by deny', everybody, 'unix', no],
    ['a UNIX client is never denied by allow', { allow: ['10.0.0.0/8'] }, 'unix', no],
    ['exempt sources may be denied', { deny: ['127.0.0.1'], exempt: ['127.0.0.1'] }, '127.0.0.1', 'denied'],
  ])('%s', (_rule, lists, text, reason) => {
    const subject = admission({}, lists);
    expect(subject.admit(source(text), 0)).toBe(reason);
    expect(subject.active).toBe(reason === undefined ? 1 : 0);
  });

  it.each([
    ['an IPv4 address is a source', ['192.0.2.1', '192.0.2.1', '192.0.2.2'], [no, 'source-limit', no]],
    [
      'an IPv6 /64 is a source',
      ['2001:db8:1:2::1', '2001:db8:1:2:ffff::1', '2001:db8:1:3::1'],
      [no, 'source-limit', no],
    ],
    ['all UNIX clients are one source', ['unix', 'unix'], [no, 'source-limit']],
    ['a UNIX client is nobody else', ['unix', '::', '0.0.0.0'], [no, no, no]],
    ['mapped addresses are IPv4', ['192.0.2.1', '::ffff:192.0.2.1'], [no, 'source-limit']],
  ] as const)('%s', (_rule, sources, reasons) => {
    expect(outcomes(admission({ maxConnectionsPerSource: 1 }), sources)).toEqual(reasons);
  });

  it.each([
    ['IPv4', { ipv4: 24, ipv6: 64 }, ['192.0.2.1', '192.0.2.255', '192.0.3.1'], [no, 'source-limit', no]],
    ['IPv6', { ipv4: 32, ipv6: 48 }, ['2001:db8:1:2::1', '2001:db8:1:3::1', '2001:db8:2::1'], [no, 'source-limit', no]],
    [
      'IPv6, below a word',
      { ipv4: 32, ipv6: 20 },
      ['2001:db8::1', '2001:0fff::1', '2001:1000::1'],
      [no, 'source-limit', no],
    ],
    [
      'all of IPv4 as one bit tells',
      { ipv4: 1, ipv6: 64 },
      ['1.0.0.1', '127.0.0.1', '128.0.0.1'],
      [no, 'source-limit', no],
    ],
  ] as const)('a source has as many bits as sourcePrefix says: %s', (_family, sourcePrefix, sources, reasons) => {
    const subject = admission({ maxConnectionsPerSource: 1, sourcePrefix });
    expect(outcomes(subject, sources)).toEqual(reasons);
    subject.release(ip(sources[1] ?? ''));
    expect(subject.admit(ip(sources[0] ?? ''), 0)).toBeUndefined();
  });

  it('names the sources with the most connections by their prefix', () => {
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

  it('refuses past maxConnections, exempt or not, until one is released', () => {
    const subject = admission({ maxConnections: 2 }, { exempt: ['127.0.0.1'] });
    expect(outcomes(subject, ['192.0.2.1', 'unix', '192.0.2.2', '127.0.0.1'])).toEqual([no, no, 'limit', 'limit']);
    expect(subject.active).toBe(2);
    subject.release(undefined);
    expect(outcomes(subject, ['127.0.0.1', 'unix'])).toEqual([no, 'limit']);
  });

  it('refuses past maxConnectionsPerSource until one is released', () => {
    const subject = admission({ maxConnectionsPerSource: 2 });
    expect(outcomes(subject, ['192.0.2.1', '192.0.2.1', '192.0.2.1'])).toEqual([no, no, 'source-limit']);
    subject.release(ip('192.0.2.1'));
    expect(outcomes(subject, ['192.0.2.1', '192.0.2.1'])).toEqual([no, 'source-limit']);
  });

  it.each(['192.0.2.1', '2001:db8::1', 'unix'])('refuses past the rate: %s', (text) => {
    const subject = admission({ connectionRate: { perSecond: 1, burst: 2 } });
    expect(outcomes(subject, [text, text, text, '198.51.100.1'])).toEqual([no, no, 'rate', no]);
    expect(outcomes(subject, [text, text], 1000)).toEqual([no, 'rate']);
  });

  it('exempt sources skip the rate and the limit per source', () => {
    const subject = admission(
      { maxConnectionsPerSource: 1, connectionRate: { perSecond: 1, burst: 1 } },
      { exempt: ['127.0.0.0/8'] },
    );
    expect(outcomes(subject, ['127.0.0.1', '127.0.0.1', '127.0.0.1'])).toEqual([no, no, no]);
    expect(subject.active).toBe(3);
    for (let at = 0; at < 3; at++) subject.release(ip('127.0.0.1'));
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
    ['rate last', { connectionRate: { perSecond: 1, burst: 0 } }, {}, 'rate'],
  ])('the order of the rules: %s', (_rule, limits, lists, reason) => {
    expect(admission(limits, lists).admit(ip('192.0.2.1'), 0)).toBe(reason);
  });

  it('a refused client charges no rate and counts nowhere', () => {
    const subject = admission({ maxConnectionsPerSource: 1, connectionRate: { perSecond: 0, burst: 2 } });
    expect(outcomes(subject, ['192.0.2.1', ...Array.from({ length: 10 }, () => '192.0.2.1')]).at(-1)).toBe(
      'source-limit',
    );
    expect(subject.active).toBe(1);
    subject.release(ip('192.0.2.1'));
    expect(subject.admit(ip('192.0.2.1'), 0)).toBeUndefined();
  });

  it('refuses as limit where no descriptor is left, and charges nothing for it', () => {
    const subject = admission({ connectionRate: { perSecond: 0, burst: 2 } }, {}, { budget: 1 });
    expect(outcomes(subject, ['192.0.2.1', '192.0.2.1', '192.0.2.1'])).toEqual([no, 'limit', 'limit']);
    subject.release(ip('192.0.2.1'));
    expect(outcomes(subject, ['192.0.2.1', '192.0.2.1'])).toEqual([no, 'limit']);
  });

  it('a refused client takes no descriptor', () => {
    const subject = admission({ maxConnectionsPerSource: 1 }, { deny: ['198.51.100.1'] }, { budget: 2 });
    outcomes(subject, ['192.0.2.1', '192.0.2.1', '198.51.100.1']);
    expect(outcomes(subject, ['192.0.2.2', '192.0.2.3'])).toEqual([no, 'limit']);
  });

  it('a reserved place counts as a connection and a descriptor, until it is cancelled', () => {
    const subject = admission({ maxConnections: 2 });
    expect([subject.reserve(), subject.reserve(), subject.reserve()]).toEqual([no, no, 'limit']);
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

  it('never counts below zero', () => {
    const subject = admission({ maxConnections: 1 });
    subject.release(ip('192.0.2.1'));
    expect(subject.active).toBe(0);
    subject.admit(ip('192.0.2.1'), 0);
    subject.release(ip('192.0.2.1'));
    subject.release(ip('192.0.2.1'));
    expect(subject.active).toBe(0);
    expect(outcomes(subject, ['192.0.2.1', '192.0.2.2'])).toEqual([no, 'limit']);
  });

  it('counts as a list of the open connections would', () => {
    const sources = ['192.0.2.1', '192.0.2.2', '2001:db8::1', '2001:db8:0:1::1', 'unix'];
    const steps = fc.array(fc.record({ text: fc.constantFrom(...sources), leave: fc.boolean() }), { maxLength: 100 });
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 4 }), (list, most, mostOfSource) => {
        const subject = admission({
          maxConnections: most,
          maxConnectionsPerSource: mostOfSource,
          connectionRate: { perSecond: Infinity, burst: 1 },
        });
        const open: string[] = [];
        for (const { text, leave } of list) {
          if (leave && open.includes(text)) {
            open.splice(open.indexOf(text), 1);
            subject.release(source(text));
          } else {
            const ofSource = open.filter((other) => other === text).length;
            const reason = open.length >= most ? 'limit' : ofSource >= mostOfSource ? 'source-limit' : undefined;
            expect(subject.admit(source(text), 0)).toBe(reason);
            if (reason === undefined) open.push(text);
          }
          expect(subject.active).toBe(open.length);
        }
      }),
    );
  });
});

describe('a dry run', () => {
  const narrow = {
    maxConnections: 3,
    maxConnectionsPerSource: 1,
    connectionRate: { perSecond: 1, burst: 1 },
    dryRun: true,
  };

  function dryRun(around: Around = {}): { subject: Admission; reasons: WouldRefuseReason[] } {
    const reasons: WouldRefuseReason[] = [];
    const onWouldRefuse = (reason: WouldRefuseReason): void => void reasons.push(reason);
    return { subject: admission(narrow, { deny: ['198.51.100.1'] }, { onWouldRefuse, ...around }), reasons };
  }

  it('admits whom the limits would refuse, and tells by which', () => {
    const { subject, reasons } = dryRun();
    expect(outcomes(subject, ['192.0.2.1', '192.0.2.1', '192.0.2.2', '192.0.2.3'])).toEqual([no, no, no, no]);
    expect(reasons).toEqual(['source-limit', 'limit']);
    for (const text of ['192.0.2.1', '192.0.2.1', '192.0.2.2', '192.0.2.3']) subject.release(ip(text));
    expect(subject.active).toBe(0);
    expect(outcomes(subject, ['192.0.2.1'])).toEqual([no]);
    expect(reasons).toEqual(['source-limit', 'limit', 'rate']);
  });

  it('denies all the same, and has no more descriptors than there are', () => {
    const { subject, reasons } = dryRun({ budget: 1 });
    expect(outcomes(subject, ['198.51.100.1', '192.0.2.1', '192.0.2.2'])).toEqual(['denied', no, 'limit']);
    expect(reasons).toEqual([]);
  });

  it('has a place for a client that has not said who it is', () => {
    const { subject } = dryRun();
    expect(Array.from({ length: 4 }, () => subject.reserve())).toEqual([no, no, no, no]);
  });
});
