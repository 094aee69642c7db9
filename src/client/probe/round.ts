import type { Clock } from '../../clock/clock.ts';
import type { ConnectOptions } from '../dial/connect.ts';
import { systemLookup } from '../dial/resolve-host.ts';
import { comesWithin, foreverMs } from '../dial/wait.ts';
import { type ProbeFinding, probeOnce, type ProbeScript } from './attempt.ts';
import { sharedLookups } from './shared-lookups.ts';
import type { ProbeTarget } from './targets.ts';

export interface RoundOptions extends ConnectOptions {
  readonly clock: Clock;
  /** The most probes in flight. */
  readonly parallel: number;
  readonly pace: Pace;
}

/** Says when the next probe may start. */
export class Pace {
  readonly #stepMs: number;
  #dueMs = -Infinity;

  /** Starts this many probes per second at most: `Infinity` for no limit. */
  constructor(perSecond: number) {
    this.#stepMs = 1000 / perSecond;
  }

  /** Milliseconds until the next start. At 0 or less it may start now. */
  waitMs(nowMs: number): number {
    return this.#dueMs - nowMs;
  }

  started(nowMs: number): void {
    this.#dueMs = Math.max(this.#dueMs, nowMs - mostBehindMs) + this.#stepMs;
  }
}

/** Timers are late by a few milliseconds, which later starts make up for. */
const mostBehindMs = 20;

/** A target, by its place in the list, and what a probe of it has found. */
export type Found = readonly [index: number, finding: ProbeFinding];

/** The probes in flight. */
class Flight {
  readonly #found: Found[] = [];
  #failure: unknown;
  #underWay = 0;
  #wake: (() => void) | undefined;

  get underWay(): number {
    return this.#underWay;
  }

  start(index: number, attempt: Promise<ProbeFinding>): void {
    this.#underWay += 1;
    void attempt
      .then(
        (finding) => void this.#found.push([index, finding]),
        (error: unknown) => {
          this.#failure ??= error;
        },
      )
      .finally(() => {
        this.#underWay -= 1;
        this.#wake?.();
      });
  }

  /** What was found since the last time. Throws what a probe has thrown. */
  take(): readonly Found[] {
    if (this.#found.length === 0 && this.#failure !== undefined) throw this.#failure;
    return this.#found.splice(0);
  }

  /** Waits for the end of a probe, at most this long. Throws `INTERRUPTED`. */
  async wait(options: RoundOptions, waitMs: number): Promise<void> {
    await comesWithin(options, waitMs, (resolve) => {
      this.#wake = resolve;
      if (this.#found.length > 0 || this.#failure !== undefined) resolve();
      return () => {
        this.#wake = undefined;
      };
    });
  }
}

/**
 * Probes each target once and yields the findings as they come. Throws `INTERRUPTED`. Whoever stops taking findings
 * must abort the signal.
 */
export async function* probeRound(
  targets: readonly ProbeTarget[],
  script: ProbeScript,
  options: RoundOptions,
): AsyncGenerator<Found, void> {
  const { clock, parallel, pace, lookup = systemLookup } = options;
  const shared = { ...options, lookup: sharedLookups(lookup) };
  const flight = new Flight();
  for (const [index, target] of targets.entries()) {
    for (;;) {
      yield* flight.take();
      const waitMs = flight.underWay < parallel ? Math.ceil(pace.waitMs(clock.monotonicMs())) : foreverMs;
      if (waitMs <= 0) break;
      await flight.wait(options, waitMs);
    }
    pace.started(clock.monotonicMs());
    flight.start(index, probeOnce(target, script, shared));
  }
  for (;;) {
    const found = flight.take();
    yield* found;
    // More may have come while those were handled.
    if (found.length > 0) continue;
    if (flight.underWay === 0) return;
    await flight.wait(options, foreverMs);
  }
}
