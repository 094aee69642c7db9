import { type IpAddress, isBroadcast, isMulticast, parseIp } from '../address/ip-address.ts';
import type { Cancel } from '../clock/clock.ts';
import { type OpenIcmpSocket, openIcmpSocket, type RawSocket } from './dial/raw-socket.ts';
import { type HostAddress, resolveHost } from './dial/resolve-host.ts';
import { firstWithRoute } from './dial/route.ts';
import { assertZone, parseHost } from './dial/target.ts';
import { foreverMs, onAbort, throwIfInterrupted } from './dial/wait.ts';
import { SmallservdError } from '../errors.ts';
import type { Outcome } from '../outcomes.ts';
import { EchoPayloads } from './echo/payload.ts';
import { decodeIcmp, type EchoReply, encodeEchoRequest, icmpHeaderBytes } from './icmp.ts';
import {
  addressesFor,
  assertWithin,
  type ClientOptions,
  largestDatagramBytes,
  type WithDefaults,
  withDefaults,
} from './options.ts';
import { RoundTrips, type RoundTripSummary } from './round-trips.ts';

export interface PingOptions extends ClientOptions {
  /** Number of echo requests, at least 1. Default: continue until the signal aborts. */
  readonly count?: number | undefined;
  /** Milliseconds from one request to the next. Default 1000. */
  readonly intervalMs?: number | undefined;
  /** Milliseconds from the first request to the end of the run at the latest. Default: no deadline. */
  readonly deadlineMs?: number | undefined;
  /** Data bytes of each request, 0 to 65507, or 65527 over IPv6. Default 56. */
  readonly sizeBytes?: number | undefined;
  /** Time to live (hop limit over IPv6), 1 to 255. Default: the system's. */
  readonly ttl?: number | undefined;
  /** Called for each event as it happens. */
  readonly observe?: ((event: PingEvent) => void) | undefined;
  /** Returns numbers from 0 up to, but not including, 1, for the identifier and the data. Default `Math.random`. */
  readonly random?: (() => number) | undefined;
}

/** `sequence` is the number on the wire. It starts at 1 and wraps from 65535 to 0. */
export type PingEvent =
  | { readonly kind: 'started'; readonly address: string; readonly sizeBytes: number }
  | {
      readonly kind: 'reply';
      readonly sequence: number;
      /** Length of the ICMP message: the data plus 8. */
      readonly bytes: number;
      /** Undefined over IPv6. */
      readonly ttl: number | undefined;
      readonly rttMs: number;
      /** The request had been answered before. */
      readonly isDuplicate: boolean;
      /** It took longer than the timeout, but still counts. */
      readonly isLate: boolean;
    }
  /** A reply with a wrong checksum or different data. `offset` is the first such byte. */
  | { readonly kind: 'corrupted'; readonly sequence: number; readonly offset: number | undefined }
  /** An error about the request from the router or host `from`. Undefined if this machine could not send it. */
  | {
      readonly kind: 'error';
      readonly sequence: number;
      readonly from: string | undefined;
      readonly reason: string;
      readonly outcome: Outcome;
    }
  /** No reply in this time: the timeout, or what was left of it at the deadline. */
  | { readonly kind: 'silence'; readonly sequence: number; readonly waitedMs: number };

/** Number of errors of one kind. All kinds but the first 64 count together, as `other errors`. */
export interface PingErrors {
  /** Undefined if this machine could not send the request, and for `other errors`. */
  readonly from: string | undefined;
  readonly reason: string;
  readonly outcome: Outcome;
  readonly count: number;
}

export interface PingResult extends RoundTripSummary {
  /** The address that was pinged. */
  readonly address: string;
  /** Replies that took longer than the timeout. They are included in `received`. */
  readonly late: number;
  readonly errors: readonly PingErrors[];
  /**
   * `ok` if there was a correct reply. Otherwise that of the first error, `wrong-answer`, `interrupted` if the signal
   * came before any request was late, or `timeout`.
   */
  readonly outcome: Outcome;
  /** Milliseconds from the first request to the end. */
  readonly elapsedMs: number;
}

/**
 * Sends ICMP echo requests (RFC 792, RFC 4443) to the first address of a host that this machine has a route to, and
 * verifies the replies. Ends when all requests are sent and answered or given up, or when the signal aborts, even
 * without any reply. Throws `HOST_NOT_FOUND`, `CONNECT_FAILED` without a route, `ARGUMENT_INVALID` for an option out of
 * range and for a multicast or broadcast address, `RAW_SOCKET_MISSING`, `RAW_SOCKET_NOT_PERMITTED`, and `INTERRUPTED`
 * if the signal aborts before the first request.
 */
