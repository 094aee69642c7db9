/** Enough for every sender that the rates let through, in less than a megabyte. */
const mostSessions = 4096;

/** A sender that has been silent for this long starts a new session: REFWAIT of RFC 5357 section 4.2. */
const longestSilenceUs = 900e6;

/** The sequence numbers of the stateful reflector (RFC 8762 section 4.3): each session has its own, from 0. */
export class StampSessions {
  /** In the order of their last packets. */
  readonly #sessions = new Map<string, { next: number; lastUs: number }>();

  /** Returns the next number of a session, modulo 2^32. If there are too many, the one silent for longest ends. */
  next(name: string, nowUs: number): number {
    const known = this.#sessions.get(name);
    this.#sessions.delete(name);
    const isNew = known === undefined || nowUs - known.lastUs > longestSilenceUs;
    const number = isNew ? 0 : known.next;
    this.#sessions.set(name, { next: (number + 1) >>> 0, lastUs: nowUs });
    if (this.#sessions.size > mostSessions) this.#endOldest();
    return number;
  }

  #endOldest(): void {
    for (const name of this.#sessions.keys()) {
      this.#sessions.delete(name);
      return;
    }
  }
}
