import { closeSync } from 'node:fs';
import { expect, it, onTestFinished } from 'vitest';
import { LimitMemory } from '../../../src/server/limit-memory.ts';
import { sharedNowMs } from '../../../src/server/shared-time.ts';
import { searchRate } from '../../../src/server/transport/neighborhood.ts';

const size = { services: 3, workers: 3 };

function create(): number {
  const descriptor = LimitMemory.create(size);
  onTestFinished(() => closeSync(descriptor));
  return descriptor;
}

it('has counters and rates for each service, shared by all workers, that do not overlap', () => {
  const descriptor = create();
  const [one, other] = [0, 2].map((slot) => new LimitMemory(descriptor, size, slot));
  const searches = [one, other].map((memory) => memory?.neighborSearches);
  const taken = Array.from({ length: 400 }, (_, at) => searches[at % 2]).filter((each) =>
    each?.bucket.take(sharedNowMs()),
  );
  expect(taken.length).toBeGreaterThanOrEqual(searchRate.burst);
  expect(taken.length).toBeLessThan(2 * searchRate.burst);
  for (let service = 0; service < size.services; service += 1) {
    const [mine, theirs] = [one?.of(service), other?.of(service)];
    if (mine === undefined || theirs === undefined) throw new Error('no memory');
    const last = mine.counts.length - 1;
    for (const index of [0, last]) {
      expect(theirs.counts.others(index)).toBe(0);
      for (let times = 0; times <= service; times += 1) mine.counts.add(index);
      expect([mine.counts.others(index), theirs.counts.others(index)]).toEqual([0, service + 1]);
    }
    for (const name of ['connectionRates', 'datagramRates', 'datagramServiceRate'] as const) {
      const [rates, seen] = [mine[name], theirs[name]];
      expect([seen[0], seen.at(-1)], name).toEqual([0, 0]);
      rates[0] = 1e300;
      rates[rates.length - 1] = -1e300;
      expect([seen[0], seen.at(-1)], name).toEqual([rates.length === 1 ? -1e300 : 1e300, -1e300]);
    }
    expect([theirs.room.isElsewhere('direct', 0), theirs.room.isElsewhere('proxied', 0)]).toEqual([false, false]);
    mine.room.note(3 * (service + 1), 2);
    expect(theirs.room.isElsewhere('direct', service + 1)).toBe(true);
    expect(theirs.room.isElsewhere('direct', 2 * (service + 1))).toBe(false);
    expect([theirs.room.isElsewhere('proxied', 1), theirs.room.isElsewhere('proxied', 2)]).toEqual([true, false]);
    expect(mine.room.isElsewhere('direct', 0)).toBe(false);
    expect([theirs.counts.others(0), theirs.counts.others(last)]).toEqual([service + 1, service + 1]);
    expect(mine.hash.of(1, 2)).toBe(theirs.hash.of(1, 2));
  }
  expect(one?.of(0).hash.of(1, 2)).not.toBe(new LimitMemory(create(), size, 0).of(0).hash.of(1, 2));
});

it('the next worker of a slot takes back what the last one counted', () => {
  const descriptor = create();
  const [gone, left] = [1, 0].map((slot) => new LimitMemory(descriptor, size, slot));
  gone?.of(2).counts.add(5);
  left?.of(2).counts.add(5);
  expect(left?.of(2).counts.others(5)).toBe(1);
  const next = new LimitMemory(descriptor, size, 1);
  expect([left?.of(2).counts.others(5), next.of(2).counts.others(5)]).toEqual([0, 1]);
});
