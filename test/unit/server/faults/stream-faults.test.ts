import { expect, it } from 'vitest';
import { FaultRandom } from '../../../../src/server/faults/fault-random.ts';
import { StreamFaults } from '../../../../src/server/faults/stream-faults.ts';
import { newFaultCounts, rulesOf } from './rules.ts';

const sometimes = {
  resetOnAccept: 0.2,
  halfCloseEarly: 0.2,
  blackhole: 0.2,
  stopReading: 0.2,
  acceptDelay: { probability: 0.2, timeMs: 30 },
  firstByteDelay: { probability: 0.2, timeMs: 40 },
  rate: { probability: 0.2, bytesPerSecond: 1000 },
  closeAfter: { probability: 0.2, timeMs: null, bytes: 100 },
  resetAfter: { probability: 0.2, timeMs: 50, bytes: null },
};

function connection(seed: number, sequence: number): StreamFaults {
  return new StreamFaults(rulesOf(sometimes), newFaultCounts().stream, new FaultRandom(seed, sequence).next);
}

function decisionsOf(faults: StreamFaults): Readonly<Record<string, boolean>> {
  const { resetsOnAccept, acceptDelayMs, firstByteDelayMs, bytesPerSecond, closeAfter, resetAfter } = faults;
  const { halfClosesEarly, isBlackhole, stopsReading } = faults;
  const others = { acceptDelay: acceptDelayMs === 30, firstByteDelay: firstByteDelayMs === 40 };
  const cuts = {
    rate: bytesPerSecond === 1000,
    closeAfter: closeAfter?.bytes === 100,
    resetAfter: resetAfter?.timeMs === 50,
  };
  return { resetsOnAccept, halfClosesEarly, isBlackhole, stopsReading, ...others, ...cuts };
}

function run(seed: number): unknown {
  return Array.from({ length: 50 }, (_, sequence) => decisionsOf(connection(seed, sequence)));
}

it('decides for each connection by itself, with the configured probability', () => {
  const counts = new Map<string, number>();
  for (let sequence = 0; sequence < 5000; sequence += 1)
    for (const [fault, happens] of Object.entries(decisionsOf(connection(3, sequence))))
      counts.set(fault, (counts.get(fault) ?? 0) + (happens ? 1 : 0));
  expect(counts.size).toBe(9);
  // Five standard deviations.
  for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(5 * Math.sqrt(800));
});

it('decides the same for the same connection of the same seed', () => {
  expect(run(5)).toEqual(run(5));
  expect(run(5)).not.toEqual(run(6));
});

it('keeps the length of a chunk that it corrupts, and counts it', () => {
  const counts = newFaultCounts().stream;
  const faults = new StreamFaults(rulesOf({ corrupt: 1 }), counts, new FaultRandom(1, 1).next);
  const chunk = Buffer.from('hello');
  expect(faults.spoil(chunk)).toHaveLength(5);
  expect(Buffer.from(faults.spoil(chunk)).equals(chunk)).toBe(false);
  expect(faults.spoil(Buffer.of())).toHaveLength(0);
  expect(counts.corrupt).toBe(2);
});
