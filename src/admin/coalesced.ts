import { type Clock, systemClock } from '../clock/clock.ts';

/**
 * Those who ask while an answer is being made, or waits to be made, share it: however many ask, one is being made at a
 * time, and one begins every `apartMs` milliseconds at most.
 */
export function coalesced<Value>(
  make: () => Promise<Value>,
  apartMs = 0,
  clock: Clock = systemClock,
): () => Promise<Value> {
  let underWay: Promise<Value> | undefined;
  let lastMs = Number.NEGATIVE_INFINITY;
  const begin = async (): Promise<Value> => {
    const waitMs = lastMs + apartMs - clock.monotonicMs();
    if (waitMs > 0)
      await new Promise<void>((resolve) => {
        clock.after(waitMs, resolve);
      });
    lastMs = clock.monotonicMs();
    return make();
  };
  return async () => {
    underWay ??= begin().finally(() => {
      underWay = undefined;
    });
    return underWay;
  };
}
