import { newServiceCounters } from '../../../../src/server/counters.ts';
import type { FaultRules } from '../../../../src/server/faults/fault-rules.ts';
import type { FaultCounts } from '../../../../src/server/faults/service-faults.ts';

const off = { probability: 1, timeMs: null };

/** Rules that do nothing, apart from these. */
export function rulesOf(rules: Partial<FaultRules>): FaultRules {
  return {
    seed: 1,
    delay: { ...off, jitterMs: 0, distribution: 'normal' },
    corrupt: 0,
    loss: 0,
    duplicate: 0,
    reorder: off,
    truncate: { probability: 1, bytes: null },
    answers: { probability: 1, count: null },
    acceptDelay: off,
    firstByteDelay: off,
    rate: { probability: 1, bytesPerSecond: null },
    closeAfter: { ...off, bytes: null },
    resetAfter: { ...off, bytes: null },
    resetOnAccept: 0,
    halfCloseEarly: 0,
    blackhole: 0,
    stopReading: 0,
    maxDelayed: { datagrams: 1000, bytes: 1 << 20 },
    ...rules,
  };
}

export function newFaultCounts(): FaultCounts {
  const { datagram, stream } = newServiceCounters();
  return { datagram: datagram.faults, stream: stream.faults };
}
