import type { SharedCounts } from './shared-counts.ts';
import type { SharedRoom } from './shared-room.ts';
import type { SourceHash } from './source-hash.ts';

/** What several processes share to enforce the limits of one service together. */
export interface SharedLimits {
  readonly counts: SharedCounts;
  readonly room: SharedRoom;
  /** The memory of the `TokenTable` for connections, of that for datagrams, and of their `TokenBucket`. */
  readonly connectionRates: Float64Array;
  readonly datagramRates: Float64Array;
  readonly datagramServiceRate: Float64Array;
  /** The same in all processes. */
  readonly hash: SourceHash;
  /** Monotonic milliseconds that are the same in all processes, unlike those of their clocks. For the rates. */
  readonly nowMs: () => number;
}
