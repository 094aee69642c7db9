import type { Outcome } from '../../outcomes.ts';
import type { PathControls } from '../dial/path-controls.ts';
import type { HostAddress } from '../dial/resolve-host.ts';

/** The target of the load. */
export interface LoadPeer {
  readonly address: HostAddress;
  readonly port: number;
  readonly pathControls?: PathControls | undefined;
  /** Whether each lane opens again on the port that it had. Default false. */
  readonly keepsPorts?: boolean;
}

/**
 * A connection or socket that carries load, with at most one request in flight. It is opened before the first request
 * and again after each failure. Results are reported through `LaneEvents`.
 */
export interface Lane {
  /** Prepares for a request, then reports `ready` or `failed`. */
  open(): void;
  /** Starts the next request. A flowing lane starts once and continues until it is closed. */
  request(): void;
  /** Aborts immediately, without events. The lane may be opened again. */
  close(): void;
}

/** Events of a lane. After `failed` there are none until it is opened again. */
export interface LaneEvents {
  /** With the source port, if the lane has a socket of its own. */
  ready(sourcePort?: number): void;
  /** The request in flight has been answered. */
  answered(): void;
  /** Payload bytes sent and received. */
  moved(sentBytes: number, receivedBytes: number): void;
  /** `kind` names the failure in a few words, for counting. `cause` is the system error behind it, if there is one. */
  failed(kind: string, cause?: Error): void;
}

/** Creates the lane with this index. */
export type LaneFactory = (index: number, events: LaneEvents) => Lane;

/** Failure kinds that are not system errors. */
export const laneFailures = {
  /** The peer closed before the answer was complete. */
  closed: 'closed without an answer',
  timeout: 'timeout',
  /** No answer over UDP, where lost and late cannot be told apart. */
  lost: 'lost',
  wrong: 'wrong content',
} as const;

/** How a request that failed so has ended. */
export const laneOutcomes: Readonly<Record<string, Outcome>> = {
  [laneFailures.closed]: 'reset',
  [laneFailures.timeout]: 'timeout',
  [laneFailures.lost]: 'timeout',
  [laneFailures.wrong]: 'wrong-answer',
};

/** The number of distinct payloads. */
export const payloadCount = 256;

/**
 * Payloads of `size` bytes, no two equal at any position, so an answer to another request or on another connection is
 * detected. All are views of one ring of byte values and never change, so they can stay queued safely.
 */
export function makePayloads(size: number): readonly Buffer[] {
  const ring = Buffer.from(Uint8Array.from({ length: size + payloadCount }, (_byte, index) => index % payloadCount));
  return Array.from({ length: payloadCount }, (_payload, index) => ring.subarray(index, index + size));
}

/** Whether the service can answer with this many bytes. For time, only 4, or 8 from some servers. */
export function isAnswerLength(service: string, length: number): boolean {
  return service === 'time' ? length === 4 || length === 8 : length > 0;
}
