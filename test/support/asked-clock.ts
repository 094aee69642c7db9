import { FakeClock } from './fake-clock.ts';

/**
 * Knows how often it has been asked for the time. A connection asks when its first bytes have come. With a shared
 * timeout, its start and each wait ask, too.
 */
export class AskedClock extends FakeClock {
  asked = 0;

  get isAsked(): boolean {
    return this.asked > 0;
  }

  override monotonicMs(): number {
    this.asked += 1;
    return super.monotonicMs();
  }
}
