import * as fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { History } from '../../../../src/server/admin/history.ts';
import type { Snapshot } from '../../../../src/server/admin/snapshot.ts';
import { newServiceCounters } from '../../../../src/server/counters.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { snapshot } from './snapshot.ts';

/** When the fake clock starts, in seconds since 1970. */
const startS = Date.UTC(2026, 10, 22, 11, 7, 12) / 1000;

interface Figures {
  readonly accepted?: number;
  readonly clients?: number;
  readonly dropped?: number;
  readonly lagMs?: number;
  readonly cpuMs?: number;
}

function figures({ accepted = 0, clients = 0, dropped = 0, lagMs = 0, cpuMs = 0 }: Figures): Snapshot {
  const counters = newServiceCounters();
  counters.stream.accepted = accepted;
  counters.stream.active = clients;
  counters.datagram.dropped.rate = dropped;
  const health = { lagMs, residentBytes: 1000, heapBytes: 1, cpuMs, upMs: 1 };
  return snapshot({
    services: { echo: { type: 'echo', topSources: [], ...counters }, other: { ...emptyService() } },
    workers: [
      { worker: 3, status: 'draining', pid: 1, health },
      { worker: 7, status: 'ready', pid: 2, health },
    ],
  });
}

function emptyService(): Snapshot['services'][string] {
  return { type: 'echo', topSources: [], ...newServiceCounters() };
}

/** A worker whose lag is its number. */
function worker(name: number, status: 'ready' | 'starting' | 'draining'): Snapshot['workers'][number] {
  const health = { lagMs: name, residentBytes: 1, heapBytes: 1, cpuMs: 1, upMs: 1 };
  return { worker: name, status, pid: name, health };
}

/** A history that gets these figures, one a second. */
function after(each: readonly Figures[], clock: FakeClock = new FakeClock()): History {
  const history = new History(clock);
  for (const one of each) {
    clock.advance(1000);
    history.record(figures(one));
  }
  return history;
}

function counting(length: number, figure: (index: number) => Figures): readonly Figures[] {
  return Array.from({ length }, (_, index) => figure(index));
}

