import type { Snapshot, SnapshotSource } from '../admin/snapshot.ts';
import { systemClock } from '../../clock/clock.ts';
import { newServiceCounters } from '../counters.ts';
import type { LogSink } from '../log.ts';
import { HealthMeter } from '../process-health.ts';
import type { DaemonReport, RunningDaemon } from '../running-daemon.ts';
import { version } from '../../version.ts';
import type { PreparedConfig } from './prepare.ts';
import type { Reloader } from './reloader.ts';

/** Assembles the daemon's report about itself from its parts. */
export class DaemonSnapshots implements SnapshotSource {
  /** Undefined until it is launched. */
  daemon: RunningDaemon | undefined;
  /** Undefined until the daemon is launched. */
  reloader: Reloader | undefined;
  readonly #prepared: PreparedConfig;
  readonly #sink: LogSink;
  readonly #startedAt: Date;
  readonly #health = new HealthMeter(systemClock);

  constructor(prepared: PreparedConfig, sink: LogSink, startedAt: Date) {
    this.#prepared = prepared;
    this.#sink = sink;
    this.#startedAt = startedAt;
  }

  async config(): Promise<unknown> {
    return this.#current.loaded.printed;
  }

  async snapshot(): Promise<Snapshot> {
    const report = this.daemon?.report;
    const { source, loaded, hash } = this.#current;
    const { services } = loaded.config;
    return {
      version,
      node: process.version,
      pid: process.pid,
      startedAt: this.#startedAt.toISOString(),
      state: report?.state ?? 'starting',
      notReady: whyNotReady(report),
      config: { name: source.name, hash },
      reload: this.#reload,
      supervisor: this.#health.take(),
      workers: report?.workers ?? [],
      workerDeaths: report?.workerDeaths ?? 0,
      listeners: report?.listeners ?? [],
      services: Object.fromEntries(
        [...(report?.services ?? new Map(services.map(({ name }) => [name, newServiceCounters()])))].map(
          ([name, counters]) => [
            name,
            {
              type: services.find((service) => service.name === name)?.type ?? name,
              topSources: report?.topSources.get(name)?.slice(0, 10) ?? [],
              ...counters,
            },
          ],
        ),
      ),
      lostLogLines: this.#sink.lostInAll,
    };
  }

  get #current(): PreparedConfig {
    return this.reloader?.current ?? this.#prepared;
  }

  get #reload(): Snapshot['reload'] {
    const { attempts = 0, failures = 0, isRunning = false, last, lastSuccessAt } = this.reloader ?? {};
    return {
      attempts,
      failures,
      isRunning,
      lastSuccessAt: lastSuccessAt ?? null,
      last: last ?? null,
    };
  }
}

function whyNotReady(report: DaemonReport | undefined): readonly string[] {
  if (report === undefined || report.state !== 'ready') return [report?.state ?? 'starting'];
  return report.listeners.flatMap(({ service, address, isOpen }) =>
    isOpen ? [] : [`${service} ${address} is not open`],
  );
}
