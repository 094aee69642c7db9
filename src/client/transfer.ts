import { type Clock, systemClock } from '../clock/clock.ts';

/** How much went over, and how fast. */
export interface Transfer {
  readonly bytes: number;
  /** Milliseconds from the connection, or the first datagram that nobody refused, on. */
  readonly elapsedMs: number;
  /** 0 where no time has passed. */
  readonly bytesPerSecond: number;
}

export interface ProgressOptions {
  /** Is told the figures so far, five times a second. */
  readonly onProgress?: ((transfer: Transfer) => void) | undefined;
}

const progressMs = 200;

export function transferOf(bytes: number, elapsedMs: number): Transfer {
  return { bytes, elapsedMs, bytesPerSecond: elapsedMs > 0 ? (bytes / elapsedMs) * 1000 : 0 };
}

/** Counts bytes, and the time from its creation on. */
export class Meter {
  bytes = 0;
  readonly #clock: Clock;
  #beganMs: number;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
    this.#beganMs = clock.monotonicMs();
  }

  /** Forgets the time so far. */
  begin(): void {
    this.#beganMs = this.#clock.monotonicMs();
  }

  get transfer(): Transfer {
    return transferOf(this.bytes, this.#clock.monotonicMs() - this.#beganMs);
  }

  /** Reports until the returned function is called. */
  report({ onProgress }: ProgressOptions): () => void {
    return onProgress === undefined ? () => {} : this.#clock.every(progressMs, () => onProgress(this.transfer));
  }
}
