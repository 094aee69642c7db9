import { resolve } from 'node:path';
import { pino } from 'pino';
import { systemClock } from '../../clock/clock.ts';
import { SmallservdError } from '../../errors.ts';
import type { Snapshot } from '../admin/snapshot.ts';
import { FaultControl } from '../command/fault-control.ts';
import { hashOf } from '../command/prepare.ts';
import { DaemonSnapshots } from '../command/snapshot.ts';
import type { ConfigInput, FaultsInput } from '../config/config-input.ts';
import { readFaultsObject } from '../config/faults.ts';
import { type ConfigSource, loadConfig, readConfigSource } from '../config/load.ts';
import { type ModuleObjects, takeModules } from '../config/module-object.ts';
import type { ServiceCounters } from '../counters.ts';
import { InProcessDaemon } from '../in-process-daemon.ts';
import { createLog, type LineWriter } from '../log.ts';
import { LogOfHost } from './log-of-host.ts';
import type { RunningListener } from '../running-daemon.ts';
import { prepareServices } from '../service-context.ts';
import { socketAccessFor } from '../supervisor/socket-access.ts';
import { planListeners } from '../transport/plan.ts';

export interface DaemonOptions {
  /**
   * Receives the log, one complete JSON line per call. If it throws, the line is lost and counted. Default: no log;
   * `log.file` is for the daemon program only.
   */
  readonly log?: LineWriter;
  /** Relative files and modules in the config are resolved against this; defaults to the current directory. */
  readonly directory?: string;
}

/** A daemon in this process, with all its listeners open. */
export interface Daemon extends AsyncDisposable {
  /** Where each service actually listens: port 0 is resolved to a number. */
  readonly listeners: readonly RunningListener[];
  /** The state of the daemon now, as `smallservd status --json` shows it. */
  status(): Snapshot;
  /** What has been counted for a service so far. Throws `ARGUMENT_INVALID` if the config does not have it. */
  counters(service: string): ServiceCounters;
  /**
   * Replaces the faults of a service, as `smallservd faults` does. Undefined: none, whatever the config says.
   * Connections keep the faults that they began with. Throws `ARGUMENT_INVALID` if the config does not have the
   * service, and `ConfigInvalidError` with all that is wrong with the faults. Has no effect after `close`.
   */
  faults(service: string, faults: FaultsInput | undefined): void;
  /**
   * Accepts no new clients, lets existing ones finish for at most `graceMs` milliseconds (default: the config's
   * `shutdown.grace`), then ends the rest. Resolves when everything is closed. Further calls wait for the same.
   */
  close(graceMs?: number): Promise<void>;
  /** Closes with the default, as `await using` does at the end of a block. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Starts the services of a config in this process and resolves when they listen. `config` is an object in the shape of
 * a config file, in which a module may be an object, too, or the path of a file. The environment is ignored, as are
 * `workers`, `user` and `group`. Rejects with `ConfigInvalidError`, or with another `SmallservdError` if a config
 * cannot be read or a listener cannot be opened. Nothing stays open then.
 */
export async function startDaemon(config: ConfigInput | string, options: DaemonOptions = {}): Promise<Daemon> {
  const { source, modules } = await sourceOf(config, resolve(options.directory ?? '.'));
  const loaded = await loadConfig(source, { importModules: true, modules });
  const hostLog = options.log === undefined ? undefined : new LogOfHost(options.log);
  const log = hostLog === undefined ? pino({ level: 'silent' }) : createLog(loaded.config.log, hostLog);
  const plan = await planListeners(loaded.config, new Map(), socketAccessFor(null));
  const services = await prepareServices(loaded, systemClock, Math.random, log, 1);
  const daemon = new InProcessDaemon({
    config: loaded.config,
    services,
    plan,
    clock: systemClock,
    random: Math.random,
    log,
  });
  const snapshots = new DaemonSnapshots(
    { source, loaded, hash: hashOf(loaded) },
    hostLog ?? { lostInAll: 0 },
    systemClock,
  );
  snapshots.daemon = daemon;
  const control = new FaultControl({
    daemon: () => daemon,
    config: () => loaded.config,
    clock: systemClock,
    log,
  });
  await daemon.ready;
  return {
    get listeners() {
      return daemon.listeners;
    },
    status: () => structuredClone(snapshots.take()),
    counters(service) {
      const counters = daemon.counters.get(service);
      if (counters === undefined) throw unknownService(service);
      return structuredClone(counters);
    },
    faults(service, faults) {
      const result = control.replace(service, readFaultsObject(faults ?? {}), null);
      if ('problem' in result) throw unknownService(service);
    },
    async close(graceMs) {
      await daemon.stop(graceMs);
    },
    async [Symbol.asyncDispose]() {
      await daemon.stop();
    },
  };
}

async function sourceOf(
  config: object | string,
  directory: string,
): Promise<{ readonly source: ConfigSource; readonly modules: ModuleObjects }> {
  if (typeof config === 'string') return { source: await readConfigSource(config, {}, []), modules: new Map() };
  const { tree, modules } = takeModules(config);
  return { source: { name: 'config', directory, text: undefined, tree, env: {}, sets: [] }, modules };
}

function unknownService(service: string): SmallservdError {
  return new SmallservdError('ARGUMENT_INVALID', `the config has no service ${JSON.stringify(service)}`);
}
