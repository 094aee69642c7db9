import { ClockStatus } from '../../clock/clock-status.ts';
import { type ErrorEstimate, msBetween, type NtpTime, ntpTime } from '../../clock/ntp-format.ts';
import type { Endpoint } from '../dial/connection.ts';
import type { Arrival } from '../dial/datagram-carrier.ts';
import type { SmallservdError } from '../../errors.ts';
import { Latency } from '../latency.ts';
import { OneWayDelay } from './one-way-delay.ts';
import type { WithDefaults } from '../options.ts';
import type { ReflectorMode } from './reflector-mode.ts';
import { RequestRun } from '../requests/run.ts';
import { meanJitter, StampFlow, sumLoss } from './flow.ts';
import type { StampArrival, StampOptions, StampReplyEvent, StampResult, WallClock } from './measurement.ts';
import { decodeStampReply, encodeStampRequest, type StampReply, stampTime, timeOf } from './packet.ts';

export type StampSettings = WithDefaults<StampOptions> & {
  readonly count: number;
  readonly sizeBytes: number;
  readonly intervalMs: number;
};

/** What a reflector that cannot tell the TTL reports (RFC 5357 section 4.2.1). */
const unknownTtl = 255;

/** By how much two coarse or drifting clocks may disagree about a time of this length. */
const slackMs = 1;

/** One run: makes the requests, recognizes the replies and measures both. */
export class StampRun {
  readonly #peer: Endpoint;
  readonly #settings: StampSettings;
  readonly #wallClock: WallClock;
  readonly #status: ClockStatus;
  readonly #requests: RequestRun;
  /** By source port. Request N has the flow N modulo their number. */
  readonly #flows: readonly StampFlow[];
  readonly #reflectorTimes = new Latency();
  readonly #forward = new OneWayDelay();
  readonly #backward = new OneWayDelay();
  #oneWayErrorMs: number | undefined;
  #reflectorClock: ErrorEstimate | undefined;

  /** `session` is the identifier of the first flow. Those of the others follow it. */
  constructor(peer: Endpoint, session: number, settings: StampSettings, wallClock: WallClock) {
    const { flows = 1 } = settings;
    this.#peer = peer;
    this.#settings = settings;
    this.#wallClock = wallClock;
    this.#status = new ClockStatus(() => wallClock.read(), settings.clock);
    this.#requests = new RequestRun({ ...settings, flows });
    this.#flows = Array.from({ length: flows }, (_, flow) => new StampFlow(session + flow));
  }

  /** Sends the first request now and the rest on schedule. Resolves when the run is over. */
  async start(send: (packet: Uint8Array, flow: number) => Promise<void>): Promise<void> {
    const { sizeBytes, pathControls } = this.#settings;
    await this.#requests.start({
      make: (sequence) => {
        const { isSynchronized, errorUs } = this.#status;
        const { session } = this.#flowOf(sequence);
        const numbers = { sequence: this.#numberOf(sequence) >>> 0, session };
        const dscp = pathControls?.dscp ?? 0;
        return encodeStampRequest({ ...numbers, isSynchronized, errorUs, dscp, sizeBytes });
      },
      send: async (packet, sequence, flow) => {
        // Its time is written last, since it says when the packet leaves.
        stampTime(packet, this.#wallClock.readUs());
        const sending = send(packet, flow);
        this.#flowOf(sequence).sent(this.#numberOf(sequence), timeOf(packet));
        return sending;
      },
    });
  }

  sendsFrom(flow: number, sourcePort: number | undefined): void {
    this.#requests.sendsFrom(flow, sourcePort);
  }

