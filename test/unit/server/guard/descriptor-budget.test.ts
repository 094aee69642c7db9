import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseListenAddress } from '../../../../src/address/listen-address.ts';
import { DescriptorBudget, descriptorBudget, streamServices } from '../../../../src/server/guard/descriptor-budget.ts';

interface Told {
  readonly subject: DescriptorBudget;
  readonly events: readonly string[];
}

function told(budget: number, services = 1): Told {
  const events: string[] = [];
  const subject = new DescriptorBudget(budget, services, {
    onShortage: (all) => events.push(`short of ${all}`),
    onRelief: (refused) => events.push(`relief, ${refused} refused`),
  });
  return { subject, events };
}

/** How many of so many tries are given. */
function taken(share: { take(): boolean }, tries: number): number {
  return Array.from({ length: tries }, () => share.take()).filter(Boolean).length;
}

describe('DescriptorBudget', () => {
  it('grants descriptors up to the budget and reuses released ones', () => {
    const share = told(2).subject.share();
    expect([share.take(), share.take(), share.take()]).toEqual([true, true, false]);
    share.release();
    expect([share.take(), share.take()]).toEqual([true, false]);
  });

  it('never runs out without a limit', () => {
    const { subject, events } = told(Infinity);
    expect(taken(subject.share(), 1000)).toBe(1000);
    expect(events).toEqual([]);
  });

  it('reserves an equal part of a quarter of the budget for each service', () => {
    const { subject } = told(80, 2);
    const [greedy, modest] = [subject.share(), subject.share()];
    expect(taken(greedy, 100)).toBe(70);
    expect(taken(modest, 100)).toBe(10);
    modest.release();
    expect(taken(greedy, 1), 'what comes back to a share stays its own').toBe(0);
    expect(taken(modest, 1)).toBe(1);
    greedy.release();
    expect(taken(modest, 2), 'the rest is for whoever comes').toBe(1);
  });

  it('stays within the budget, honors reserves and recovers every descriptor in any sequence', () => {
    const steps = fc.array(fc.record({ service: fc.nat(2), leaves: fc.boolean() }), { maxLength: 200 });
    fc.assert(
      fc.property(steps, fc.integer({ min: 0, max: 40 }), (list, budget) => {
        const { subject } = told(budget, 3);
        const shares = [subject.share(), subject.share(), subject.share()];
        const held = [0, 0, 0];
        const own = Math.floor(budget / 4 / 3);
        for (const { service, leaves } of list) {
          const before = held[service] ?? 0;
          if (leaves && before > 0) {
            shares[service]?.release();
            held[service] = before - 1;
            continue;
          }
          const owed = held.reduce((sum, each, index) => sum + (index === service ? 0 : Math.max(0, own - each)), 0);
          const isFree = before < own || held.reduce((sum, each) => sum + each, 0) + owed < budget;
          expect(shares[service]?.take()).toBe(isFree);
          if (isFree) held[service] = before + 1;
        }
        held.forEach((count, service) => {
          for (let each = 0; each < count; each += 1) shares[service]?.release();
        });
        expect(taken(shares[0] ?? { take: () => false }, budget + 1)).toBe(budget - 2 * own);
      }),
    );
  });

  it('reports a shortage once, and relief at a review once an eighth is free', () => {
    const { subject, events } = told(16);
    const share = subject.share();
    expect(taken(share, 20)).toBe(16);
    subject.review();
    share.release();
    subject.review();
    expect(taken(share, 2)).toBe(1);
    expect(events).toEqual(['short of 16']);
    for (let count = 0; count < 2; count += 1) share.release();
    expect(events, 'only a review ends it').toHaveLength(1);
    subject.review();
    subject.review();
    expect(events).toEqual(['short of 16', 'relief, 5 refused']);
  });

  it('reports a shortage when a client hands over its descriptor, unless some are left', () => {
    const { subject, events } = told(4);
    const share = subject.share();
    taken(share, 3);
    share.handedOver();
    expect(events).toEqual([]);
    taken(share, 1);
    share.handedOver();
    share.handedOver();
    expect(events).toEqual(['short of 4']);
    share.release();
    subject.review();
    expect(events).toEqual(['short of 4', 'relief, 0 refused']);
  });

  it('reports at most one shortage between reviews, each with its own count', () => {
    const { subject, events } = told(1);
    const share = subject.share();
    for (let episode = 0; episode < 2; episode += 1) {
      for (let turn = 0; turn < 3; turn += 1) {
        taken(share, 2);
        share.release();
      }
      subject.review();
    }
    expect(events).toEqual(['short of 1', 'relief, 3 refused', 'short of 1', 'relief, 3 refused']);
  });
});

const services = [
  ['tcp://localhost:7', 'udp://localhost:7'],
  ['unix:///run/echo.sock'],
  ['udp://localhost:37'],
  ['systemd:any'],
].map((listen) => ({ listen: listen.map((text) => parseListenAddress(text, () => undefined)) }));

describe('descriptorBudget', () => {
  it.each([
    [1024, 20, 1024 - 64 - 10],
    [1024, 24, 1024 - 64 - 10],
    [1024, 100, 1024 - 140 - 10],
    [74, 20, 0],
    [10, 20, 0],
  ])('is derived from a limit of %d with %d open', (limit, open, budget) => {
    expect(descriptorBudget({ limit, open }, services)).toBe(budget);
  });

  it('is infinite if the system does not report a limit', () => {
    expect(descriptorBudget(undefined, services)).toBe(Infinity);
  });
});

it('streamServices returns the services that may have a stream listener', () => {
  expect(streamServices(services)).toEqual([services[0], services[1], services[3]]);
});