describe('History', () => {
  it('has nothing before the first sample', () => {
    expect(after([]).past).toEqual({ seconds: { times: [], values: {} }, minutes: { times: [], values: {} } });
    expect(after([]).latest).toEqual({ second: null, minute: null });
  });

  it('tells rates over two seconds, levels, and the time of each point', () => {
    const { seconds } = after([
      { accepted: 5, clients: 2 },
      { accepted: 8, clients: 3 },
      { accepted: 8, clients: 1 },
      { accepted: 18, clients: 0 },
    ]).past;
    expect(seconds.times).toEqual([1, 2, 3, 4].map((second) => startS + second));
    expect(seconds.values['accepted']).toEqual([null, 3, 1.5, 5]);
    expect(seconds.values['clients']).toEqual([2, 3, 1, 0]);
  });

  it('gives an even rate for a worker that reports just before or after each sample', () => {
    const { seconds } = after([0, 10, 10, 30, 30, 50, 50].map((accepted) => ({ accepted }))).past;
    expect(seconds.values['accepted']?.slice(3)).toEqual([10, 10, 10, 10]);
  });

  it('divides by the time that has really passed', () => {
    const clock = new FakeClock();
    const history = after([{ accepted: 0 }], clock);
    clock.advance(10_000);
    history.record(figures({ accepted: 20 }));
    expect(history.latest.second).toMatchObject({ time: startS + 11, values: { accepted: 2 } });
  });

  it('names workers by their place, without those of an earlier config', () => {
    const { values } = after([{ cpuMs: 0 }, { cpuMs: 250, lagMs: 4 }]).past.seconds;
    expect(values['cpu worker 1']).toEqual([null, 0.25]);
    expect(values['lag worker 1']).toEqual([0, 4]);
    expect(values['memory worker 1']).toEqual([1000, 1000]);
    expect(Object.keys(values).filter((name) => name.endsWith('worker 2'))).toEqual([]);
  });

  it('gives no places to the workers that a reload starts, until they serve', () => {
    const reloading = { ...snapshot().reload, isRunning: true };
    const history = new History(new FakeClock());
    for (const changes of [
      { workers: [worker(1, 'ready'), worker(2, 'ready')] },
      {
        workers: [worker(1, 'ready'), worker(2, 'ready'), worker(3, 'ready'), worker(4, 'starting')],
        reload: reloading,
      },
      { workers: [worker(3, 'ready'), worker(4, 'ready'), worker(1, 'draining')], reload: reloading },
      { workers: [worker(3, 'ready'), worker(4, 'ready'), worker(2, 'draining')] },
    ])
      history.record(snapshot(changes));
    const lags = Object.entries(history.past.seconds.values).filter(([name]) => name.startsWith('lag worker'));
    expect(lags).toEqual([
      ['lag worker 1', [1, 1, 3, 3]],
      ['lag worker 2', [2, 2, 4, 4]],
    ]);
  });

  it('has no rate where a counter belongs to another process than before', () => {
    const { values } = after([{ cpuMs: 900 }, { cpuMs: 20 }, { cpuMs: 30 }, { cpuMs: 40 }]).past.seconds;
    expect(values['cpu worker 1']).toEqual([null, null, null, 0.01]);
  });

  it('keeps the mean of each minute, and the maximum of a lag', () => {
    const each = counting(125, (index) => ({
      clients: index < 30 ? 10 : 20,
      accepted: 6 * index,
      lagMs: index === 7 ? 90 : 1,
    }));
    const { minutes } = after(each).past;
    expect(minutes.times).toEqual([startS + 60, startS + 120]);
    expect(minutes.values['clients']).toEqual([15, 20]);
    expect(minutes.values['accepted']).toEqual([6, 6]);
    expect(minutes.values['lag worker 1']).toEqual([90, 1]);
  });

  it('keeps the last 300 seconds and 360 minutes', () => {
    const clock = new FakeClock();
    const history = after(
      counting(365 * 60, (index) => ({ clients: index % 1000 })),
      clock,
    );
    const { seconds, minutes } = history.past;
    expect(seconds.times).toHaveLength(300);
    expect(seconds.times[0]).toBe(startS + 365 * 60 - 299);
    expect(seconds.values['clients']?.at(-1)).toBe(899);
    expect(minutes.times).toHaveLength(360);
    expect(minutes.times.at(-1)).toBe(startS + 365 * 60);
    expect(history.latest.minute?.time).toBe(minutes.times.at(-1));
  });

  it('gives a point the same time forever, though a wall clock tells whole milliseconds only', () => {
    class CoarseClock extends FakeClock {
      override now(): Date {
        return new Date(Math.floor(super.now().getTime() + 0.7));
      }
    }
    const clock = new CoarseClock();
    const history = new History(clock);
    clock.advance(49.7);
    const told = new Set<number | undefined>();
    for (let step = 0; step < 620; step += 1) {
      clock.advance(100.1);
      if (step % 10 === 0) history.record(figures({}));
      told.add(history.latest.second?.time);
    }
    const { seconds, minutes } = history.past;
    expect([...told]).toEqual(seconds.times);
    expect(minutes.times).toEqual([history.latest.minute?.time]);
  });

  class SetClock extends FakeClock {
    offsetMs = 0;

    override now(): Date {
      return new Date(super.now().getTime() + this.offsetMs);
    }
  }

  it.each([
    ['moves with a wall clock that is set back', -3_600_000, [-3599, -3598, -3597]],
    ['has a gap after a suspend', 3_600_000, [1, 2, 3603]],
    ['takes no notice of a wall clock that is adjusted', 400, [1, 2, 3]],
  ])('%s', (_, offsetMs, seconds) => {
    const clock = new SetClock();
    const history = after([{}, {}], clock);
    clock.offsetMs = offsetMs;
    clock.advance(1000);
    history.record(figures({}));
    expect(history.past.seconds.times).toEqual(seconds.map((second) => startS + second));
  });

  it('invents no digits', () => {
    const { values } = after([{ clients: 12_345 }, { clients: 12_345, accepted: 98_765 }]).past.seconds;
    expect([values['clients'], values['accepted']]).toEqual([
      [12_345, 12_345],
      [null, 98_765],
    ]);
  });

  it('counts at most 16 workers', () => {
    const health = { lagMs: 1, residentBytes: 1, heapBytes: 1, cpuMs: 1, upMs: 1 };
    const workers = Array.from({ length: 40 }, (_, index) => ({
      worker: index + 1,
      status: 'ready' as const,
      pid: index,
      health,
    }));
    const history = new History(new FakeClock());
    history.record(snapshot({ workers }));
    const names = Object.keys(history.past.seconds.values);
    expect(names.filter((name) => name.startsWith('lag worker'))).toHaveLength(16);
  });
});

test('the latest point is the last of the past, and all numbers are finite', () => {
  const figure = fc.record({
    accepted: fc.maxSafeNat(),
    clients: fc.nat(1000),
    dropped: fc.maxSafeNat(),
    lagMs: fc.double({ min: 0 }),
    cpuMs: fc.nat(),
  });
  fc.assert(
    fc.property(fc.array(figure, { minLength: 1, maxLength: 130 }), (each) => {
      const { past, latest } = after(each);
      for (const [points, last] of [
        [past.seconds, latest.second],
        [past.minutes, latest.minute],
      ] as const) {
        expect(last?.time).toBe(points.times.at(-1));
        for (const [name, values] of Object.entries(points.values)) {
          expect(values).toHaveLength(points.times.length);
          expect(values.every((value) => value === null || Number.isFinite(value))).toBe(true);
          expect(last?.values[name] ?? null).toBe(values.at(-1));
        }
      }
    }),
    { numRuns: 30 },
  );
});
