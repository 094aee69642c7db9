import { FakeClock } from './fake-clock.ts';

/** Knows how often it has been asked for the time: a connection asks when its first bytes have come. */
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
