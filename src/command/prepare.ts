import { pino } from 'pino';
import { systemClock } from '../clock/clock.ts';
import { type ConfigSource, type LoadedConfig, loadConfig, readConfigSource } from '../config/load.ts';
import { ServiceHost } from '../host.ts';
import { accountId } from '../supervisor/identity.ts';

/** What the command line says about the config. */
export interface ConfigOptions {
  readonly config?: string;
  readonly set: readonly string[];
}

/** A config that is right: as it was read, and as it was understood. */
export interface PreparedConfig {
  readonly source: ConfigSource;
  readonly loaded: LoadedConfig;
}

/**
 * Reads and checks the config whole, files that services name included: what `check` does, and what `run` and a reload do first. Those two leave
 * third-party modules to the workers: a process that has imported one once would never see another version of it.
 */
export async function prepare({ config, set }: ConfigOptions, importModules: boolean): Promise<PreparedConfig> {
  const source = await readConfigSource(config, process.env, set);
  const log = pino({ level: 'silent' });
  const trialHost = (): ServiceHost => new ServiceHost(systemClock, Math.random, log);
  const loaded = await loadConfig(source, { importModules, trialHost, accounts: accountId });
  return { source, loaded };
}
