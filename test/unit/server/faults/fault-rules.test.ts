import { expect, it } from 'vitest';
import { activeFaults } from '../../../../src/server/faults/fault-rules.ts';
import { rulesOf } from './rules.ts';

const on = { probability: 0.5, timeMs: 10 };

it('names no fault if none can happen', () => {
  expect(activeFaults(rulesOf({}))).toEqual({});
  expect(activeFaults(rulesOf({ reorder: { probability: 0, timeMs: 10 } }))).toEqual({});
  expect(
    activeFaults(rulesOf({ delay: { probability: 1, timeMs: null, jitterMs: 5, distribution: 'pareto' } })),
  ).toEqual({});
});

it.each([
  { loss: 0.1 },
  { corrupt: 1 },
  { resetOnAccept: 0.1 },
  { reorder: on },
  { acceptDelay: on },
  { truncate: { probability: 1, bytes: 4 } },
  { answers: { probability: 1, count: 3 } },
  { rate: { probability: 1, bytesPerSecond: 100 } },
  { closeAfter: { probability: 1, timeMs: null, bytes: 9 } },
  { resetAfter: { probability: 1, timeMs: 0, bytes: null } },
])('names what can happen: %j', (fault) => {
  expect(activeFaults(rulesOf(fault))).toEqual(fault);
});
