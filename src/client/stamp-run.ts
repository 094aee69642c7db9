import { ClockStatus } from '../clock/clock-status.ts';
import { type ErrorEstimate, msBetween, type NtpTime, ntpTime } from '../clock/ntp-format.ts';
import type { Endpoint } from './dial/connection.ts';
import type { Arrival } from './dial/datagram-carrier.ts';
import type { SmallservdError } from '../errors.ts';
import { Latency } from './latency.ts';
import { Jitter, OneWayDelay } from './one-way-delay.ts';
import { OneWayLossCounter } from './one-way-loss.ts';
import type { WithDefaults } from './options.ts';
import type { Outcome } from '../outcomes.ts';
import type { ReflectorMode } from './reflector-mode.ts';
import { RequestRun } from './request-run.ts';
import { RoundTrips } from './round-trips.ts';
import type { StampArrival, StampOptions, StampReplyEvent, StampResult, WallClock } from './stamp-measurement.ts';
import { decodeStampReply, encodeStampRequest, type StampReply, stampTime, timeOf } from './stamp-packet.ts';

export type StampSettings = WithDefaults<StampOptions> & {
  readonly count: number;
  readonly sizeBytes: number;
  readonly intervalMs: number;
};

/** Requests whose replies can be recognized. Older ones are forgotten, or an endless run would exhaust memory. */
const remembered = 65_536;
/** What a reflector that cannot tell the TTL reports (RFC 5357 section 4.2.1). */
const unknownTtl = 255;

/** One run: makes the requests, recognizes the replies and measures both. */
export class StampRun {
  readonly #peer: Endpoint;
  readonly #session: number;
  readonly #settings: StampSettings;
  readonly #wallClock: WallClock;
  readonly #status: ClockStatus;
  readonly #requests: RequestRun;
  readonly #trips = new RoundTrips();
  readonly #reflectorTimes = new Latency();
  readonly #forward = new OneWayDelay();
  readonly #backward = new OneWayDelay();
  readonly #jitter = { roundTrip: new Jitter(), forward: new Jitter(), backward: new Jitter() };
  readonly #loss = new OneWayLossCounter();
  /** The time in each recent request. */
  readonly #sentAt = new Map<number, NtpTime>();
  #oneWayErrorMs: number | undefined;
  #reflectorClock: ErrorEstimate | undefined;
  /** Whether any datagram has arrived, valid or not. */
  #hasHeard = false;
  /** The last refusal of a peer that had answered before. */
  #refusal: SmallservdError | undefined;

  constructor(peer: Endpoint, session: number, settings: StampSettings, wallClock: WallClock) {
    this.#peer = peer;
    this.#session = session;
    this.#settings = settings;
    this.#wallClock = wallClock;
    this.#status = new ClockStatus(() => wallClock.read(), settings.clock);
    this.#requests = new RequestRun(settings);
  }

