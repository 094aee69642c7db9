import { Latency, type LatencySummary } from './latency.ts';

/** Totals over all requests. */
export interface RoundTripSummary {
  readonly sent: number;
  /** Requests answered, each counted once. */
  readonly received: number;
  readonly lost: number;
  /** From 0 to 1. 0 if nothing was sent. */
  readonly lossRatio: number;
  /** Repeated answers to the same request. */
  readonly duplicates: number;
  /** First answers that arrived after the answer to a later request. */
  readonly reordered: number;
  /** Answers that differ from what was sent. */
  readonly corrupted: number;
  /** Undefined if nothing was received. */
  readonly times: LatencySummary | undefined;
}

/** Requests whose answers can be matched. Older ones are forgotten, or an endless run would exhaust memory. */
const remembered = 65_536;

/** Matches answers to requests, which are numbered from 0, and counts both. */
export class RoundTrips {
  readonly #sentAtMs = new Map<number, number>();
  readonly #latency = new Latency();
  readonly #answered = new Set<number>();
  #sent = 0;
  #highest = -1;
  #duplicates = 0;
  #reordered = 0;
  #corrupted = 0;

  /** `atMs` is monotonic time. */
  sent(sequence: number, atMs: number): void {
    this.#sent += 1;
    this.#sentAtMs.set(sequence, atMs);
    this.#sentAtMs.delete(sequence - remembered);
    this.#answered.delete(sequence - remembered);
  }

  /** Counts a correct answer. Returns its round trip, or undefined if no such request was sent recently. */
  received(sequence: number, atMs: number): { readonly rttMs: number; readonly isDuplicate: boolean } | undefined {
    const sentAtMs = this.#sentAtMs.get(sequence);
    if (sentAtMs === undefined) return undefined;
    const rttMs = Math.max(0, atMs - sentAtMs);
    if (this.#answered.has(sequence)) {
      this.#duplicates += 1;
      return { rttMs, isDuplicate: true };
    }
    this.#answered.add(sequence);
    if (sequence < this.#highest) this.#reordered += 1;
    else this.#highest = sequence;
    this.#latency.record(rttMs);
    return { rttMs, isDuplicate: false };
  }

  /** Counts a corrupted answer. Its request counts as lost unless a correct answer also arrives. */
  corrupted(): void {
    this.#corrupted += 1;
  }

  /** Undefined if no such request was sent recently. */
  sentAtMs(sequence: number): number | undefined {
    return this.#sentAtMs.get(sequence);
  }

  hasAnswer(sequence: number): boolean {
    return this.#answered.has(sequence);
  }

  summary(): RoundTripSummary {
    const sent = this.#sent;
    const received = this.#latency.count;
    return {
      sent,
      received,
      lost: sent - received,
      lossRatio: sent === 0 ? 0 : (sent - received) / sent,
      duplicates: this.#duplicates,
      reordered: this.#reordered,
      corrupted: this.#corrupted,
      times: this.#latency.summary(),
    };
  }
}
