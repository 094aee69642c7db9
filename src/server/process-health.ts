import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import type { Clock } from '../clock/clock.ts';

/** The health of one process. */
export interface ProcessHealth {
  /** Maximum event loop delay in the last second or since the last query: how long a client may have waited. */
  readonly lagMs: number;
  readonly residentBytes: number;
  readonly heapBytes: number;
  /** CPU time since it started, of all its threads. Earlier versions do not say. */
  readonly cpuMs?: number | undefined;
  /** The part of it in the kernel. Earlier versions do not say. */
  readonly cpuSystemMs?: number | undefined;
  /** How long ago it started. Earlier versions do not say. */
  readonly upMs?: number | undefined;
}

/** The health of a process of this version. */
export type MeasuredHealth = ProcessHealth & {
  readonly cpuMs: number;
  readonly cpuSystemMs: number;
  readonly upMs: number;
};

/** CPU time. Neither part ever decreases. */
export interface CpuTime {
  readonly userMs: number;
  readonly systemMs: number;
}

/** Reads the CPU time of this process. */
export function readCpuTime(): CpuTime {
  const { user, system } = process.cpuUsage();
  return { userMs: Math.round(user / 1000), systemMs: Math.round(system / 1000) };
}

/** Returns the CPU time that a process has reported. A compromised worker may report anything. */
export function cpuTimeOf({ cpuMs = 0, cpuSystemMs = 0 }: ProcessHealth): CpuTime {
  return { userMs: Math.max(0, cpuMs - cpuSystemMs), systemMs: cpuSystemMs };
}

export function addCpuTimes(one: CpuTime, other: CpuTime): CpuTime {
  return { userMs: one.userMs + other.userMs, systemMs: one.systemMs + other.systemMs };
}

/** Milliseconds between samples of the event loop; a timer fires this often, even when idle. */
const resolutionMs = 50;

/** Queries within this time get the same value, so that a probe does not reset it for the next one. */
const sameFigureMs = 500;

/** Measures its own process. */
export class HealthMeter {
  readonly #delay: IntervalHistogram = monitorEventLoopDelay({ resolution: resolutionMs });
  readonly #clock: Clock;
  #takenMs = Number.NEGATIVE_INFINITY;
  #lagMs = 0;

  #memory = { rss: 0, heapUsed: 0 };

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#delay.enable();
  }

  take(): MeasuredHealth {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#takenMs >= sameFigureMs) {
      // The histogram records nanoseconds including the resolution. When empty, its maximum is 0.
      this.#lagMs = Math.max(0, this.#delay.max / 1e6 - resolutionMs);
      this.#delay.reset();
      this.#takenMs = nowMs;
    }
    try {
      this.#memory = process.memoryUsage();
    } catch {
      // It opens a file, and there may be no descriptor left.
    }
    const { rss, heapUsed } = this.#memory;
    const { userMs, systemMs } = readCpuTime();
    return {
      lagMs: this.#lagMs,
      residentBytes: rss,
      heapBytes: heapUsed,
      cpuMs: userMs + systemMs,
      cpuSystemMs: systemMs,
      upMs: Math.round(process.uptime() * 1000),
    };
  }
}
