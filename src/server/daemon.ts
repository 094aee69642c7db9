import { resolve } from 'node:path';
import { systemClock } from '../clock/clock.ts';
import { loadConfig, readConfigSource } from './config/load.ts';
import { prepareServices } from './service-context.ts';
import { InProcessDaemon } from './in-process-daemon.ts';
import { createLog, type LineWriter } from './log.ts';
import type { RunningListener } from './running-daemon.ts';
import { socketAccessFor } from './supervisor/socket-access.ts';
import { planListeners } from './transport/plan.ts';

export interface DaemonOptions {
  /** Gets the log, a finished JSON line a call. Without it nothing is logged: `log.file` is the daemon program's. */
  readonly log?: LineWriter;
  /** Relative files and modules in the config are taken from here; the current folder unless given. */
  readonly directory?: string;
}

/** A daemon in this process, with all its listeners open. */
export interface Daemon {
  /** Where each service really listens: port 0 has become a number. */
  readonly listeners: readonly RunningListener[];
  /**
   * Takes no new client, lets those there are finish, at most `graceMs` milliseconds (the config's `shutdown.grace`
   * unless given), then ends the rest. Resolves when all is closed; calling it again waits for the same.
   */
  close(graceMs?: number): Promise<void>;
}

/**
 * Starts the services of a config in this process and resolves when they listen. `config` is an object of the shape of
 * a config file, or the path of one. Nothing is taken from the environment, and `workers`, `user` and `group` have no
 * meaning here. Rejects with `ConfigInvalidError`, or another `SmallservdError`: a config that cannot be read, a
 * listener that cannot be opened. Nothing stays open then.
 */
export async function startDaemon(config: object | string, options: DaemonOptions = {}): Promise<Daemon> {
  const directory = resolve(options.directory ?? '.');
  const source =
    typeof config === 'string'
      ? await readConfigSource(config, {}, [])
      : { name: 'config', directory, text: undefined, tree: config, env: {}, sets: [] };
  const loaded = await loadConfig(source, { importModules: true });
  const log = createLog(
    options.log === undefined ? { level: 'silent' } : loaded.config.log,
    options.log ?? { write() {} },
  );
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
