import type { StreamLimits } from './limits.ts';

/** The deadlines of a connection. */
export type Deadline = 'idle' | 'stalled' | 'lifetime' | 'linger';

type Timeouts = Pick<
  StreamLimits,
  'idleTimeoutMs' | 'stallTimeoutMs' | 'minProgressBytes' | 'maxLifetimeMs' | 'lingerTimeoutMs'
>;

const shortestPeriodMs = 10;
const longestPeriodMs = 1000;

/**
 * The deadlines of a connection, checked by a periodic sweep, so the hot path needs neither timers nor clock reads.
 * Activity counts as of the next sweep, so a deadline is never early and at most two sweep periods late. Times are
 * monotonic milliseconds.
 */
export class Deadlines {
  readonly #timeouts: Timeouts;
  readonly #startedMs: number;
  #activeMs: number;
  /** Since when the client has been behind without enough progress. Infinity if it is not behind. */
  #behindSinceMs = Infinity;
  /** What the client had accepted then, and what was written for it by then. */
  #sentThen = 0;
  #writtenThen = 0;
  /** Infinity until our side has finished. */
  #finishedMs = Infinity;
  #received = 0;
  #sent = 0;

  constructor(limits: Timeouts, nowMs: number) {
    this.#timeouts = limits;
    this.#startedMs = nowMs;
    this.#activeMs = nowMs;
  }

  /** When the client last sent or accepted data, as of the last sweep. */
  get activeMs(): number {
    return this.#activeMs;
  }

  /**
   * Our FIN is sent, and the client has what came before it. From now on only the linger timeout applies. Later calls
   * have no effect.
   */
  finished(nowMs: number): void {
    if (this.#finishedMs === Infinity) this.#finishedMs = nowMs;
  }

  /**
   * Returns the deadline that has passed, if any. Lifetime comes before stalled, and stalled before idle. `received`
   * and `sent` are bytes that the client has sent and accepted so far, `pending` the bytes still buffered for it, here
   * or in the kernel. Bytes that leave `pending` must be added to `sent`.
   */
  passed(nowMs: number, received: number, sent: number, pending: number): Deadline | undefined {
    const { idleTimeoutMs, stallTimeoutMs, minProgressBytes, maxLifetimeMs, lingerTimeoutMs } = this.#timeouts;
    if (this.#finishedMs !== Infinity) return nowMs - this.#finishedMs >= lingerTimeoutMs ? 'linger' : undefined;

    if (sent !== this.#sent || received !== this.#received) this.#activeMs = nowMs;
    if (pending === 0) this.#behindSinceMs = Infinity;
    // All that was waiting then has been taken: a busy client is never seen with nothing on the way.
    else if (
      this.#behindSinceMs === Infinity ||
      sent >= this.#writtenThen ||
      sent - this.#sentThen >= minProgressBytes
    ) {
      this.#behindSinceMs = nowMs;
      this.#sentThen = sent;
      this.#writtenThen = sent + pending;
    }
    this.#received = received;
    this.#sent = sent;

    if (nowMs - this.#startedMs >= maxLifetimeMs) return 'lifetime';
    if (nowMs - this.#behindSinceMs >= stallTimeoutMs) return 'stalled';
    if (nowMs - this.#activeMs >= idleTimeoutMs) return 'idle';
    return undefined;
  }
}

/** The sweep period in milliseconds: a quarter of the shortest timeout, between 10 and 1000. */
export function sweepPeriodMs(timeouts: Omit<Timeouts, 'minProgressBytes'>): number {
  const { idleTimeoutMs, stallTimeoutMs, maxLifetimeMs, lingerTimeoutMs } = timeouts;
  const shortestMs = Math.min(idleTimeoutMs, stallTimeoutMs, maxLifetimeMs, lingerTimeoutMs);
  return Math.min(Math.max(shortestMs / 4, shortestPeriodMs), longestPeriodMs);
}
