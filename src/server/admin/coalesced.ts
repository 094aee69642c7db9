import type { Clock } from '../../clock/clock.ts';

/**
 * Shares an answer among all callers that ask while it is being made, or within `maxAgeMs` milliseconds of its start.
 * An error reaches only the callers already waiting for it.
 */
export function coalesced<Value>(make: () => Promise<Value>, maxAgeMs: number, clock: Clock): () => Promise<Value> {
  let latest: Promise<Value> | undefined;
  let beganMs = Number.NEGATIVE_INFINITY;
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
    }
  };
  return async () => {
    if (!isUnderWay && clock.monotonicMs() - beganMs >= maxAgeMs) latest = undefined;
    latest ??= begin();
    return latest;
  };
}
