import { createHash } from 'node:crypto';
import { pino } from 'pino';
import { systemClock } from '../../clock/clock.ts';
import type { Config } from '../config/config.ts';
import { type ConfigSource, loadConfig, readConfigSource } from '../config/load.ts';
import type { LoadedConfig } from '../config/loaded-config.ts';
import { standardInput } from '../config/source.ts';
import { TaskContext } from '../service-context.ts';
import { endWithParent, forbidNewPrivileges } from '../../kernel/privileges.ts';
import { accountId, assumeIdentity, findIdentity } from '../supervisor/identity.ts';
import { isApart } from './apart.ts';

/** What the command line says about the config. */
export interface ConfigOptions {
  readonly config?: string;
  readonly set: readonly string[];
  /** Where relative paths of a config from standard input start; the current folder unless given. */
  readonly folder?: string;
}

/**
 * Leaves the folder that this program was started from, for good, and has the config read by a path that still leads to
 * it. That folder may be somebody's who moves it, and Node makes and removes UNIX sockets by a path from there.
 */
export function leaveFolder<Options extends ConfigOptions>(options: Options): Options {
  const { config } = options;
  // Not by resolve, which takes `link/..` for the folder of the link.
  const folder = process.cwd();
  const isPlaced = config === undefined || config === standardInput || /^(?:\/|$)/.test(config);
  process.chdir('/');
  return { ...options, folder, ...(!isPlaced && { config: `${folder}/${config}` }) };
}

/** A config that is right: as it was read, and as it was understood. */
export interface PreparedConfig {
  readonly source: ConfigSource;
  readonly loaded: LoadedConfig;
  /** Of what it says in full, short enough to compare by eye. */
  readonly hash: string;
}

/**
 * Reads and checks a config: what `run` and a reload do first. Third-party modules are left to the workers, as a
 * process that has imported one once would never see another version of it. So are, under root, the files that services
 * name: workers open them with the rights of their user.
 */
export async function prepare(options: ConfigOptions): Promise<PreparedConfig> {
  const source = await readSource(options);
  const loaded = await loadConfig(source, {
    importModules: false,
    ...(!isRoot() && { trialContext }),
    accounts: accountId,
  });
  return { source, loaded, hash: hashOf(loaded) };
}

/**
 * Reads a config and checks all of it, with modules and files, as `check` does. A process that is root becomes the user
 * of the config for good before it opens what the config names.
 */
export async function prepareAsUser(options: ConfigOptions): Promise<PreparedConfig> {
  const source = await readSource(options);
  // Modules are imported where the daemon imports them.
  process.chdir('/');
  const loaded = await loadConfig(source, {
    importModules: true,
    beforeFiles: becomeUser,
    trialContext,
    accounts: accountId,
  });
  return { source, loaded, hash: hashOf(loaded) };
}

async function readSource({ config, set, folder }: ConfigOptions): Promise<ConfigSource> {
  return readConfigSource(config, process.env, set, folder);
}

async function becomeUser({ user, group }: Pick<Config, 'user' | 'group'>): Promise<void> {
  if (!isRoot()) return;
  const identity = await findIdentity(user, group);
  if (identity !== null) assumeIdentity(identity);
  // This process is root's no more, and what it imports gains nothing.
  forbidNewPrivileges();
  if (isApart) endWithParent();
}

function isRoot(): boolean {
  return process.geteuid?.() === 0;
}

function trialContext(): TaskContext {
  return new TaskContext(systemClock, Math.random, pino({ level: 'silent' }));
}

function hashOf({ printed }: LoadedConfig): string {
  return createHash('sha256').update(JSON.stringify(printed)).digest('hex').slice(0, 12);
}
