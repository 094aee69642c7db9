import { describe, expect, it } from 'vitest';
import type { PageEvent } from '../../../../src/server/admin/live.ts';
import { after, events, nowS, status } from './state.ts';

function second(time: number, accepted = 0): PageEvent {
  return { name: 'points', value: { second: { time, values: { accepted, datagrams: 0 } }, minute: null } };
}

function told(pid: number): PageEvent {
  return { name: 'status', value: { ...status, pid } };
}

describe('the data of top', () => {
  it('begins with the past, and goes on with every second', () => {
    const { points } = after(events);
    expect(points.map(({ totals }) => totals.requests)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10]);
    expect(points[0]?.totals).toMatchObject({ dropped: 5, refused: Number.NaN, clients: Number.NaN });
    // The past of a service that is new is shorter.
    expect(points.map(({ services }) => services.get('echo'))).toEqual([
      ...Array.from({ length: 6 }, () => undefined),
      1,
      2,
      undefined,
      4,
      12.5,
    ]);
  });

  it('keeps five minutes', () => {
    const all = Array.from({ length: 400 }, (_, index) => second(nowS + index));
    expect(after(all).points).toHaveLength(300);
    expect(after([second(nowS), second(nowS + 1000)]).points).toHaveLength(1);
  });

  it('keeps what a daemon told that ran before, and follows a clock that is set back', () => {
    const again = after([...events, second(nowS + 20)], after([second(nowS - 60, 5)]));
    expect(again.points.map(({ time }) => time)).toEqual([
      nowS - 60,
      ...Array.from({ length: 11 }, (_, index) => nowS - 10 + index),
      nowS + 20,
    ]);
    expect(after([second(nowS - 5)], again).points.at(-1)?.time).toBe(nowS - 5);
  });

  it('takes CPU time only from statuses of the same daemon', () => {
    expect(after([told(1), told(1), told(1), told(1)]).statuses).toHaveLength(3);
    expect(after([told(1), told(1), told(2)]).statuses.map(({ pid }) => pid)).toEqual([2]);
  });

  it('stays small, whatever the endpoint sends', () => {
    const requests = Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`s${index}`, [1]]));
    const times = Array.from({ length: 1000 }, (_, index) => index);
    const values = Object.fromEntries(times.map((name) => [`refused ${name}`, times.map(() => 1)]));
    const { points } = after([
      { name: 'past', value: { seconds: { times, values }, minutes: { times: [], values: {} }, requests } },
    ]);
    expect(points).toHaveLength(300);
    expect(points.at(-1)?.services.size).toBe(64);
    expect(points.at(-1)?.totals.refused).toBe(256);
  });
});
