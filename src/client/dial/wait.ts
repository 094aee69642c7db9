import { type Cancel, type Clock, systemClock } from '../../clock/clock.ts';
import { SmallservdError } from '../../errors.ts';
import { formatDuration } from '../../units.ts';

/** How long a client waits, and the signal that ends the wait early. */
export interface Patience {
  readonly timeoutMs: number;
  /** Monotonic time from which the timeout counts, for steps that share one. Default: each wait has its own. */
  readonly sinceMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly clock?: Clock | undefined;
}

export const defaultTimeoutMs = 5000;

/** No deadline: the most that Node's timers can hold. */
export const foreverMs: number = 2 ** 31 - 1;

/** Starts the timeout that several steps share, unless it has started. */
export function startTimeout<Options extends Patience>(options: Options): Options & { readonly sinceMs: number } {
  return { ...options, sinceMs: options.sinceMs ?? (options.clock ?? systemClock).monotonicMs() };
}

/** What is left of the timeout, in milliseconds. */
function leftMs({ timeoutMs, sinceMs, clock = systemClock }: Patience): number {
  return sinceMs === undefined ? timeoutMs : Math.max(0, sinceMs + timeoutMs - clock.monotonicMs());
}

/**
 * Waits for the operation that `start` begins to settle. Rejects with `late` after the timeout and with `INTERRUPTED`
 * when the signal aborts. The function that `start` returns is called once at the end, whatever the outcome.
 */
export async function waitFor<Value>(
  patience: Patience,
  late: (waited: string) => Error,
  start: (resolve: (value: Value) => void, reject: (error: Error) => void) => Cancel,
): Promise<Value> {
  const { timeoutMs, signal, clock = systemClock } = patience;
  throwIfInterrupted(signal);
  const endings: Cancel[] = [];
  // The clock's timers are unreferenced and would let the process exit.
  const alive = setInterval(() => {}, 1 << 30);
  endings.push(() => clearInterval(alive));
  try {
    return await new Promise<Value>((resolve, reject) => {
      endings.push(onAbort(signal, () => reject(interruption())));
      endings.push(clock.after(leftMs(patience), () => reject(late(formatDuration(timeoutMs)))));
      // Keep this last and separate: if it throws, everything started above must still be cleaned up.
      endings.push(start(resolve, reject));
    });
  } finally {
    for (const end of endings) end();
  }
}

/** Whether the operation begun by `start` resolves within this time. Otherwise like `waitFor`. */
export async function comesWithin(
  patience: Omit<Patience, 'timeoutMs' | 'sinceMs'>,
  timeoutMs: number,
  start: (resolve: () => void, reject: (error: Error) => void) => Cancel,
): Promise<boolean> {
  const late = new Error('late');
  try {
    await waitFor<void>({ ...patience, timeoutMs, sinceMs: undefined }, () => late, start);
    return true;
  } catch (error) {
    if (error === late) return false;
    throw error;
  }
}

/** Waits this long. Throws `INTERRUPTED`. */
export async function pause(patience: Omit<Patience, 'timeoutMs' | 'sinceMs'>, ms: number): Promise<void> {
  await comesWithin(patience, ms, () => () => {});
}

/** Waits without a timeout, for a person typing or a reader of our output. Throws `INTERRUPTED` on abort. */
export async function untilInterrupted<Value>(
  promise: Promise<Value>,
  signal: AbortSignal | undefined,
): Promise<Value> {
  // After an interruption, nobody handles its failure.
  promise.catch(() => {});
  throwIfInterrupted(signal);
  if (signal === undefined) return promise;
  const over = new AbortController();
  const interrupted = new Promise<never>((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(interruption()), { signal: over.signal });
  });
  try {
    return await Promise.race([promise, interrupted]);
  } finally {
    over.abort();
  }
}

/** Calls the task when the signal aborts. Returns a function that stops listening. */
export function onAbort(signal: AbortSignal | undefined, task: () => void): Cancel {
  signal?.addEventListener('abort', task);
  return () => signal?.removeEventListener('abort', task);
}

/** Throws `INTERRUPTED` if the signal has already aborted. */
export function throwIfInterrupted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw interruption();
}

function interruption(): SmallservdError {
  return new SmallservdError('INTERRUPTED', 'interrupted');
}
