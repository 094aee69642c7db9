import { resolve } from 'node:path';
import { pino } from 'pino';
import { systemClock } from '../clock/clock.ts';
import { loadConfig, readConfigSource } from './config/load.ts';
import { prepareServices } from './service-context.ts';
import { InProcessDaemon } from './in-process-daemon.ts';
import { createLog, type LineWriter } from './log.ts';
import type { RunningListener } from './running-daemon.ts';
import { socketAccessFor } from './supervisor/socket-access.ts';
import { planListeners } from './transport/plan.ts';

export interface DaemonOptions {
  /** Receives the log, one complete JSON line per call. Default: no log; `log.file` is for the daemon program only. */
  readonly log?: LineWriter;
  /** Relative files and modules in the config are resolved against this; defaults to the current directory. */
  readonly directory?: string;
}

/** A daemon in this process, with all its listeners open. */
export interface Daemon {
  /** Where each service actually listens: port 0 is resolved to a number. */
  readonly listeners: readonly RunningListener[];
  /**
   * Accepts no new clients, lets existing ones finish for at most `graceMs` milliseconds (default: the config's
   * `shutdown.grace`), then ends the rest. Resolves when everything is closed. Further calls wait for the same.
   */
  close(graceMs?: number): Promise<void>;
}

/**
 * Starts the services of a config in this process and resolves when they listen. `config` is an object in the shape of
 * a config file, or the path of a file. The environment is ignored, as are `workers`, `user` and `group`. Rejects with
 * `ConfigInvalidError`, or with another `SmallservdError` if a config cannot be read or a listener cannot be opened.
 * Nothing stays open then.
 */
export async function startDaemon(config: object | string, options: DaemonOptions = {}): Promise<Daemon> {
  const directory = resolve(options.directory ?? '.');
  const source =
    typeof config === 'string'
      ? await readConfigSource(config, {}, [])
      : { name: 'config', directory, text: undefined, tree: config, env: {}, sets: [] };
  const loaded = await loadConfig(source, { importModules: true });
  const log = options.log === undefined ? pino({ level: 'silent' }) : createLog(loaded.config.log, options.log);
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
  await daemon.ready;
  return {
    get listeners() {
      return daemon.listeners;
    },
    async close(graceMs) {
      await daemon.stop(graceMs);
    },
  };
}
