import { Latency, type LatencySummary } from './latency.ts';

/** What became of the requests. */
export interface RoundTripSummary {
  readonly sent: number;
  /** Requests that were answered, each counted once. */
  readonly received: number;
  readonly lost: number;
  /** From 0 to 1; 0 where nothing was sent. */
  readonly lossRatio: number;
  /** Answers beyond the first to the same request. */
  readonly duplicates: number;
  /** First answers that came after the answer to a later request. */
  readonly reordered: number;
  /** Answers with other bytes than were sent. */
  readonly corrupted: number;
  /** Undefined where nothing was received. */
  readonly times: LatencySummary | undefined;
}

/**
 * Requests whose answers are told apart; older ones are counted and forgotten, or an endless run would fill the memory.
 */
const remembered = 65_536;

/** Keeps account of requests, numbered from 0 one after the other, and of what came back. */
export class RoundTrips {
  readonly #sentAtMs = new Map<number, number>();
  readonly #latency = new Latency();
  readonly #answered = new Set<number>();
  #sent = 0;
  #highest = -1;
  #duplicates = 0;
  #reordered = 0;
  #corrupted = 0;

  /** `atMs` on the monotonic clock. */
  sent(sequence: number, atMs: number): void {
    this.#sent += 1;
    this.#sentAtMs.set(sequence, atMs);
    this.#sentAtMs.delete(sequence - remembered);
    this.#answered.delete(sequence - remembered);
  }

  /**
   * Counts an answer whose bytes are right. Returns its round trip; undefined where no such request was sent lately.
   */
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

  /** Counts an answer whose bytes are wrong: its request counts as lost unless a right one comes, too. */
  corrupted(): void {
    this.#corrupted += 1;
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
