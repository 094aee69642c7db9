import { expect, test } from 'vitest';
import { cpuGrowth, judge, type Verdict } from '../../../bench/bars.ts';
import type { WorkResult } from '../../../bench/results.ts';
import { results, sample, work } from './fixtures.ts';

/** The verdict on the rate of TCP echo next to C, which has to be 0.85. */
function verdictOf(newer: number, older: number): Verdict | undefined {
  const samples = {
    'smallservd-26': [sample(newer)],
    'smallservd-20': [sample(older)],
    c: [sample(100)],
  };
  return judge(results([work('tcp-echo-64', 64, samples)])).find(({ text }) => /64 clients: rate .* of C$/.test(text));
}

test.each([
  [85, 85, true],
  [84, 85, false],
  // The older Node has ten percent.
  [85, 77, true],
  [85, 76, false],
])('rates of %d and %d percent of C: %s', (newer, older, holds) => {
  expect(verdictOf(newer, older)?.holds).toBe(holds);
});

test('a verdict tells what was measured', () => {
  expect(verdictOf(90, 80)?.measured).toEqual([
    { nodeMajor: 26, value: 0.9 },
    { nodeMajor: 20, value: 0.8 },
  ]);
});

test('what was not measured has no verdict', () => {
  expect(judge(results([])).map(({ holds }) => holds)).toEqual(judge(results([])).map(() => undefined));
});

test('the memory of a client is the median, in KiB', () => {
  const memory = { 'smallservd-26': { clients: 10, emptyBytes: [1, 1, 1], bytesPerClient: [1024, 9999, 512] } };
  const verdict = judge({ ...results([]), memory }).find(({ text }) => text.startsWith('memory'));
  expect(verdict).toMatchObject({ holds: true, measured: [{ value: 1 }, { value: undefined }] });
});

function at(clients: number, cpuSeconds: number): WorkResult {
  return work(`tcp-echo-${clients}`, clients, { c: [sample(1000, cpuSeconds)] });
}

test('the growth of CPU time leaves out a single client', () => {
  expect(cpuGrowth(results([at(1, 9), at(10, 0.5), at(64, 0.4), at(10_000, 0.6)]), 'c')).toBeCloseTo(1.5);
  expect(cpuGrowth(results([at(1, 9), at(10, 0.5), at(1000, 0.5)]), 'c')).toBeUndefined();
});