export async function ping(
  host: string,
  options: PingOptions = {},
  open: OpenIcmpSocket = openIcmpSocket,
): Promise<PingResult> {
  const { count = Infinity, intervalMs = 1000, sizeBytes = 56, signal } = options;
  assertWithin('the count', options.count ?? 1, 1, Number.MAX_SAFE_INTEGER);
  assertWithin('the interval in milliseconds', intervalMs, 1, foreverMs);
  assertWithin('the size of the data', sizeBytes, 0, largestDatagramBytes.ipv6);
  assertWithin('the deadline in milliseconds', options.deadlineMs ?? 1, 1, foreverMs);
  assertWithin('the time to live', options.ttl ?? 1, 1, 255);
  const { source, sourcePort } = options.pathControls ?? {};
  if (source !== undefined || sourcePort !== undefined)
    throw new SmallservdError('ARGUMENT_INVALID', 'ping cannot choose its source address, and ICMP has no ports');
  const name = parseHost(host);
  assertZone(name, host);
  const settings = { ...withDefaults(options), count, intervalMs, sizeBytes };
  const addresses = await resolveHost(name, settings.family, settings);
  if (addresses.some(isGroup))
    throw new SmallservdError('ARGUMENT_INVALID', `${name} is multicast or broadcast: expected one host`);
  const target = await firstWithRoute(name, addressesFor(sizeBytes, addresses));
  throwIfInterrupted(signal);
  // It ends with the run, and has its outcome.
  settings.attempts?.begin(target.address);
  const run = new PingRun(target, settings, open);
  const stopListening = onAbort(signal, () => run.interrupt());
  try {
    return await run.begin();
  } finally {
    stopListening();
    run.close();
  }
}

/** Anybody on the way may send errors, in any name. */
const mostErrorKinds = 64;

type Settings = WithDefaults<PingOptions> & {
  readonly count: number;
  readonly intervalMs: number;
  readonly sizeBytes: number;
};

/** Requests are counted from 0. Numbers on the wire have 16 bits and start at 1, as in other pings. */
class PingRun {
  readonly #target: HostAddress;
  readonly #ip: IpAddress | undefined;
  readonly #settings: Settings;
  readonly #identifier: number;
  readonly #payloads: EchoPayloads;
  readonly #socket: RawSocket;
  readonly #roundTrips = new RoundTrips();
  /** Requests without a reply or error so far, with the timer that gives them up. */
  readonly #waiting = new Map<number, { readonly sentAtMs: number; readonly giveUp: Cancel }>();
  readonly #errors = new Map<string, PingErrors>();
  /** Requests passed to the socket so far. */
  #next = 0;
  #isLastSent = false;
  #late = 0;
  #isOver = false;
  #beganMs = 0;
  #dueMs = 0;
  #cancelNext: Cancel = () => {};
  #cancelDeadline: Cancel = () => {};
  #resolve: (result: PingResult) => void = () => {};
  #reject: (error: Error) => void = () => {};

