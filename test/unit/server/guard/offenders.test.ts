import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseIp } from '../../../../src/address/ip-address.ts';
import { mergeOffenders, Offenders } from '../../../../src/server/guard/offenders.ts';
import { type Source, SourceMask } from '../../../../src/server/guard/source-prefix.ts';

type Reason = 'rate' | 'source-port' | 'denied';

function ip(text: string): Source {
  const address = parseIp(text);
  if (address === undefined) throw new Error(text);
  return address;
}

function make(): Offenders<Reason> {
  return new Offenders(new SourceMask({ ipv4: 24, ipv6: 56 }), (zone) => `eth${zone}`);
}

/** Another host each time, in another network. */
function stranger(number: number): Source {
  return ip(`10.${(number >> 8) & 255}.${number & 255}.1`);
}

describe('offenders', () => {
  it('are named by network, or by port if that is the reason', () => {
    const offenders = make();
    for (let turn = 0; turn < 3; turn += 1) offenders.note('rate', ip('192.0.2.7'), 40_000);
    offenders.note('rate', ip('2001:db8::1'), 40_000);
    offenders.note('source-port', ip('192.0.2.7'), 7);
    offenders.note('denied', { uid: 1000 }, 0);
    expect(offenders.top).toEqual([
      { reason: 'rate', source: '192.0.2.0/24', count: 3 },
      { reason: 'source-port', source: 'port 7', count: 1 },
      { reason: 'denied', source: 'unix:1000', count: 1 },
    ]);
  });

  it('are one network for all hosts behind a NAT, and one for each host on a link', () => {
    const offenders = make();
    for (let host = 1; host <= 8; host += 1) offenders.note('rate', ip(`192.0.2.${host}`), 40_000 + host);
    expect(offenders.top).toEqual([{ reason: 'rate', source: '192.0.2.0/24', count: 8 }]);
    for (let turn = 0; turn < 20; turn += 1)
      offenders.note('denied', { ...(ip('fe80::1') as object), zone: 3 } as Source, 7);
    expect(offenders.top[1]).toEqual({ reason: 'denied', source: 'fe80::1%eth3', count: 20 });
  });

  it('names nobody among many strangers', () => {
    const offenders = make();
    for (let number = 0; number < 10_000; number += 1) offenders.note('rate', stranger(number), 40_000);
    expect(offenders.top).toEqual([]);
  });

  it('finds whoever causes a fifth of it, however the others come', () => {
    const turns = fc.array(fc.nat(4), { minLength: 2000, maxLength: 4000 });
    fc.assert(
      fc.property(turns, (each) => {
        const offenders = make();
        each.forEach((who, number) => offenders.note('rate', who === 0 ? ip('192.0.2.1') : stranger(number), 40_000));
        // By chance it may be less than that.
        fc.pre(each.filter((who) => who === 0).length > each.length / 5);
        const [first] = offenders.top;
        expect(first).toMatchObject({ source: '192.0.2.0/24' });
        expect(first?.count).toBeGreaterThanOrEqual(each.filter((who) => who === 0).length);
      }),
      { numRuns: 20 },
    );
  });

  it('fade, so that a past flood does not hide the next', () => {
    const offenders = make();
    for (let turn = 0; turn < 1000; turn += 1) offenders.note('rate', ip('192.0.2.1'), 1);
    for (let turn = 0; turn < 8; turn += 1) offenders.fade();
    for (let turn = 0; turn < 10; turn += 1) offenders.note('rate', ip('198.51.100.1'), 1);
    expect(offenders.top).toMatchObject([{ source: '198.51.100.0/24' }]);
    for (let turn = 0; turn < 10; turn += 1) offenders.fade();
    expect(offenders.top).toEqual([]);
  });
});

it('those of several processes are summed', () => {
  const one = [
    { reason: 'rate', source: 'a', count: 3 },
    { reason: 'denied', source: 'c', count: 1 },
  ];
  const other = [{ reason: 'rate', source: 'b', count: 2 }];
  expect(mergeOffenders([one, other, other])).toEqual([
    { reason: 'rate', source: 'b', count: 4 },
    { reason: 'denied', source: 'c', count: 1 },
  ]);
});
