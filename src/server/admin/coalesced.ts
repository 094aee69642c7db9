import type { Clock } from '../../clock/clock.ts';

/**
 * Those who ask while an answer is being made share it, and so do those who ask within `maxAgeMs` milliseconds of its
 * beginning: however many ask, few are made. An error is nobody's but theirs who wait for it.
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
