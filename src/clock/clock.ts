/** Stops what returned it. Repeated calls are harmless. */
export type Cancel = () => void;

/** Time for the transports and the supervisor. Tests substitute their own. */
export interface Clock {
  /** Monotonic milliseconds, for limits and deadlines. */
  monotonicMs(): number;
  /** The wall clock, for payloads and log lines. */
  now(): Date;
  after(ms: number, task: () => void): Cancel;
  every(ms: number, task: () => void): Cancel;
}

/** The system clocks and Node's timers. The timers do not keep the process alive, but open sockets do. */
export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  now: () => new Date(),
  after(ms, task) {
    const timer = setTimeout(task, ms).unref();
    return () => clearTimeout(timer);
  },
  every(ms, task) {
    const timer = setInterval(task, ms).unref();
    return () => clearInterval(timer);
  },
};

/** Resolves after a time. */
export async function pause(clock: Clock, ms: number): Promise<void> {
  await new Promise<void>((resolve) => void clock.after(ms, resolve));
}
