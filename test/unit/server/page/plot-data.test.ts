import { describe, expect, it } from 'vitest';
import type { HistoryPoint } from '../../../../src/server/admin/history.ts';
import { PlotData, summarize } from '../../../../src/server/page/plot-data.ts';

function point(time: number, values: HistoryPoint['values'] = { clients: time }): HistoryPoint {
  return { time, values };
}

function dataOf(...times: readonly number[]): PlotData {
  const data = new PlotData(1, 300);
  for (const time of times) data.add(point(time));
  return data;
}

describe('PlotData', () => {
  it('takes each point once', () => {
    const data = dataOf(1, 2);
    expect(data.add(point(2, { clients: 99 }))).toBe(true);
    expect(data.add(point(3))).toBe(true);
    expect(data.times).toEqual([1, 2, 3]);
    expect(data.valuesOf('clients')).toEqual([1, 2, 3]);
  });

  it('reports a point that is older than the last one', () => {
    expect(dataOf(5, 6).add(point(5.5))).toBe(false);
  });

  it('has a gap where points are missing, but not where one is late', () => {
    expect(dataOf(1, 2, 4.4).valuesOf('clients')).toEqual([1, 2, 4.4]);
    const data = dataOf(1, 2, 10);
    expect(data.times).toEqual([1, 2, 3, 10]);
    expect(data.valuesOf('clients')).toEqual([1, 2, null, 10]);
  });

  it('has a series from the first point that has it, and no value where it is missing', () => {
    const data = dataOf(1, 2);
    data.add(point(3, { lag: 7 }));
    expect(data.names).toEqual(['clients', 'lag']);
    expect(data.valuesOf('lag')).toEqual([null, null, 7]);
    expect(data.valuesOf('clients')).toEqual([1, 2, null]);
    expect(data.valuesOf('nothing')).toEqual([null, null, null]);
  });

  it('forgets what is older than its span', () => {
    const data = dataOf(...Array.from({ length: 400 }, (_, second) => second));
    expect([data.times.length, data.times[0], data.valuesOf('clients')[0]]).toEqual([301, 99, 99]);
  });

  it('takes the past of a daemon, and keeps what one before it had told', () => {
    const data = dataOf(1, 2, 3, 4);
    data.replace({ times: [3, 4, 5], values: { clients: [30, 40, null] } });
    expect(data.times).toEqual([1, 2, 3, 4, 5]);
    expect(data.valuesOf('clients')).toEqual([1, 2, 30, 40, null]);
    data.replace({ times: [20], values: { clients: [0] } });
    expect(data.times).toEqual([1, 2, 3, 4, 5, 6, 20]);
    expect(data.valuesOf('clients').slice(-3)).toEqual([null, null, 0]);
    data.replace({ times: [], values: {} });
    expect(data.times).toHaveLength(7);
  });

  it('takes all of the past after the clock has been set back', () => {
    const data = dataOf(100, 101);
    data.replace({ times: [40, 41], values: { clients: [1, 2] } });
    expect(data.times).toEqual([40, 41]);
    expect(data.valuesOf('clients')).toEqual([1, 2]);
  });
});

describe('summarize', () => {
  it('tells the current value, the minimum and the maximum', () => {
    expect(summarize([null, 3, 1, 2])).toEqual({ now: 2, min: 1, max: 3 });
  });

  it('knows nothing now if the last value is missing, and nothing at all without values', () => {
    expect(summarize([1, null])).toEqual({ now: Number.NaN, min: 1, max: 1 });
    expect(summarize([null])).toEqual({ now: Number.NaN, min: Number.NaN, max: Number.NaN });
  });
});
