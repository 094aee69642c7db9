import type { HostAddress } from '../dial/resolve-host.ts';

/** Where the load goes. */
export interface LoadPeer {
  readonly address: HostAddress;
  readonly port: number;
}

/**
 * One of the connections, or sockets, that carry the load: it has at most one request under way. It is opened first,
 * and after each failure again; what it tells its owner comes through `LaneEvents`.
 */
export interface Lane {
  /** Gets ready for a request, then tells `ready` or `failed`. */
  open(): void;
  /** Begins the next request. A lane that flows does so once, and goes on until it is closed. */
  request(): void;
  /** Ends what is under way, at once and silently. It may be opened again. */
  close(): void;
}

/** What a lane tells. After `failed` it tells nothing until it is opened again. */
export interface LaneEvents {
  ready(): void;
  /** The request under way is done. */
  answered(): void;
  /** Bytes of payload that went out, and that came in. */
  moved(sentBytes: number, receivedBytes: number): void;
  /** `kind` says in few words what went wrong, to count by. */
  failed(kind: string): void;
}

/** Makes the lane with this number. */
export type LaneFactory = (index: number, events: LaneEvents) => Lane;

/** The kinds of failure that are no errors of the system. */
export const laneFailures = {
  /** The peer finished before the answer was complete. */
  closed: 'closed without an answer',
  timeout: 'timeout',
  /** The same over UDP, where nobody can tell what was lost and what is late. */
  lost: 'lost',
  wrong: 'wrong content',
} as const;

/** So many payloads there are. */
export const payloadCount = 256;

/**
 * Payloads of `size` bytes, of which no two are equal at any byte: what comes back for another request, or on another
 * connection, is told apart. All share one ring of the byte values and never change, so they may stay queued anywhere.
 */
export function makePayloads(size: number): readonly Buffer[] {
  const ring = Buffer.from(Uint8Array.from({ length: size + payloadCount }, (_byte, index) => index % payloadCount));
  return Array.from({ length: payloadCount }, (_payload, index) => ring.subarray(index, index + size));
}

/**
 * Whether an answer of so many bytes can be one of the service: time gives 4, or 8 on some servers; the others
 * anything.
 */
export function isAnswerLength(service: string, length: number): boolean {
  return service === 'time' ? length === 4 || length === 8 : length > 0;
}
