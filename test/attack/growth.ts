/** Whether a process that does the same over and over grows by it. Pure. */

/** The process between two slices of requests, once its clients are gone. */
export interface Rest {
  /** Requests made so far. */
  readonly requests: number;
  /** Heap, and what it holds outside, after garbage collections. */
  readonly heldBytes: number;
  readonly residentBytes: number;
  readonly descriptors: number;
}

export interface Growth {
  /** Heap and external memory, from the end of the warm-up to the end of the last slice. */
  readonly heldBytes: number;
  /**
   * The median of the growth a request between any two rests after the warm-up (Theil and Sen): a rest or two out of
   * line do not move it.
   */
  readonly heldBytesPerRequest: number;
  /** After the first slice, and after the last. */
  readonly descriptors: readonly [first: number, last: number];
  /** Resident memory, the same. */
  readonly residentBytes: readonly [first: number, last: number];
}

/** The requests of each kind are made in so many slices: the process is looked at between them. */
export const slices = 10;

/** In the first ones the compiler and the heap settle. */
const warmUpSlices = 2;

/** How the process grew. `rests`: before the first slice, and after each. */
export function growthOf(rests: readonly Rest[]): Growth {
  const first = rests[1];
  const warm = rests.slice(warmUpSlices);
  const [start, last] = [warm[0], warm.at(-1)];
  if (first === undefined || start === undefined || last === undefined || start === last)
    throw new Error(`${rests.length} rests are too few to see a growth`);
  const slopes = warm.flatMap((one, index) => warm.slice(index + 1).map((later) => slopeBetween(one, later)));
  return {
    heldBytes: last.heldBytes - start.heldBytes,
    heldBytesPerRequest: median(slopes),
    descriptors: [first.descriptors, last.descriptors],
    residentBytes: [first.residentBytes, last.residentBytes],
  };
}

function slopeBetween(one: Rest, later: Rest): number {
  return (later.heldBytes - one.heldBytes) / (later.requests - one.requests);
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const [low = 0, high = 0] = sorted.length % 2 === 1 ? [sorted[middle], sorted[middle]] : sorted.slice(middle - 1);
  return (low + high) / 2;
}
