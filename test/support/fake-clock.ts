import type { Cancel, Clock } from '../../src/clock/clock.ts';

interface Timer {
  dueMs: number;
  readonly periodMs: number | undefined;
  readonly task: () => void;
}

/** Time in the test's hands: timers run inside `advance`, in the order in which they are due. */
export class FakeClock implements Clock {
  nowMs = 0;
  readonly #timers = new Set<Timer>();

  monotonicMs(): number {
    return this.nowMs;
  }

  now(): Date {
    return new Date(Date.UTC(2026, 10, 22, 11, 7, 12) + this.nowMs);
  }

  after(ms: number, task: () => void): Cancel {
    return this.#add({ dueMs: this.nowMs + ms, periodMs: undefined, task });
  }

  every(ms: number, task: () => void): Cancel {
    return this.#add({ dueMs: this.nowMs + ms, periodMs: ms, task });
  }

  /** Timers that are waiting. */
  get waiting(): number {
    return this.#timers.size;
  }

  advance(ms: number): void {
    const endMs = this.nowMs + ms;
    for (;;) {
      const next = [...this.#timers].sort((one, other) => one.dueMs - other.dueMs)[0];
      if (next === undefined || next.dueMs > endMs) break;
      this.nowMs = next.dueMs;
      if (next.periodMs === undefined) this.#timers.delete(next);
      else next.dueMs += next.periodMs;
      next.task();
    }
    this.nowMs = endMs;
  }

  /** Time in which the process is stopped: what was due meanwhile runs once, late, as Node's timers do. */
  pause(ms: number): void {
    this.nowMs += ms;
    for (const timer of this.#timers) timer.dueMs = Math.max(timer.dueMs, this.nowMs);
    this.advance(0);
  }

  #add(timer: Timer): Cancel {
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }
}

/** Lets time pass in steps, so that what waits repeatedly gets on. */
export async function pass(clock: FakeClock, ms: number, stepMs: number = 250): Promise<void> {
  await new Promise(setImmediate);
  for (let passedMs = 0; passedMs < ms; passedMs += stepMs) {
    clock.advance(stepMs);
    await new Promise(setImmediate);
  }
}
