import { type Cancel, type Clock, systemClock } from '../../clock/clock.ts';
import { SmallservdError } from '../../errors.ts';
import { formatDuration } from '../../units.ts';

/** How long a client waits for one thing, and who can end the wait before. */
export interface Patience {
  /** For each of: the name, the connection, the answer. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  readonly clock?: Clock | undefined;
}

export const defaultTimeoutMs = 5000;

/** A deadline that is none: what Node's timers hold at most. */
export const foreverMs: number = 2 ** 31 - 1;

/**
 * Waits for what `start` begins and settles. Rejects with `late` after the timeout and with `INTERRUPTED` when the
 * signal aborts; what `start` returned is called once in the end, however it ends.
 */
export async function waitFor<Value>(
  { timeoutMs, signal, clock = systemClock }: Patience,
  late: (waited: string) => Error,
  start: (resolve: (value: Value) => void, reject: (error: Error) => void) => Cancel,
): Promise<Value> {
  throwIfInterrupted(signal);
  const endings: Cancel[] = [];
  // The clock's timers keep no process alive.
  const alive = setInterval(() => {}, 1 << 30);
  endings.push(() => clearInterval(alive));
  try {
    return await new Promise<Value>((resolve, reject) => {
      const interrupt = (): void => reject(interruption());
      signal?.addEventListener('abort', interrupt);
      endings.push(() => signal?.removeEventListener('abort', interrupt));
      endings.push(clock.after(timeoutMs, () => reject(late(formatDuration(timeoutMs)))));
      // Last, and by itself: what has begun before must end even where this throws.
      endings.push(start(resolve, reject));
    });
  } finally {
    for (const end of endings) end();
  }
}

/**
 * Waits for what has a right to take its time: a person who types, a reader of our output. Throws `INTERRUPTED` when
 * the signal aborts.
 */
export async function untilInterrupted<Value>(
  promise: Promise<Value>,
  signal: AbortSignal | undefined,
): Promise<Value> {
  // Where nobody waits for it any more, it may fail unheard.
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

/** Throws `INTERRUPTED` where the signal has aborted already. */
export function throwIfInterrupted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw interruption();
}

function interruption(): SmallservdError {
  return new SmallservdError('INTERRUPTED', 'interrupted');
}
