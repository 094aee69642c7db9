import { expect, it } from 'vitest';
import { ServiceHistory } from '../../../../src/server/admin/service-history.ts';
import type { Snapshot } from '../../../../src/server/admin/snapshot.ts';
import { newServiceCounters } from '../../../../src/server/counters.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

function services(each: Readonly<Record<string, number>>): Snapshot['services'] {
  return Object.fromEntries(
    Object.entries(each).map(([name, count]) => {
      const counters = newServiceCounters();
      counters.stream.accepted = count;
      counters.datagram.received = count;
      counters.datagram.bytesOut = 10 * count;
      counters.datagram.dropped.loop = count;
      return [name, { type: 'echo', topSources: [], ...counters }];
    }),
  );
}

/** A history of these services, recorded once a second. */
function after(...samples: readonly Readonly<Record<string, number>>[]): ServiceHistory {
  const clock = new FakeClock();
  const history = new ServiceHistory(clock);
  for (const sample of samples) {
    clock.advance(1000);
    history.record(services(sample));
  }
  return history;
}

it('tells what each service does in a second, over the last two seconds', () => {
  expect(after({ echo: 5 }).rates('echo')).toBeUndefined();
  const history = after({ echo: 5 }, { echo: 10 }, { echo: 25, time: 3 });
  expect(history.rates('echo')).toEqual({ requests: 20, bytesIn: 0, bytesOut: 100, refused: 0, dropped: 10 });
  expect(history.rates('time')).toBeUndefined();
  expect(history.requests).toEqual({ echo: [null, 10, 20], time: [null] });
});

it('forgets services that a reload has removed, and rates of counters that fall', () => {
  const history = after({ echo: 5, time: 5 }, { echo: 4 });
  expect(history.rates('echo')).toBeUndefined();
  expect(history.requests).toEqual({ echo: [null, null] });
});

it('keeps five minutes of 64 services', () => {
  const many = Object.fromEntries(Array.from({ length: 70 }, (_, index) => [`s${index}`, 1]));
  const { requests } = after(...Array.from({ length: 310 }, () => many));
  expect(Object.keys(requests)).toHaveLength(64);
  expect(new Set(Object.values(requests).map(({ length }) => length))).toEqual(new Set([300]));
});
