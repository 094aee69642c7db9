import { msBetween, type NtpTime } from '../../clock/ntp-format.ts';
import { Jitter } from './one-way-delay.ts';
import { type OneWayLoss, OneWayLossCounter } from './one-way-loss.ts';
import type { StampJitter } from './measurement.ts';
import type { StampReply } from './packet.ts';

/** Requests whose replies can be recognized. Older ones are forgotten, or an endless run would exhaust memory. */
const remembered = 65_536;

/** The requests from one source port. For the reflector they are a session, with numbers from 0. */
export class StampFlow {
  /** The session identifier (RFC 8972 section 3). */
  readonly session: number;
  readonly #jitter = { roundTrip: new Jitter(), forward: new Jitter(), backward: new Jitter() };
  readonly #loss = new OneWayLossCounter();
  /** The time in each recent request. */
  readonly #sentAt = new Map<number, NtpTime>();
  #last = -1;

  constructor(session: number) {
    this.session = session;
  }

  sent(number: number, time: NtpTime): void {
    this.#last = number;
    this.#sentAt.set(number, time);
    this.#sentAt.delete(number - remembered);
  }

  /** The request that a reply answers: with its number, its time, and if the reflector knows it, its session. */
  requestOf({ senderSequence, senderTime, session }: StampReply): number | undefined {
    const number = this.#unwrap(senderSequence);
    const sentAt = this.#sentAt.get(number);
    const isOurs = sentAt !== undefined && msBetween(sentAt, senderTime) === 0;
    return isOurs && (session === this.session || session === 0) ? number : undefined;
  }

  /** Takes the reply to this request, with the reflector's own number. */
  heard(number: number, reflected: number, isDuplicate: boolean): void {
    this.#loss.heard(number, this.#unwrap(reflected), isDuplicate);
  }

  /** Takes the times that a request and its first reply took. */
  record({ roundTripMs, forwardMs, backwardMs }: StampJitter): void {
    this.#jitter.roundTrip.record(roundTripMs);
    this.#jitter.forward.record(forwardMs);
    this.#jitter.backward.record(backwardMs);
  }

  /** Undefined with fewer than two replies. */
  get jitter(): StampJitter | undefined {
    const [roundTripMs, forwardMs, backwardMs] = [
      this.#jitter.roundTrip.ms,
      this.#jitter.forward.ms,
      this.#jitter.backward.ms,
    ];
    if (roundTripMs === undefined || forwardMs === undefined || backwardMs === undefined) return undefined;
    return { roundTripMs, forwardMs, backwardMs };
  }

  /** Whether every number of the reflector was that of its request. */
  get isCopying(): boolean {
    return this.#loss.isCopying;
  }

  /** If the reflector counts. Undefined if it has begun to count again. */
  loss(sent: number, received: number): OneWayLoss | undefined {
    return received === 0 ? { forward: 0, backward: 0, unknown: sent } : this.#loss.summary(sent);
  }

  /** The number nearest to those in use that has these 32 bits. */
  #unwrap(bits: number): number {
    return this.#last + ((bits - this.#last) | 0);
  }
}

/** The mean over the flows: between packets of different flows there may be the difference of two paths. */
export function meanJitter(flows: readonly StampFlow[]): StampJitter | undefined {
  const known = flows.map(({ jitter }) => jitter).filter((jitter) => jitter !== undefined);
  if (known.length === 0) return undefined;
  const mean = (name: keyof StampJitter): number => known.reduce((sum, each) => sum + each[name], 0) / known.length;
  return { roundTripMs: mean('roundTripMs'), forwardMs: mean('forwardMs'), backwardMs: mean('backwardMs') };
}

/** Undefined if that of one flow is. */
export function sumLoss(losses: readonly (OneWayLoss | undefined)[]): OneWayLoss | undefined {
  let [forward, backward, unknown] = [0, 0, 0];
  for (const loss of losses) {
    if (loss === undefined) return undefined;
    forward += loss.forward;
    backward += loss.backward;
    unknown += loss.unknown;
  }
  return { forward, backward, unknown };
}
