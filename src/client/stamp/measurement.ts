import type { ClockReading } from '../../clock/clock-status.ts';
import type { Endpoint } from '../dial/connection.ts';
import type { FlowSummary } from '../requests/flows.ts';
import type { LatencySummary } from '../latency.ts';
import type { OneWaySummary } from './one-way-delay.ts';
import type { OneWayLoss } from './one-way-loss.ts';
import type { ClientOptions } from '../options.ts';
import type { Outcome } from '../../outcomes.ts';
import type { ReflectorMode } from './reflector-mode.ts';
import type { RequestEvent } from '../requests/event.ts';
import type { RoundTripSummary } from '../round-trips.ts';

export interface StampOptions extends ClientOptions {
  /** Number of requests, or 0 to continue until the signal aborts. Default 0. */
  readonly count?: number | undefined;
  /** Milliseconds from the start of one request to the next. Default 1000. */
  readonly intervalMs?: number | undefined;
  /** Milliseconds from the first request to the end of the run at the latest. Default: no deadline. */
  readonly deadlineMs?: number | undefined;
  /**
   * Source ports that take turns, 1 to 256: a socket and a session for each. With more than one, the result has a
   * summary of each. If `pathControls` has a source port, it is the first of consecutive ones. Default 1.
   */
  readonly flows?: number | undefined;
  /** Bytes of each request: 44 to 65507, or 65527 over IPv6. From 52 on they have Class of Service. Default 52. */
  readonly sizeBytes?: number | undefined;
  /** Called with each address that is tried. */
  readonly connected?: ((peer: Endpoint) => void) | undefined;
  /** Returns numbers from 0 up to, but not including, 1, for the session identifier. Default `Math.random`. */
  readonly random?: (() => number) | undefined;
  /** Called for each event as it happens. */
  readonly observe?: ((event: StampEvent) => void) | undefined;
}

/** How a packet arrived at the end of its way. Undefined where that end does not tell. */
export interface StampArrival {
  readonly ttl: number | undefined;
  /** The differentiated services code point, 0 to 63. */
  readonly dscp: number | undefined;
  /** Explicit congestion notification, 0 to 3 (RFC 3168). */
  readonly ecn: number | undefined;
}

/** A reply to the request of this number, counted from 0. */
export interface StampReplyEvent {
  readonly kind: 'reply';
  readonly sequence: number;
  readonly bytes: number;
  /** The round trip without the time in the reflector: (T4 − T1) − (T3 − T2), or T4 − T1 if that is undefined. */
  readonly rttMs: number;
  /** The time in the reflector: T3 − T2. Undefined if that is below 0 or longer than the round trip. */
  readonly reflectorMs: number | undefined;
  /** T2 − T1. Undefined unless both clocks are synchronized and `reflectorMs` is known. */
  readonly forwardMs: number | undefined;
  /** T4 − T3. Undefined unless both clocks are synchronized and `reflectorMs` is known. */
  readonly backwardMs: number | undefined;
  /** How wrong the two delays may be: the sum of what both clocks say of themselves. */
  readonly errorMs: number | undefined;
  /** The request at the reflector. */
  readonly forward: StampArrival;
  /** The reply here. */
  readonly backward: StampArrival;
  readonly isDuplicate: boolean;
}

export type StampEvent =
  | RequestEvent
  | StampReplyEvent
  /** What came is not a reply to a request of this run. */
  | { readonly kind: 'wrong'; readonly bytes: number };

/** What a clock says of itself. */
export interface StampClock {
  readonly isSynchronized: boolean;
  readonly errorMs: number;
}

/** RFC 3550 section 6.4.1. Clocks that differ do not falsify it. */
export interface StampJitter {
  readonly roundTripMs: number;
  readonly forwardMs: number;
  readonly backwardMs: number;
}

/** What became of the requests from one source port. */
export interface StampFlowSummary extends FlowSummary {
  /** Undefined unless the reflector counts. */
  readonly oneWayLoss: OneWayLoss | undefined;
  /** Undefined with fewer than two replies with possible times. */
  readonly jitter: StampJitter | undefined;
}

export interface StampResult extends RoundTripSummary {
  readonly peer: Endpoint;
  readonly sizeBytes: number;
  readonly elapsedMs: number;
  /** The time in the reflector. Undefined if no reply had a possible one. `times` does not include it. */
  readonly reflectorTimes: LatencySummary | undefined;
  /** Delays to and from the reflector. Undefined if the clocks were never synchronized both. */
  readonly forward: OneWaySummary | undefined;
  readonly backward: OneWaySummary | undefined;
  /** How wrong these may be, at worst. */
  readonly oneWayErrorMs: number | undefined;
  /** Undefined with fewer than two replies with possible times. Of several flows, the mean. */
  readonly jitter: StampJitter | undefined;
  /** Undefined if that could not be found out. */
  readonly reflectorMode: ReflectorMode | undefined;
  /** Undefined unless the reflector counts: then only the sum is known, `lost`. */
  readonly oneWayLoss: OneWayLoss | undefined;
  /** By source port, if there is more than one. Request N has the flow N modulo their number. */
  readonly flows: readonly StampFlowSummary[] | undefined;
  readonly clocks: {
    readonly local: StampClock;
    /** As its last reply says. Undefined if nothing was received. */
    readonly reflector: StampClock | undefined;
  };
  /** Why the run ended early, unless the signal ended it. */
  readonly problem: string | undefined;
  /** `ok` if there was a correct reply. Otherwise what ended the run, or how the requests ended. */
  readonly outcome: Outcome;
}

/** What only the system knows of its wall clock. */
export interface WallClock {
  /** Microseconds since 1970. */
  readUs(): number;
  /** Undefined if the system tells nothing. */
  read(): ClockReading | undefined;
}
