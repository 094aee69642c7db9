import type { Snapshot, SnapshotSource } from '../admin/snapshot.ts';
import { type Clock, systemClock } from '../../clock/clock.ts';
import { newServiceCounters } from '../counters.ts';
import type { LogSink } from '../log.ts';
import { cpuTimeOf, HealthMeter } from '../process-health.ts';
import type { RunningDaemon } from '../running-daemon.ts';
import { version } from '../../version.ts';
import type { FaultControl } from './fault-control.ts';
import type { PreparedConfig } from './prepare.ts';
import type { Reloader } from './reloader.ts';

type ServedConfig = Pick<PreparedConfig, 'source' | 'loaded' | 'hash'>;

/** Assembles the daemon's report about itself from its parts. */
export class DaemonSnapshots implements SnapshotSource {
  /** Undefined until it is launched. */
  daemon: RunningDaemon | undefined;
  /** Undefined until the daemon is launched. */
  reloader: Reloader | undefined;
  /** Undefined if strangers could ask. */
  faults: FaultControl | undefined;
  readonly #prepared: ServedConfig;
  readonly #sink: Pick<LogSink, 'lostInAll'>;
  readonly #startedAt: Date;
  readonly #startedMs: number;
  readonly #clock: Clock;
  readonly #health = new HealthMeter(systemClock);

  constructor(prepared: ServedConfig, sink: Pick<LogSink, 'lostInAll'>, clock: Clock) {
    this.#prepared = prepared;
    this.#sink = sink;
    this.#clock = clock;
    this.#startedAt = clock.now();
    this.#startedMs = clock.monotonicMs();
  }

  get changeFaults(): SnapshotSource['changeFaults'] {
    const { faults } = this;
    return faults === undefined ? undefined : async (change) => faults.change(change);
  }

  /** The config that is being served. */
  get loaded(): PreparedConfig['loaded'] {
    return this.#current.loaded;
  }

  async config(): Promise<unknown> {
    return this.#current.loaded.printed;
  }

  async snapshot(): Promise<Snapshot> {
    return this.take();
  }

  /** The state of the daemon now. */
  take(): Snapshot {
    const { source, loaded, hash } = this.#current;
    const configured = loaded.config.services;
    const {
      state = 'starting',
      workers = [],
      workerDeaths = 0,
      workerCpu = [],
      listeners = [],
      services = new Map(configured.map(({ name }) => [name, newServiceCounters()])),
      topSources,
      offenders,
    } = this.daemon?.report ?? {};
    const closed = listeners.filter(({ isOpen }) => !isOpen);
    const { attempts = 0, failures = 0, isRunning = false, last = null, lastSuccessAt = null } = this.reloader ?? {};
    const supervisor = this.#health.take();
    return {
      version,
      node: process.version,
      pid: process.pid,
      startedAt: this.#startedAt.toISOString(),
      upMs: Math.round(this.#clock.monotonicMs() - this.#startedMs),
      state,
      notReady: state === 'ready' ? closed.map(({ service, address }) => `${service} ${address} is not open`) : [state],
      config: { name: source.name, hash },
      reload: { attempts, failures, isRunning, lastSuccessAt, last },
      supervisor,
      cpu: { supervisor: cpuTimeOf(supervisor), workers: workerCpu },
      workers,
      workerDeaths,
      listeners,
      services: Object.fromEntries(
        [...services].map(([name, counters]) => [
          name,
          {
            type: configured.find((service) => service.name === name)?.type ?? name,
            topSources: topSources?.get(name)?.slice(0, 10) ?? [],
            offenders: offenders?.get(name) ?? { refused: [], dropped: [] },
            ...counters,
          },
        ]),
      ),
      lostLogLines: this.#sink.lostInAll,
    };
  }

  get #current(): ServedConfig {
    return this.reloader?.current ?? this.#prepared;
  }
}
