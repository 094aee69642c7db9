import { type Clock, systemClock } from '../clock/clock.ts';

/** Size and rate of a transfer. */
export interface Transfer {
  readonly bytes: number;
  /** Milliseconds since the connection, or since the first datagram that was not refused. */
  readonly elapsedMs: number;
  /** 0 if no time has passed. */
  readonly bytesPerSecond: number;
}

export interface ProgressOptions {
  /** Called five times a second with the figures so far. */
  readonly onProgress?: ((transfer: Transfer) => void) | undefined;
}

const progressMs = 200;

export function transferOf(bytes: number, elapsedMs: number): Transfer {
  return { bytes, elapsedMs, bytesPerSecond: elapsedMs > 0 ? (bytes / elapsedMs) * 1000 : 0 };
}

/** Counts bytes and the time since its creation. */
export class Meter {
  bytes = 0;
  readonly #clock: Clock;
  #beganMs: number;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
    this.#beganMs = clock.monotonicMs();
  }

  /** Restarts the clock. */
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
