/** Ends what it was returned for; calling it twice is harmless. */
export type Cancel = () => void;

/** Time, as the transports and the supervisor see it. Tests put their own in its place. */
export interface Clock {
  /** Milliseconds on the monotonic clock: limits and deadlines. */
  monotonicMs(): number;
  /** The wall clock: payloads and log lines. */
  now(): Date;
  after(ms: number, task: () => void): Cancel;
  every(ms: number, task: () => void): Cancel;
}

/** The machine's clocks and Node's timers. Its timers do not keep the process alive: open sockets do. */
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
