import type { CutFault, DelayFault, Distribution, TimedFault } from './fault-rules.ts';

/** Returns numbers from 0 up to, but not including, 1. */
export type Random = () => number;

/** A longer delay would overflow the timers of the platform. */
const longestDelayMs = 24 * 3_600_000;

/** Shape of the Pareto distribution: the smallest whole number with a finite variance. */
const paretoShape = 3;
const paretoMean = paretoShape / (paretoShape - 1);
const paretoDeviation = Math.sqrt(paretoShape / ((paretoShape - 1) ** 2 * (paretoShape - 2)));

/** Whether something of this probability happens. Draws nothing if it never does. */
export function happens(probability: number, random: Random): boolean {
  return probability > 0 && random() < probability;
}

/** Draws a delay in milliseconds: 0 if this one is not delayed, or if the jitter takes all of it. */
export function drawDelayMs({ probability, timeMs, jitterMs, distribution }: DelayFault, random: Random): number {
  if (timeMs === null || !happens(probability, random)) return 0;
  if (jitterMs === 0) return timeMs;
  const delayMs = timeMs + jitterMs * drawDeviation(distribution, random);
  return Math.min(Math.max(0, delayMs), longestDelayMs);
}

/** Draws the time of a fault in milliseconds, or 0 if it does not happen. */
export function drawTimeMs({ probability, timeMs }: TimedFault, random: Random): number {
  return timeMs !== null && happens(probability, random) ? timeMs : 0;
}

/** Returns the fault if it happens. */
export function drawCut(fault: CutFault, random: Random): CutFault | undefined {
  const isOn = fault.bytes !== null || fault.timeMs !== null;
  return isOn && happens(fault.probability, random) ? fault : undefined;
}

/** Returns a copy with one bit flipped, or the same bytes if there are none. */
export function flipBit(bytes: Uint8Array, random: Random): Uint8Array {
  if (bytes.length === 0) return bytes;
  const bit = Math.floor(random() * bytes.length * 8);
  const copy = Uint8Array.from(bytes);
  copy[bit >>> 3]! ^= 1 << (bit & 7);
  return copy;
}

/** A random number with mean 0. Its standard deviation is 1, or if it is uniform, it lies between -1 and 1. */
function drawDeviation(distribution: Distribution, random: Random): number {
  switch (distribution) {
    case 'uniform':
      return 2 * random() - 1;
    case 'normal':
      // Box and Muller. The logarithm of 0 is infinite.
      return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    case 'pareto':
      return ((1 - random()) ** (-1 / paretoShape) - paretoMean) / paretoDeviation;
  }
}
