import type { Clock } from '../../clock/clock.ts';

/** How long an answer of the supervisor is reused, to spare it. */
export const maxAgeMs = 20;

/** However slow it was to make, an answer is not reused for longer. */
const longestMs = 1000;

/**
 * Shares an answer among all callers that ask while it is being made, or within `reuseMs` milliseconds of its start,
 * longer if it was slow to make: callers cannot keep us busy for more than a tenth of the time. An error reaches only
 * the callers already waiting for it.
 */
export function coalesced<Value>(make: () => Promise<Value>, reuseMs: number, clock: Clock): () => Promise<Value> {
  let latest: Promise<Value> | undefined;
  let beganMs = Number.NEGATIVE_INFINITY;
  let tookMs = 0;
  let isUnderWay = false;
  const begin = async (): Promise<Value> => {
    beganMs = clock.monotonicMs();
    isUnderWay = true;
    try {
      return await make();
    } catch (error) {
      latest = undefined;
      throw error;
    } finally {
      isUnderWay = false;
      tookMs = clock.monotonicMs() - beganMs;
    }
  };
  return async () => {
    const ageMs = clock.monotonicMs() - beganMs;
    if (!isUnderWay && ageMs >= Math.max(reuseMs, Math.min(10 * tookMs, longestMs))) latest = undefined;
    latest ??= begin();
    return latest;
  };
}