  takeDatagram(bytes: Uint8Array, index: number, arrival?: Arrival): void {
    const nowMs = this.#settings.clock.monotonicMs();
    const nowUs = this.#wallClock.readUs();
    this.#requests.heard();
    if (this.#requests.isOver) return;
    const flow = this.#flowOf(index);
    const reply = decodeStampReply(bytes);
    const number = reply && flow.requestOf(reply);
    if (reply === undefined || number === undefined) {
      this.#requests.corrupted(index, undefined);
      this.#settings.observe?.({ kind: 'wrong', bytes: bytes.length });
      return;
    }
    const arrivedAtUs = arrival?.receivedAtUs ?? nowUs;
    // The wall clock may have been set since the request left. It is used for the short time since the arrival alone.
    const arrivedAtMs = nowMs - Math.max(0, nowUs - arrivedAtUs) / 1000;
    const sequence = number * this.#flows.length + index;
    const tripMs = arrivedAtMs - (this.#requests.sentAtMs(sequence) ?? arrivedAtMs);
    const reflectorMs = plausibleReflectorMs(reply, tripMs);
    const trip = this.#requests.received(sequence, arrivedAtMs - (reflectorMs ?? 0));
    if (trip === undefined) return;
    this.#reflectorClock = reply.clock;
    flow.heard(number, reply.sequence, trip.isDuplicate);
    const delays = this.#delaysOf(reply, ntpTime(arrivedAtUs));
    if (!trip.isDuplicate && reflectorMs !== undefined) {
      this.#reflectorTimes.record(reflectorMs);
      flow.record({ ...delays, roundTripMs: trip.rttMs });
      if (delays.errorMs !== undefined) this.#recordOneWay(delays.forwardMs, delays.backwardMs, delays.errorMs);
    }
    const isKnown = delays.errorMs !== undefined && reflectorMs !== undefined;
    const event: StampReplyEvent = {
      kind: 'reply',
      sequence,
      bytes: bytes.length,
      rttMs: trip.rttMs,
      reflectorMs,
      forwardMs: isKnown ? delays.forwardMs : undefined,
      backwardMs: isKnown ? delays.backwardMs : undefined,
      errorMs: isKnown ? delays.errorMs : undefined,
      forward: { ttl: this.#ttlOf(reply), dscp: reply.classOfService?.dscp, ecn: reply.classOfService?.ecn },
      backward: arrivalHere(arrival),
      isDuplicate: trip.isDuplicate,
    };
    this.#settings.observe?.(event);
  }

  refused(error: SmallservdError, flow: number): void {
    this.#requests.refused(error, flow);
  }

  /** `reflectorMode` is what a session of its own has found out. */
  result(reflectorMode: ReflectorMode | undefined): StampResult {
    const summary = this.#requests.summary();
    const { elapsedMs, problem } = this.#requests;
    // Numbers that are not copied are counted.
    const mode = this.#flows.every(({ isCopying }) => isCopying) ? reflectorMode : 'stateful';
    const counts = this.#requests.flowSummaries();
    const losses = this.#flows.map((flow, index) => {
      const { sent, received } = counts?.[index] ?? summary;
      return mode === 'stateful' ? flow.loss(sent, received) : undefined;
    });
    const flows = counts?.map((count, index) => ({
      ...count,
      oneWayLoss: losses[index],
      jitter: this.#flowOf(index).jitter,
    }));
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
      jitter: meanJitter(this.#flows),
      reflectorMode: mode,
      oneWayLoss: sumLoss(losses),
      flows,
      clocks: {
        local: { isSynchronized, errorMs: errorUs / 1000 },
        reflector: this.#reflectorClock && {
          isSynchronized: this.#reflectorClock.isSynchronized,
          errorMs: this.#reflectorClock.errorMs,
        },
      },
      problem: problem?.message,
      outcome: summary.received > 0 ? 'ok' : this.#requests.fault(),
    };
  }

  #flowOf(sequence: number): StampFlow {
    return this.#flows[sequence % this.#flows.length] as StampFlow;
  }

  /** The number of a request in the session of its flow. */
  #numberOf(sequence: number): number {
    return Math.floor(sequence / this.#flows.length);
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

/** T3 − T2. Undefined if the reflector cannot have had the packet for that long: its times are wrong. */
function plausibleReflectorMs({ receivedAt, sentAt }: StampReply, tripMs: number): number | undefined {
  const reflectorMs = msBetween(receivedAt, sentAt);
  return reflectorMs >= -slackMs && reflectorMs <= tripMs + slackMs ? Math.max(0, reflectorMs) : undefined;
}

function arrivalHere(arrival: Arrival | undefined): StampArrival {
  const { ttl, trafficClass } = arrival ?? {};
  const [dscp, ecn] = trafficClass === undefined ? [] : [trafficClass >>> 2, trafficClass & 0x03];
  return { ttl, dscp, ecn };
}
