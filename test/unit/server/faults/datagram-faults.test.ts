import { describe, expect, it } from 'vitest';
import { DatagramFaults } from '../../../../src/server/faults/datagram-faults.ts';
import { FaultRandom } from '../../../../src/server/faults/fault-random.ts';
import type { FaultRules } from '../../../../src/server/faults/fault-rules.ts';
import { newFaultCounts, rulesOf } from './rules.ts';

const reply = Buffer.from('0123456789');

function faultsOf(rules: Partial<FaultRules>, seed = 1) {
  const counts = newFaultCounts().datagram;
  return { counts, faults: new DatagramFaults(rulesOf(rules), counts, new FaultRandom(seed, 0).next) };
}

function texts(replies: readonly Uint8Array[]): readonly string[] {
  return replies.map((each) => Buffer.from(each).toString());
}

it('changes nothing without faults', () => {
  const { faults, counts } = faultsOf({});
  expect(faults.spoil([reply, Buffer.of()])).toEqual([reply, Buffer.of()]);
  expect(faults.drawDelayMs()).toBe(0);
  expect(Object.values(counts).every((count) => count === 0)).toBe(true);
});

it.each([
  [{ loss: 1 }, [], { loss: 1 }],
  [{ duplicate: 1 }, ['0123456789', '0123456789'], { duplicate: 1 }],
  [{ answers: { probability: 1, count: 3 } }, ['0123456789', '0123456789', '0123456789'], { answers: 1 }],
  [{ truncate: { probability: 1, bytes: 4 } }, ['0123'], { truncate: 1 }],
  // Shorter already.
  [{ truncate: { probability: 1, bytes: 10 } }, ['0123456789'], {}],
  // A lost reply has no copies.
  [{ loss: 1, duplicate: 1 }, [], { loss: 1 }],
] as const)('%j', (rules, expected, counted) => {
  const { faults, counts } = faultsOf(rules);
  expect(texts(faults.spoil([reply]))).toEqual(expected);
  expect(counts).toEqual({ ...newFaultCounts().datagram, ...counted });
});

it('corrupts one bit of a copy, and nothing in an empty reply', () => {
  const { faults, counts } = faultsOf({ corrupt: 1 });
  const [spoiled, empty] = faults.spoil([reply, Buffer.of()]);
  expect(spoiled).toHaveLength(10);
  expect(spoiled).not.toEqual(new Uint8Array(reply));
  expect(reply.toString()).toBe('0123456789');
  expect(empty).toHaveLength(0);
  expect(counts.corrupt).toBe(1);
});

it('adds the time of a reordered reply to its delay', () => {
  const delay = { probability: 1, timeMs: 20, jitterMs: 0, distribution: 'normal' } as const;
  const { faults, counts } = faultsOf({ delay, reorder: { probability: 1, timeMs: 5 } });
  expect(faults.drawDelayMs()).toBe(25);
  expect([counts.delay, counts.reorder]).toEqual([1, 1]);
});

it('makes the same decisions with the same seed, and others with another', () => {
  const rules = { loss: 0.3, duplicate: 0.3, corrupt: 0.3, reorder: { probability: 0.5, timeMs: 7 } };
  const run = (seed: number): unknown => {
    const { faults } = faultsOf(rules, seed);
    return Array.from({ length: 100 }, () => [texts(faults.spoil([reply])), faults.drawDelayMs()]);
  };
  expect(run(1)).toEqual(run(1));
  expect(run(1)).not.toEqual(run(2));
});

describe('10,000 replies', () => {
  const many = Array.from({ length: 10_000 }, () => reply);

  it.each([0.01, 0.2, 0.5])('of which a fraction of %d is lost, within five standard deviations', (loss) => {
    const { faults, counts } = faultsOf({ loss });
    const lost = 10_000 - faults.spoil(many).length;
    expect(counts.loss).toBe(lost);
    expect(Math.abs(lost - 10_000 * loss)).toBeLessThan(5 * Math.sqrt(10_000 * loss * (1 - loss)));
  });
});
