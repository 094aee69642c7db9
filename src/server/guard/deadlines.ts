import type { StreamLimits } from './limits.ts';

/** A deadline that a connection can miss. */
export type Deadline = 'idle' | 'stalled' | 'lifetime' | 'linger';

type Timeouts = Pick<StreamLimits, 'idleTimeoutMs' | 'stallTimeoutMs' | 'maxLifetimeMs' | 'lingerTimeoutMs'>;

const shortestPeriodMs = 10;
const longestPeriodMs = 1000;

/**
 * The deadlines of one connection, looked at by a sweep over all of them, so that neither a timer nor a clock is on the
 * hot path. What happened between two looks counts as at the later one: no deadline passes early, each at most two
 * sweep periods late. Times are monotonic milliseconds.
 */
export class Deadlines {
  readonly #timeouts: Timeouts;
  readonly #startedMs: number;
  #activeMs: number;
  /** Infinity: the client is not behind. */
  #behindSinceMs = Infinity;
  /** Infinity: our side has not finished. */
  #finishedMs = Infinity;
  #received = 0;
  #sent = 0;

  constructor(limits: Timeouts, nowMs: number) {
    this.#timeouts = limits;
    this.#startedMs = nowMs;
    this.#activeMs = nowMs;
  }

  /** When the client last sent or took something, as far as was looked. */
  get activeMs(): number {
    return this.#activeMs;
  }

  /** Our side is finished, the FIN flushed: from now only the linger counts. Later calls change nothing. */
  finished(nowMs: number): void {
    if (this.#finishedMs === Infinity) this.#finishedMs = nowMs;
  }

  /**
   * The deadline that has passed, if one has; of several the lifetime goes before stalled, stalled before idle.
   * `received` and `sent`: bytes that the client has sent and taken so far; `pending`: bytes that we still hold for it.
   * What leaves `pending` must show in `sent`.
   */
  passed(nowMs: number, received: number, sent: number, pending: number): Deadline | undefined {
    const { idleTimeoutMs, stallTimeoutMs, maxLifetimeMs, lingerTimeoutMs } = this.#timeouts;
    if (this.#finishedMs !== Infinity) return nowMs - this.#finishedMs >= lingerTimeoutMs ? 'linger' : undefined;

    const tookSome = sent !== this.#sent;
    if (tookSome || received !== this.#received) this.#activeMs = nowMs;
    if (pending === 0) this.#behindSinceMs = Infinity;
    else if (tookSome || this.#behindSinceMs === Infinity) this.#behindSinceMs = nowMs;
    this.#received = received;
    this.#sent = sent;

    if (nowMs - this.#startedMs >= maxLifetimeMs) return 'lifetime';
    if (nowMs - this.#behindSinceMs >= stallTimeoutMs) return 'stalled';
    if (nowMs - this.#activeMs >= idleTimeoutMs) return 'idle';
    return undefined;
  }
}

/** How often to look, in milliseconds: a quarter of the shortest timeout, at least 10, at most 1000. */
export function sweepPeriodMs(limits: Timeouts): number {
  const { idleTimeoutMs, stallTimeoutMs, maxLifetimeMs, lingerTimeoutMs } = limits;
  const shortestMs = Math.min(idleTimeoutMs, stallTimeoutMs, maxLifetimeMs, lingerTimeoutMs);
  return Math.min(Math.max(shortestMs / 4, shortestPeriodMs), longestPeriodMs);
}