  constructor(target: HostAddress, settings: Settings, open: OpenIcmpSocket) {
    const { clock, random = Math.random, sizeBytes, ttl, pathControls } = settings;
    this.#target = target;
    this.#ip = parseIp(target.address);
    this.#settings = settings;
    this.#identifier = Math.floor(random() * 65_536);
    this.#payloads = new EchoPayloads(sizeBytes, random);
    this.#socket = open(
      { ...pathControls, family: target.family, ttl: ttl ?? pathControls?.ttl, clock },
      {
        packet: (bytes, source, atMs) => this.#heard(bytes, source, atMs),
        failed: (error) => this.#reject(error),
      },
    );
  }

  /** Resolves when the run is over. */
  async begin(): Promise<PingResult> {
    this.#beganMs = this.#settings.clock.monotonicMs();
    this.#dueMs = this.#beganMs;
    this.#settings.observe?.({ kind: 'started', address: this.#target.address, sizeBytes: this.#payloads.sizeBytes });
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      const { deadlineMs, clock } = this.#settings;
      if (deadlineMs !== undefined) this.#cancelDeadline = clock.after(deadlineMs, () => this.#expire());
      this.#sendNext();
    });
  }

  /** Ends the run early, with the results so far. */
  interrupt(): void {
    const isEveryRequestWaiting = this.#waiting.size === this.#next;
    this.#stop(isEveryRequestWaiting ? 'interrupted' : 'timeout');
  }

  /** The deadline has passed. */
  #expire(): void {
    const { clock, observe } = this.#settings;
    const nowMs = clock.monotonicMs();
    for (const [request, { sentAtMs }] of this.#waiting)
      observe?.({ kind: 'silence', sequence: onWire(request), waitedMs: nowMs - sentAtMs });
    this.#stop('timeout');
  }

  /** `silence` is the outcome if nothing has come back. */
  #stop(silence: Outcome): void {
    this.close();
    const summary = this.#roundTrips.summary();
    const [error] = this.#errors.values();
    const fault = error?.outcome ?? (summary.corrupted > 0 ? 'wrong-answer' : silence);
    this.#resolve({
      ...summary,
      outcome: summary.received > 0 ? 'ok' : fault,
      address: this.#target.address,
      late: this.#late,
      errors: [...this.#errors.values()],
      elapsedMs: this.#settings.clock.monotonicMs() - this.#beganMs,
    });
  }

  close(): void {
    this.#isOver = true;
    this.#cancelNext();
    this.#cancelDeadline();
    for (const { giveUp } of this.#waiting.values()) giveUp();
    this.#socket.close();
  }

  #sendNext(): void {
    const request = this.#next;
    this.#next += 1;
    const numbers = { identifier: this.#identifier, sequence: onWire(request) };
    const packet = encodeEchoRequest(this.#target.family, { ...numbers, data: this.#payloads.make(request) });
    const { clock, count, intervalMs, timeoutMs, deadlineMs = Infinity } = this.#settings;
    const sentAtMs = clock.monotonicMs();
    const giveUp = clock.after(timeoutMs, () => {
      this.#settings.observe?.({ kind: 'silence', sequence: onWire(request), waitedMs: timeoutMs });
      this.#settle(request);
    });
    this.#waiting.set(request, { sentAtMs, giveUp });
    this.#socket.send(packet, this.#target.address).then(
      (leftAtMs) => this.#roundTrips.sent(request, leftAtMs),
      (error: Error) => {
        if (this.#isOver) return;
        this.#roundTrips.sent(request, this.#settings.clock.monotonicMs());
        const outcome = error instanceof SmallservdError ? error.outcome : 'failed';
        this.#failed(request, undefined, error.message, outcome);
      },
    );
    const nowMs = clock.monotonicMs();
    // After the machine has been suspended, missed requests are skipped.
    if (nowMs - this.#dueMs > intervalMs) this.#dueMs = nowMs;
    this.#dueMs += intervalMs;
    this.#isLastSent = this.#next === count || this.#dueMs - this.#beganMs >= deadlineMs;
    if (this.#isLastSent) return;
    this.#cancelNext = clock.after(Math.max(0, this.#dueMs - nowMs), () => this.#sendNext());
  }

  #heard(bytes: Uint8Array, source: string, atMs: number): void {
    if (this.#isOver) return;
    const message = decodeIcmp(this.#target.family, bytes);
    // A raw socket also receives replies for other programs.
    if (message === undefined || message.identifier !== this.#identifier) return;
    const about = message.kind === 'reply' ? parseIp(source) : message.destination;
    const request = this.#requestOf(message.sequence);
    if (request === undefined || !isSameIp(about, this.#ip)) return;
    if (message.kind === 'error') this.#failed(request, source, message.reason, message.outcome);
    else this.#answered(request, message, atMs);
  }

  #answered(request: number, { data, isIntact, ttl, sequence }: EchoReply, atMs: number): void {
    const compared = this.#payloads.compare(data, request);
    if (!isIntact || compared.kind === 'corrupted') {
      this.#roundTrips.corrupted();
      const offset = isIntact && compared.kind === 'corrupted' ? compared.offset : undefined;
      this.#settings.observe?.({ kind: 'corrupted', sequence, offset });
    } else {
      const received = this.#roundTrips.received(request, atMs);
      if (received === undefined) return;
      const isLate = received.rttMs > this.#settings.timeoutMs;
      if (isLate && !received.isDuplicate) this.#late += 1;
      const bytes = icmpHeaderBytes + data.length;
      this.#settings.observe?.({ kind: 'reply', sequence, bytes, ttl, isLate, ...received });
    }
    this.#settle(request);
  }

  #failed(request: number, from: string | undefined, reason: string, outcome: Outcome): void {
    // Of several errors about a request, only the first counts, and none after its reply or the timeout.
    if (!this.#waiting.has(request)) return;
    const kind = `${from} ${reason}`;
    if (this.#errors.has(kind) || this.#errors.size < mostErrorKinds) this.#countError(kind, from, reason, outcome);
    else this.#countError('others', undefined, 'other errors', outcome);
    this.#settings.observe?.({ kind: 'error', sequence: onWire(request), from, reason, outcome });
    this.#settle(request);
  }

  #countError(kind: string, from: string | undefined, reason: string, outcome: Outcome): void {
    const { count } = this.#errors.get(kind) ?? { count: 0 };
    this.#errors.set(kind, { from, reason, outcome, count: count + 1 });
  }

  /** The last request with this number on the wire, or undefined if none was sent. */
  #requestOf(sequence: number): number | undefined {
    const last = this.#next - 1;
    const request = last - ((onWire(last) - sequence) & 0xffff);
    return request < 0 ? undefined : request;
  }

  #settle(request: number): void {
    this.#waiting.get(request)?.giveUp();
    this.#waiting.delete(request);
    if (this.#isLastSent && this.#waiting.size === 0) this.#stop('timeout');
  }
}

function onWire(request: number): number {
  return (request + 1) & 0xffff;
}

function isSameIp(one: IpAddress | undefined, other: IpAddress | undefined): boolean {
  if (one === undefined || other === undefined) return false;
  return one.w3 === other.w3 && one.w2 === other.w2 && one.w1 === other.w1 && one.w0 === other.w0;
}

function isGroup({ address }: HostAddress): boolean {
  const ip = parseIp(address);
  return ip !== undefined && (isMulticast(ip) || isBroadcast(ip));
}
