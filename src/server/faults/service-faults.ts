import type { DelayQueue } from './delay-queue.ts';
import type { DelayedBudget } from './delayed-budget.ts';
import { DatagramFaults } from './datagram-faults.ts';
import { FaultRandom } from './fault-random.ts';
import type { DatagramFault, FaultRules, StreamFault } from './fault-rules.ts';
import { StreamFaults } from './stream-faults.ts';

/** What the faults of a service have counted. */
export interface FaultCounts {
  readonly datagram: Record<DatagramFault, number>;
  readonly stream: Record<StreamFault, number>;
}

/** Connections have the sequences below. */
const firstListenerSequence = 2 ** 31;

/** The faults of one service in this process: their rules, their counters, and what they delay. */
export class ServiceFaults {
  /** Shared by all services of the process. */
  readonly queue: DelayQueue;
  /** Outlives these faults: what earlier ones delay counts, too. */
  readonly budget: DelayedBudget;
  readonly counts: FaultCounts;
  readonly #rules: FaultRules;
  #listeners = 0;
  #connections = 0;

  constructor(rules: FaultRules, queue: DelayQueue, budget: DelayedBudget, counts: FaultCounts) {
    this.#rules = rules;
    this.queue = queue;
    this.budget = budget;
    this.counts = counts;
  }

  /** Returns the faults of another UDP listener. */
  forListener(): DatagramFaults {
    const random = new FaultRandom(this.#rules.seed, firstListenerSequence + this.#listeners++);
    return new DatagramFaults(this.#rules, this.counts.datagram, random.next);
  }

  /** Returns the faults of another connection. Each has its own sequence, so no client changes those of the next. */
  forConnection(): StreamFaults {
    const random = new FaultRandom(this.#rules.seed, this.#connections++ % firstListenerSequence);
    return new StreamFaults(this.#rules, this.counts.stream, random.next);
  }
}
