import { History, samplePeriodMs } from '../admin/history.ts';
import type { AdminSource, ClockState, Live, Past } from '../admin/live.ts';
import { ServiceHistory } from '../admin/service-history.ts';
import type { Snapshot } from '../admin/snapshot.ts';
import { ClockStatus } from '../../clock/clock-status.ts';
import type { Cancel, Clock } from '../../clock/clock.ts';
import { clockIsSet } from '../../clock/release.ts';
import { activeFaults } from '../faults/fault-rules.ts';
import { readClock } from '../../kernel/system-clock.ts';
import type { LogSink } from '../log.ts';
import type { PreparedConfig } from './prepare.ts';
import { DaemonSnapshots } from './snapshot.ts';

/** The daemon's report about itself, and what its page shows in addition: what has happened before, and why. */
export class LiveSnapshots extends DaemonSnapshots implements AdminSource {
  readonly #sink: LogSink;
  readonly #clock: Clock;
  readonly #history: History;
  readonly #services: ServiceHistory;
  readonly #clockStatus: ClockStatus;

  constructor(prepared: PreparedConfig, sink: LogSink, clock: Clock) {
    super(prepared, sink, clock);
    this.#sink = sink;
    this.#clock = clock;
    this.#history = new History(clock);
    this.#services = new ServiceHistory(clock);
    this.#clockStatus = new ClockStatus(readClock, clock);
  }

  /** Keeps the history from now on. */
  keepHistory(): Cancel {
    return this.#clock.every(samplePeriodMs, () => {
      const snapshot = super.take();
      this.#history.record(snapshot);
      this.#services.record(snapshot.services);
    });
  }

  override take(): Snapshot {
    const snapshot = super.take();
    const services = Object.entries(snapshot.services).map(
      ([name, service]) => [name, { ...service, rates: this.#services.rates(name) }] as const,
    );
    return { ...snapshot, services: Object.fromEntries(services) };
  }

  async live(): Promise<Live> {
    return {
      status: { ...this.take(), clock: this.#clockState },
      points: this.#history.latest,
      faults: this.#faultsInForce,
      reloads: this.reloader?.records ?? [],
      log: this.#sink.recent.entries,
    };
  }

  async past(): Promise<Past> {
    return { ...this.#history.past, requests: this.#services.requests };
  }

  get #clockState(): ClockState {
    const { isKnown, isSynchronized, errorUs } = this.#clockStatus;
    return {
      isSet: clockIsSet(this.#clock.now().getTime()),
      isSynchronized: isKnown ? isSynchronized : null,
      errorMs: errorUs / 1000,
    };
  }

  get #faultsInForce(): Live['faults'] {
    const rules = this.loaded.config.services.map((service) => {
      const { faults } = service;
      return [service.name, this.faults === undefined ? faults : this.faults.rulesOf(service)] as const;
    });
    const active = rules.map(([name, of]) => [name, of === undefined ? {} : activeFaults(of)] as const);
    return Object.fromEntries(active.filter(([, faults]) => Object.keys(faults).length > 0));
  }
}