  /** Sends the first request now and the rest on schedule. Resolves when the run is over. */
  async start(send: (packet: Uint8Array) => Promise<void>): Promise<void> {
    const { clock, sizeBytes, pathControls, observe } = this.#settings;
    await this.#requests.start(
      async (sequence) => {
        const { isSynchronized, errorUs } = this.#status;
        const numbers = { sequence: sequence >>> 0, session: this.#session };
        const dscp = pathControls?.dscp ?? 0;
        const packet = encodeStampRequest({ ...numbers, isSynchronized, errorUs, dscp, sizeBytes });
        observe?.({ kind: 'sent', sequence });
        // Its time is written last, since it says when the packet leaves.
        this.#trips.sent(sequence, clock.monotonicMs());
        stampTime(packet, this.#wallClock.readUs());
        const sending = send(packet);
        this.#sentAt.set(sequence, timeOf(packet));
        this.#sentAt.delete(sequence - remembered);
        return sending;
      },
      (error) => this.refused(error),
    );
  }

  take(bytes: Uint8Array, arrival?: Arrival): void {
    const nowMs = this.#settings.clock.monotonicMs();
    const nowUs = this.#wallClock.readUs();
    this.#hasHeard = true;
    if (this.#requests.isOver) return;
    const reply = decodeStampReply(bytes);
    const sequence = reply === undefined ? undefined : this.#requestOf(reply);
    if (reply === undefined || sequence === undefined) {
      this.#trips.corrupted();
      this.#settings.observe?.({ kind: 'wrong', bytes: bytes.length });
      return;
    }
    const arrivedAtUs = arrival?.receivedAtUs ?? nowUs;
    // The wall clock may have been set since the request left. It is used for the short time since the arrival alone.
    const arrivedAtMs = nowMs - Math.max(0, nowUs - arrivedAtUs) / 1000;
    const reflectorMs = msBetween(reply.receivedAt, reply.sentAt);
    const trip = this.#trips.received(sequence, arrivedAtMs - reflectorMs);
    if (trip === undefined) return;
    this.#reflectorClock = reply.clock;
    this.#loss.heard(sequence, this.#unwrap(reply.sequence), trip.isDuplicate);
    const delays = this.#delaysOf(reply, ntpTime(arrivedAtUs));
    if (!trip.isDuplicate) {
      this.#reflectorTimes.record(Math.max(0, reflectorMs));
      this.#jitter.roundTrip.record(trip.rttMs);
      this.#jitter.forward.record(delays.forwardMs);
      this.#jitter.backward.record(delays.backwardMs);
      if (delays.errorMs !== undefined) this.#recordOneWay(delays.forwardMs, delays.backwardMs, delays.errorMs);
    }
    const isKnown = delays.errorMs !== undefined;
    const event: StampReplyEvent = {
      kind: 'reply',
      sequence,
      bytes: bytes.length,
      rttMs: trip.rttMs,
      reflectorMs,
      forwardMs: isKnown ? delays.forwardMs : undefined,
      backwardMs: isKnown ? delays.backwardMs : undefined,
      errorMs: delays.errorMs,
      forward: { ttl: this.#ttlOf(reply), dscp: reply.classOfService?.dscp, ecn: reply.classOfService?.ecn },
      backward: arrivalHere(arrival),
      isDuplicate: trip.isDuplicate,
    };
    this.#settings.observe?.(event);
    this.#requests.answered(sequence, trip.rttMs, trip.isDuplicate);
  }

  /** A host or router reports that a request did not arrive. */
  refused(error: SmallservdError): void {
    if (!this.#hasHeard) this.#requests.fail(error);
    else if (!this.#requests.isOver) {
      this.#refusal = error;
      this.#settings.observe?.({ kind: 'refused', message: error.message });
    }
  }

  /** `reflectorMode` is what a session of its own has found out. */
  result(reflectorMode: ReflectorMode | undefined): StampResult {
    const summary = this.#trips.summary();
    const { elapsedMs, problem } = this.#requests;
    const [roundTripMs, forwardMs, backwardMs] = [
      this.#jitter.roundTrip.ms,
      this.#jitter.forward.ms,
      this.#jitter.backward.ms,
    ];
    const isJitterKnown = roundTripMs !== undefined && forwardMs !== undefined && backwardMs !== undefined;
    // Numbers that are not copied are counted.
    const mode = this.#loss.isCopying ? reflectorMode : 'stateful';
    const { isSynchronized, errorUs } = this.#status;
    return {
      peer: this.#peer,
      sizeBytes: this.#settings.sizeBytes,
      elapsedMs,
      ...summary,
      reflectorTimes: this.#reflectorTimes.summary(),
      forward: this.#forward.summary(),
      backward: this.#backward.summary(),
      oneWayErrorMs: this.#oneWayErrorMs,
      jitter: isJitterKnown ? { roundTripMs, forwardMs, backwardMs } : undefined,
      reflectorMode: mode,
      oneWayLoss: mode === 'stateful' ? this.#loss.summary(summary.sent) : undefined,
      clocks: {
        local: { isSynchronized, errorMs: errorUs / 1000 },
        reflector: this.#reflectorClock && {
          isSynchronized: this.#reflectorClock.isSynchronized,
          errorMs: this.#reflectorClock.errorMs,
        },
      },
      problem: problem?.message,
      outcome: summary.received > 0 ? 'ok' : this.#faultOf(summary.corrupted),
    };
  }

  #faultOf(corrupted: number): Outcome {
    const { problem, hasOnlyBegun } = this.#requests;
    if (problem !== undefined) return problem.outcome;
    if (corrupted > 0) return 'wrong-answer';
    if (this.#refusal !== undefined) return this.#refusal.outcome;
    return hasOnlyBegun ? 'interrupted' : 'timeout';
  }

  /** The request that a reply answers: with its number, its time, and if the reflector knows it, its session. */
  #requestOf({ senderSequence, senderTime, session }: StampReply): number | undefined {
    const sequence = this.#unwrap(senderSequence);
    const sentAt = this.#sentAt.get(sequence);
    const isOurs = sentAt?.seconds === senderTime.seconds && sentAt.fraction === senderTime.fraction;
    return isOurs && (session === this.#session || session === 0) ? sequence : undefined;
  }

  /** The number nearest to those in use that has these 32 bits. */
  #unwrap(bits: number): number {
    const last = this.#requests.sent - 1;
    return last + ((bits - last) | 0);
  }

  /** `errorMs` is undefined unless both clocks are synchronized, and to the same time scale. */
  #delaysOf(
    { senderTime, receivedAt, sentAt, clock }: StampReply,
    arrivedAt: NtpTime,
  ): { readonly forwardMs: number; readonly backwardMs: number; readonly errorMs: number | undefined } {
    // PTP counts leap seconds, and how many there are is not known here.
    const isKnown = clock.isSynchronized && clock.format === 'ntp' && this.#status.isSynchronized;
    return {
      forwardMs: msBetween(senderTime, receivedAt),
      backwardMs: msBetween(sentAt, arrivedAt),
      errorMs: isKnown ? clock.errorMs + this.#status.errorUs / 1000 : undefined,
    };
  }

  #recordOneWay(forwardMs: number, backwardMs: number, errorMs: number): void {
    this.#forward.record(forwardMs);
    this.#backward.record(backwardMs);
    this.#oneWayErrorMs = Math.max(this.#oneWayErrorMs ?? 0, errorMs);
  }

  /** 255 means nothing unless we have sent it. */
  #ttlOf({ ttl }: StampReply): number | undefined {
    const isUnknown = ttl === 0 || (ttl === unknownTtl && this.#settings.pathControls?.ttl !== unknownTtl);
    return isUnknown ? undefined : ttl;
  }
}

function arrivalHere(arrival: Arrival | undefined): StampArrival {
  const { ttl, trafficClass } = arrival ?? {};
  const [dscp, ecn] = trafficClass === undefined ? [] : [trafficClass >>> 2, trafficClass & 0x03];
  return { ttl, dscp, ecn };
}
