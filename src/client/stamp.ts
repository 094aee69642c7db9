import type { ClockReading } from '../clock/clock-status.ts';
import type { Endpoint } from './dial/connection.ts';
import { DatagramSocket } from './dial/datagram-socket.ts';
import { firstToTake } from './dial/first-to-take.ts';
import { resolveHost } from './dial/resolve-host.ts';
import { parseTarget } from './dial/target.ts';
import { foreverMs } from './dial/wait.ts';
import { readClock, readWallClockUs } from '../kernel/system-clock.ts';
import type { LatencySummary } from './latency.ts';
import type { OneWaySummary } from './one-way-delay.ts';
import type { OneWayLoss } from './one-way-loss.ts';
import { assertWithin, type ClientOptions, largestDatagramBytes, withDefaults } from './options.ts';
import type { Outcome } from '../outcomes.ts';
import { type ReflectorMode, ReflectorModeProbe } from './reflector-mode.ts';
import type { RoundTripSummary } from './round-trips.ts';
import { stampBaseBytes, stampBytes } from './stamp-packet.ts';
import { StampRun } from './stamp-run.ts';

export interface StampOptions extends ClientOptions {
  /** Number of requests, or 0 to continue until the signal aborts. Default 0. */
  readonly count?: number | undefined;
  /** Milliseconds from the start of one request to the next. Default 1000. */
  readonly intervalMs?: number | undefined;
  /** Bytes of each request: 44 to 65507. Class of Service (RFC 8972) takes part from 52 on. Default 52. */
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
  /** The round trip without the time in the reflector: (T4 − T1) − (T3 − T2). */
  readonly rttMs: number;
  /** The time in the reflector: T3 − T2. */
  readonly reflectorMs: number;
  /** T2 − T1. Undefined unless both clocks are synchronized. */
  readonly forwardMs: number | undefined;
  /** T4 − T3. Undefined unless both clocks are synchronized. */
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
  | { readonly kind: 'sent'; readonly sequence: number }
  | StampReplyEvent
  /** What came is not a reply to a request of this run. */
  | { readonly kind: 'wrong'; readonly bytes: number }
  /** ICMP reported that a request did not arrive. The run continues, because the peer has answered before. */
  | { readonly kind: 'refused'; readonly message: string };

/** What a clock says of itself. */
export interface StampClock {
  readonly isSynchronized: boolean;
  readonly errorMs: number;
}

export interface StampResult extends RoundTripSummary {
  readonly peer: Endpoint;
  readonly sizeBytes: number;
  readonly elapsedMs: number;
  /** The time in the reflector. Undefined if nothing was received. `times` does not include it. */
  readonly reflectorTimes: LatencySummary | undefined;
  /** Delays to and from the reflector. Undefined if the clocks were never synchronized both. */
  readonly forward: OneWaySummary | undefined;
  readonly backward: OneWaySummary | undefined;
  /** How wrong these may be, at worst. */
  readonly oneWayErrorMs: number | undefined;
  /** RFC 3550 section 6.4.1. Clocks that differ do not falsify it. Undefined with fewer than two replies. */
  readonly jitter:
    | { readonly roundTripMs: number; readonly forwardMs: number; readonly backwardMs: number }
    | undefined;
  /** Undefined if that could not be found out. */
  readonly reflectorMode: ReflectorMode | undefined;
  /** Undefined unless the reflector counts: then only the sum is known, `lost`. */
  readonly oneWayLoss: OneWayLoss | undefined;
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

const systemWallClock: WallClock = {
  readUs: () => readWallClockUs() ?? Date.now() * 1000,
  read: readClock,
};

/**
 * Sends test packets to a STAMP or TWAMP Light reflector (RFC 8762, RFC 5357 appendix I), without authentication, and
 * measures delay, jitter and loss. After the last request it waits one timeout for late replies. When the signal
 * aborts, it waits only twice the longest round trip so far for the reply to the last request. Throws
 * `ARGUMENT_INVALID`, and `HOST_NOT_FOUND`, `CONNECT_FAILED` or `INTERRUPTED` if there is nothing to report.
 */
export async function stamp(
  host: string,
  options: StampOptions = {},
  wallClock: WallClock = systemWallClock,
): Promise<StampResult> {
  const { count = 0, sizeBytes = stampBytes, intervalMs = 1000, random = Math.random } = options;
  const settings = { ...withDefaults(options), count, sizeBytes, intervalMs };
  assertWithin('the count', count, 0, 2 ** 32);
  assertWithin('the interval in milliseconds', intervalMs, 1, foreverMs);
  assertWithin('the size of a request', sizeBytes, stampBaseBytes, largestDatagramBytes);
  const target = parseTarget(host, 'udp', 'stamp');
  const addresses = await resolveHost(target.host, settings.family, settings);
  return firstToTake(
    addresses,
    async (address) => {
      // 0 would be none (RFC 8972 section 3).
      const session = 1 + Math.floor(random() * 65_534);
      const run = new StampRun({ address: address.address, port: target.port }, session, settings, wallClock);
      const handlers = {
        wantsArrivals: true,
        datagram: run.take.bind(run),
        failed: run.refused.bind(run),
      };
      const socket = await DatagramSocket.open(address, target.port, handlers, settings.pathControls);
      const probe = await ReflectorModeProbe.start(address, target.port, { ...settings, session: session + 1 });
      try {
        settings.connected?.(socket.peer);
        await run.start(async (packet) => socket.send(packet));
        return run.result(probe.mode);
      } finally {
        probe.close();
        socket.close();
      }
    },
    settings.attempts,
  );
}
