/** Where packets were lost, as a reflector that counts them tells. */
export interface OneWayLoss {
  /** Requests that did not reach the reflector. */
  readonly forward: number;
  /** Replies that the reflector has sent and that did not arrive. */
  readonly backward: number;
  /** Lost after the last request that was answered: on which way cannot be known. */
  readonly unknown: number;
}

/** The most replies whose numbers are known. Older ones are forgotten, or an endless run would exhaust memory. */
const remembered = 65_536;

/**
 * Tells the directions of loss apart by the numbers of a stateful reflector (RFC 8762 section 4.3), which counts what
 * it reflects from 0. Those of a stateless one are the numbers of the requests, and tell nothing.
 */
export class OneWayLossCounter {
  /** The request that each recent number of the reflector belongs to. */
  #requests = new Map<number, number>();
  /** Those before them. Not forgotten by number, since those of a hostile reflector may be anything. */
  #earlier = new Map<number, number>();
  #answered = 0;
  /** Requests that arrived at the reflector more than once, as far as the replies show. */
  #repeated = 0;
  /** The number that request 0 would have without loss. A reflector may continue an earlier session. */
  #base: number | undefined;
  #highestRequest = -1;
  #highestNumber = -1;
  #isCopying = true;
  #hasRestarted = false;

  /** Takes a reply to request `request`, counted from 0, with the reflector's own number. */
  heard(request: number, number: number, isDuplicate: boolean): void {
    const known = this.#requests.get(number) ?? this.#earlier.get(number);
    if (known !== undefined) {
      // The same reply twice was duplicated on the way back. Another with its number is of another session.
      if (known !== request) this.#hasRestarted = true;
      return;
    }
    if (this.#requests.size >= remembered / 2) {
      this.#earlier = this.#requests;
      this.#requests = new Map();
    }
    this.#requests.set(number, request);
    if (number !== request) this.#isCopying = false;
    if (isDuplicate) this.#repeated += 1;
    else this.#answered += 1;
    this.#base ??= Math.max(0, number - request);
    this.#highestRequest = Math.max(this.#highestRequest, request);
    this.#highestNumber = Math.max(this.#highestNumber, number);
  }

  /** How many replies are known: at most 65,536. */
  get known(): number {
    return this.#requests.size + this.#earlier.size;
  }

  /** Whether every number was that of its request: of a stateless reflector, or of one that has missed nothing. */
  get isCopying(): boolean {
    return this.#isCopying;
  }

  /** Undefined if the reflector has begun to count again during the run, or nothing was heard. */
  summary(sent: number): OneWayLoss | undefined {
    if (this.#hasRestarted || this.#base === undefined) return undefined;
    const upToHighest = this.#highestRequest + 1;
    const lost = upToHighest - this.#answered;
    const reflected = this.#highestNumber - this.#base + 1 - this.#repeated;
    // More may have arrived twice than the replies show.
    const forward = Math.min(lost, Math.max(0, upToHighest - reflected));
    return { forward, backward: lost - forward, unknown: sent - upToHighest };
  }
}
